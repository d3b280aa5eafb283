package stage

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/lazyregexp"
)

// Limits on what a stage may hold.
const (
	maxArtifacts = 100_000
	maxField     = 4096      // bytes of one string
	maxInteger   = 1<<53 - 1 // the greatest size that canonical JSON can hold exactly
)

var (
	hexCommit = lazyregexp.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	hex512    = lazyregexp.New(`^[0-9a-f]{128}$`)
	word      = lazyregexp.New(`^[a-z][a-z0-9-]{0,31}$`)
)

// Validate refuses, by code: stage-wrong-type; stage-bad-field (something is
// missing or malformed); stage-bad-digest; stage-bad-name (a name that would leave
// the release's folder, or that some system cannot store); stage-duplicate-name (twice,
// also when only case differs, or a file where another needs a folder); stage-unsorted.
func (s Stage) Validate() error {
	if s.Type != Type {
		return refuse("stage-wrong-type", "stage.json has another type", Type, s.Type, nil)
	}
	if err := s.validateHead(); err != nil {
		return err
	}
	if err := s.Source.validate(); err != nil {
		return err
	}
	if len(s.Artifacts) == 0 || len(s.Artifacts) > maxArtifacts {
		return badField("artifacts", fmt.Sprintf("1 to %d", maxArtifacts), fmt.Sprint(len(s.Artifacts)))
	}
	for _, a := range s.Artifacts {
		if err := a.validate(); err != nil {
			return err
		}
	}
	if err := validateNames(s.Artifacts); err != nil {
		return err
	}
	return validateImages(s.Images)
}

func (s Stage) validateHead() error {
	for _, f := range []struct{ name, value string }{
		{"project", s.Project}, {"version", s.Version}, {"channel", s.Channel}, {"definition.path", s.Definition.Path},
	} {
		if !plain(f.value) {
			return badField(f.name, "a short text", quote(f.value))
		}
	}
	if !digest.IsSHA256(s.Definition.SHA256) {
		return badDigest("definition.sha256", s.Definition.SHA256)
	}
	if c := s.Definition.Commit; c != "" && !hexCommit.MatchString(c) {
		return badDigest("definition.commit", c)
	}
	for i, e := range s.Evidence {
		if !word.MatchString(e) {
			return badField("evidence", "words such as provenance, sbom", quote(e))
		}
		if i > 0 && s.Evidence[i-1] >= e {
			return refuse("stage-unsorted", "the list of evidence is not sorted, or has an entry twice", "", quote(e), nil)
		}
	}
	return nil
}

func (s Source) validate() error {
	if !plain(s.URI) || !strings.Contains(s.URI, ":") {
		return badField("source.uri", "git+https://… or pkg:golang/…", quote(s.URI))
	}
	if (s.Commit == "") == (s.DirHash == "") {
		return badField("source", "exactly one of commit and dirHash", fmt.Sprintf("commit %q, dirHash %q", s.Commit, s.DirHash))
	}
	if s.Commit != "" && !hexCommit.MatchString(s.Commit) {
		return badDigest("source.commit", s.Commit)
	}
	if s.Tree != "" && !hexCommit.MatchString(s.Tree) {
		return badDigest("source.tree", s.Tree)
	}
	if s.DirHash != "" && !isDirHash(s.DirHash) {
		return badDigest("source.dirHash", s.DirHash)
	}
	if s.Time.IsZero() || s.Time.Location() != time.UTC || s.Time.Nanosecond() != 0 {
		return badField("source.time", "UTC, whole seconds", s.Time.Format(time.RFC3339Nano))
	}
	return nil
}

func (a Artifact) validate() error {
	if err := CheckName(a.Name); err != nil {
		return refuse("stage-bad-name", "stage.json names an artifact that cannot be stored safely", "", "", err)
	}
	switch {
	case !word.MatchString(a.Kind):
		return badField(a.Name+": kind", "binary, file, archive, source, sbom, checksums", quote(a.Kind))
	case a.Platform != "" && !plain(a.Platform), a.Build != "" && !plain(a.Build):
		return badField(a.Name+": platform or build", "a short text", quote(a.Platform+" "+a.Build))
	case a.Size < 0 || a.Size > maxInteger:
		return badField(a.Name+": size", fmt.Sprintf("0 to %d", int64(maxInteger)), fmt.Sprint(a.Size))
	case !digest.IsSHA256(a.SHA256):
		return badDigest(a.Name+": sha256", a.SHA256)
	case a.SHA512 != "" && !hex512.MatchString(a.SHA512):
		return badDigest(a.Name+": sha512", a.SHA512)
	}
	return nil
}

// validateNames holds the order of names, and that every name can exist beside
// the others on a file system that does not tell upper from lower case.
func validateNames(as []Artifact) error {
	files, folders := map[string]string{}, map[string]string{}
	for i, a := range as {
		if i > 0 && as[i-1].Name > a.Name {
			return refuse("stage-unsorted", "artifacts are not sorted by name", "", quote(as[i-1].Name+" before "+a.Name), nil)
		}
		lower := strings.ToLower(a.Name)
		if other, ok := files[lower]; ok {
			return duplicate(other, a.Name)
		}
		files[lower] = a.Name
		for j := range lower {
			if lower[j] == '/' {
				folders[lower[:j]] = a.Name
			}
		}
	}
	for lower, name := range files {
		if other, ok := folders[lower]; ok {
			return duplicate(name, other)
		}
	}
	return nil
}

func duplicate(a, b string) error {
	return refuse("stage-duplicate-name", "two artifacts cannot be stored beside each other", "", quote(a)+" and "+quote(b), nil)
}

func badField(field, expected, actual string) error {
	return refuse("stage-bad-field", "stage.json: "+field+" is missing or malformed", expected, actual, nil)
}

func badDigest(field, actual string) error {
	return refuse("stage-bad-digest", "stage.json: "+field+" is not a digest as lower-case hex", "", quote(actual), nil)
}

// plain reports whether s is a short text without anything that does not print.
func plain(s string) bool {
	return s != "" && len(s) <= maxField && !slices.ContainsFunc([]rune(s), func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd })
}

func isDirHash(s string) bool {
	b64, ok := strings.CutPrefix(s, "h1:")
	sum, err := base64.StdEncoding.Strict().DecodeString(b64)
	return ok && err == nil && len(sum) == 32
}

func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// NeedsSBOM reports whether an artifact of this kind has to have a bill of
// materials beside it, <name>.spdx.json, when a stage promises the evidence "sbom".
func NeedsSBOM(kind string) bool {
	return kind == KindBinary || kind == KindFile || kind == KindArchive
}

// Find gives the artifact of that name, or nil.
func (s *Stage) Find(name string) *Artifact {
	i, ok := slices.BinarySearchFunc(s.Artifacts, name, func(a Artifact, n string) int { return strings.Compare(a.Name, n) })
	if !ok {
		return nil
	}
	return &s.Artifacts[i]
}
