package attest

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/material"
)

// NewProvenance makes a SLSA provenance v1 statement. It brings digests and times
// into the form that the standard wants (dirHash as hex, UTC), and refuses what would not be
// provenance: no subject, a subject without a SHA-256 or twice, no build type,
// no builder, no external parameters, a dependency without URI and digest.
func NewProvenance(subjects []Subject, p Provenance) (Statement[Provenance], error) {
	fail := func(err error) (Statement[Provenance], error) {
		return Statement[Provenance]{}, fmt.Errorf("make provenance: %w", err)
	}
	subjects, err := sorted(subjects)
	if err != nil {
		return fail(err)
	}
	d := &p.BuildDefinition
	ext := d.ExternalParameters
	if ext.Source.URI == "" || len(ext.Source.Digest) == 0 || ext.EntryPoint == "" {
		return fail(errors.New("external parameters need the source's URI and digest, and the entry point"))
	}
	if d.ExternalParameters.Source.Digest, err = standardDigests(ext.Source.Digest); err != nil {
		return fail(fmt.Errorf("source: %w", err))
	}
	if d.ResolvedDependencies, err = standardMaterials(d.ResolvedDependencies); err != nil {
		return fail(err)
	}
	if p.RunDetails.Byproducts, err = standardMaterials(p.RunDetails.Byproducts); err != nil {
		return fail(err)
	}
	for name, uri := range map[string]string{"buildType": d.BuildType, "builder.id": p.RunDetails.Builder.ID} {
		if u, err := url.Parse(uri); err != nil || u.Scheme == "" {
			return fail(fmt.Errorf("%s %q is not a URI", name, uri))
		}
	}
	m := &p.RunDetails.Metadata
	m.StartedOn, m.FinishedOn = wholeSeconds(m.StartedOn), wholeSeconds(m.FinishedOn)
	if m.InvocationID == "" || m.StartedOn.IsZero() || m.FinishedOn.Before(m.StartedOn) {
		return fail(errors.New("metadata needs an invocation id, and a start that is not after the end"))
	}
	return Statement[Provenance]{Type: StatementType, Subject: subjects, PredicateType: ProvenanceType, Predicate: p}, nil
}

// NewStatement makes a statement with a predicate whose form is another standard's.
func NewStatement[P any](subjects []Subject, predicateType string, predicate P) (Statement[P], error) {
	subjects, err := sorted(subjects)
	if err == nil && predicateType == "" {
		err = errors.New("no predicate type")
	}
	if err != nil {
		return Statement[P]{}, fmt.Errorf("make statement: %w", err)
	}
	return Statement[P]{Type: StatementType, Subject: subjects, PredicateType: predicateType, Predicate: predicate}, nil
}

// NewSignOff makes a sign-off: the subject is stage.json at the digest in s.Stage.
func NewSignOff(s SignOff) (Statement[SignOff], error) {
	fail := func(text string) (Statement[SignOff], error) {
		return Statement[SignOff]{}, errors.New("make sign-off: " + text)
	}
	sha, ok := strings.CutPrefix(s.Stage, "sha256:")
	s.Time, s.Expires = wholeSeconds(s.Time), wholeSeconds(s.Expires)
	switch {
	case !ok || !digest.IsSHA256(sha):
		return fail(fmt.Sprintf("stage %q is not a stage digest", s.Stage))
	case s.Project == "" || s.Version == "" || s.Identity == "" || s.Role == "":
		return fail("project, version, identity and role are needed")
	case s.Time.IsZero() || !s.Expires.After(s.Time):
		return fail("it has to expire, after the time at which it is made")
	case !digest.IsSHA256(s.Trust.SHA256) || s.Trust.Version < 1:
		return fail("the trust file's digest and version are needed")
	case !digest.IsSHA256(s.ReleaseFile.SHA256):
		return fail("the release file's digest is needed")
	}
	return Statement[SignOff]{
		Type: StatementType, PredicateType: SignOffType, Predicate: s,
		Subject: []Subject{{Name: "stage.json", Digest: map[string]string{"sha256": sha}}},
	}, nil
}

// NewRelease makes an in-toto release v0.2 statement. files are all files of the
// release but the statement itself, named by their paths; purl names the package with its version.
func NewRelease(files []Subject, purl string) (Statement[Release], error) {
	subjects, err := sorted(files)
	if err != nil {
		return Statement[Release]{}, fmt.Errorf("make release statement: %w", err)
	}
	if !strings.HasPrefix(purl, "pkg:") || !strings.Contains(purl, "@") {
		return Statement[Release]{}, fmt.Errorf("make release statement: %q is not a package URL with a version", purl)
	}
	return Statement[Release]{Type: StatementType, Subject: subjects, PredicateType: ReleaseType, Predicate: Release{Purl: purl}}, nil
}

// sorted checks subjects and gives them sorted by name; names must differ.
func sorted(subjects []Subject) ([]Subject, error) {
	if err := checkSubjects(subjects, ours); err != nil {
		return nil, err
	}
	subjects = slices.SortedFunc(slices.Values(subjects), func(a, b Subject) int { return strings.Compare(a.Name, b.Name) })
	for i, s := range subjects {
		if s.Name == "" {
			return nil, errors.New("a subject without a name")
		}
		if i > 0 && subjects[i-1].Name == s.Name {
			return nil, fmt.Errorf("subject %q twice", s.Name)
		}
	}
	return subjects, nil
}

func standardMaterials(ms []material.Material) ([]material.Material, error) {
	var out []material.Material
	for _, m := range ms {
		if m.URI == "" && len(m.Digest) == 0 {
			return nil, fmt.Errorf("dependency %q has neither URI nor digest", m.Name)
		}
		d, err := standardDigests(m.Digest)
		if err != nil {
			return nil, fmt.Errorf("dependency %s: %w", m.URI+m.Name, err)
		}
		m.Digest = d
		out = append(out, m)
	}
	return out, nil
}

// digestLengths are the lengths of a DigestSet's values, in hex digits.
var digestLengths = map[string][]int{
	"sha256": {64}, "sha512": {128}, "sha384": {96}, "dirHash": {64}, "sha1": {40},
	"gitCommit": {40, 64}, "gitTree": {40, 64}, "gitBlob": {40, 64}, "gitTag": {40, 64},
}

// standardDigests copies a digest set and checks it against in-toto's DigestSet. A
// Go module's "h1:…" becomes the hex form that in-toto gives to dirHash.
func standardDigests(set map[string]string) (map[string]string, error) {
	set = maps.Clone(set)
	for name, value := range set {
		if name == "dirHash" && strings.HasPrefix(value, "h1:") {
			hexed, err := DirHash(value)
			if err != nil {
				return nil, err
			}
			set[name], value = hexed, hexed
		}
		lengths, known := digestLengths[name]
		if !known {
			continue
		}
		if _, err := hex.DecodeString(value); err != nil || value != strings.ToLower(value) || !slices.Contains(lengths, len(value)) {
			return nil, fmt.Errorf("%s %q is not lower-case hex of the right length", name, value)
		}
	}
	return set, nil
}

// DirHash turns a Go module's hash as in go.sum, h1:<base64>, into the lower-case
// hex that in-toto's DigestSet calls dirHash.
func DirHash(h1 string) (string, error) {
	b64, ok := strings.CutPrefix(h1, "h1:")
	sum, err := base64.StdEncoding.Strict().DecodeString(b64)
	if !ok || err != nil || len(sum) != 32 {
		return "", fmt.Errorf("%q is not a module hash h1:…", h1)
	}
	return hex.EncodeToString(sum), nil
}

func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
