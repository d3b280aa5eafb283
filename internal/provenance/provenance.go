// Package provenance reads SLSA provenance that other builders made, v0.1 to v1, into one model, and judges it by a policy.
//
// # What it promises
//
// Each builder family has its own shape: GitHub's artifact attestations and npm, slsa-github-generator with its delegators and
// container-based builds, Google Cloud Build, GitLab, Tekton Chains, BuildKit, krel, and Sello itself. Decode gives for all of them who
// built, from which source at which ref and commit, by which entry point, and every parameter that somebody could choose. Nothing
// that a user of the builder controls is left out: what a decoder does not know becomes a parameter, and a policy refuses
// parameters that it does not name.
//
// # What it refuses
//
// Provenance that contradicts itself: two sources, two commits, an entry point twice.
//
// # What it does not do
//
// No I/O, no signatures. The build level is the one that a policy grants to signer and builder, never one that provenance claims.
package provenance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// Types are the predicate types that Decode reads, the newest first.
var Types = []string{attest.ProvenanceType, "https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v0.1"}

// Provenance says how something was built, whoever built it.
type Provenance struct {
	Builder    string // builder.id
	BuildType  string
	Source     Source
	EntryPoint string            // what was run: path of a workflow, a job, a build file
	Parameters map[string]string // all else that could be chosen, by name: inputs.version; text as it is, anything else as JSON
	Materials  []Material        // what the build says that it read
}

// Source is what was built.
type Source struct {
	URI    string // without git+, .git and ref: https://github.com/example/hello
	Ref    string // refs/tags/v1.4.2; "" when provenance does not say
	Commit string // 40 or 64 lower-case hex; "" when provenance does not say
}

// String gives URI@ref and the commit.
func (s Source) String() string {
	out := s.URI
	if s.Ref != "" {
		out += "@" + s.Ref
	}
	if s.Commit != "" {
		out += " (" + s.Commit + ")"
	}
	return out
}

// Material is something that a build read.
type Material struct {
	Name   string            `json:"name"`
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// source is the material as a source of the build.
func (m Material) source() Source {
	s := sourceOf(m.URI)
	if c := commitOf(m.Digest); c != "" {
		s.Commit = c
	}
	return s
}

// Decode reads the provenance in a statement that was verified. It refuses, by code: those of attest.DecodeForeign,
// wrong-predicate, bad-json, and source-mismatch where the provenance contradicts itself.
func Decode(payload []byte) (*Provenance, error) {
	h, raw, err := attest.DecodeForeign(payload)
	if err != nil {
		return nil, err
	}
	p := &Provenance{Parameters: map[string]string{}}
	switch h.PredicateType {
	case Types[0]:
		err = decodeV1(p, raw)
	case Types[1]:
		err = decodeV02(p, raw)
	case Types[2]:
		err = decodeV01(p, raw)
	default:
		return nil, &gate.Refusal{Code: "wrong-predicate", What: "the statement is not provenance of a kind that is known", Expected: strings.Join(Types, " or "),
			Actual: fmt.Sprintf("%.200q", h.PredicateType), Fix: "give the provenance; a valid signature on another kind of statement proves nothing here"}
	}
	if err != nil {
		return nil, err
	}
	return p, p.consistent()
}

// consistent holds that no material names another commit of the very source and ref, and takes the commit from there
// where it stands nowhere else.
func (p *Provenance) consistent() error {
	for _, m := range p.Materials {
		s := m.source()
		if s.URI != p.Source.URI || s.URI == "" || s.Commit == "" || s.Commit == p.Source.Commit {
			continue
		}
		switch same := s.Ref == p.Source.Ref; {
		case p.Source.Commit == "" && (same || s.Ref == ""):
			p.Source.Commit = s.Commit
		case p.Source.Commit != "" && same:
			return contradiction("commits", p.Source.Commit, s.Commit)
		}
	}
	return nil
}

func contradiction(what, one, other string) error {
	return &gate.Refusal{Code: "source-mismatch", What: "the provenance contradicts itself: it names two " + what, Expected: fmt.Sprintf("%.300q", one),
		Actual: fmt.Sprintf("%.300q", other), Fix: "do not use the file; whoever made this provenance did not look at what they built"}
}

// sourceOf takes a URI apart: git+https://host/path.git@ref, or with # before the ref.
func sourceOf(uri string) Source {
	plain, git := strings.CutPrefix(uri, "git+")
	if !git && !strings.HasPrefix(uri, "https://") && !strings.HasPrefix(uri, "ssh://") {
		return Source{URI: uri}
	}
	base, ref, found := strings.Cut(plain, "#")
	if !found {
		host := strings.Index(plain, "://") + 3
		if at := strings.LastIndex(plain, "@"); at > host && strings.Contains(plain[host:at], "/") {
			base, ref = plain[:at], plain[at+1:]
		}
	}
	base, commit, _ := strings.Cut(base, "/commit/") // as Google Cloud Build had it once
	if !isCommit(commit) {
		commit = ""
	}
	return Source{URI: strings.TrimSuffix(base, ".git"), Ref: ref, Commit: commit}
}

// commitOf gives the git commit of a digest set; GitLab calls it sha256, whatever its length.
func commitOf(digest map[string]string) string {
	for _, name := range []string{"gitCommit", "sha1", "sha256"} {
		if c := digest[name]; isCommit(c) {
			return c
		}
	}
	return ""
}

func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// gitMaterial gives the one git repository among the materials but except; false when there are none or several.
func (p *Provenance) gitMaterial(except string) (Source, bool) {
	var found []Source
	for _, m := range p.Materials {
		if s := m.source(); strings.HasPrefix(m.URI, "git+") && s.URI != except && !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return Source{}, false
	}
	return found[0], true
}

func badJSON(err error) error {
	return &gate.Refusal{Code: "bad-json", What: "the provenance cannot be read", Cause: err, Fix: "give the file as it was published; this one is damaged"}
}

func unmarshal(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	if err := strictjson.Unmarshal(raw, into); err != nil {
		return badJSON(err)
	}
	return nil
}
