package attest

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/digest"
)

// SummaryType is the predicate type of a verification summary attestation (VSA), SLSA v1.0 to v1.2.
const SummaryType = "https://slsa.dev/verification_summary/v1"

// Results of a verification, as a summary states them.
const (
	Passed = "PASSED"
	Failed = "FAILED"
)

// slsaVersion is the version of the specification that summaries follow.
const slsaVersion = "1.2"

// Summary is a VSA v1 predicate. See SLSA v1.2, Verification Summary Attestation.
type Summary struct {
	Verifier          Verifier   `json:"verifier"`
	TimeVerified      time.Time  `json:"timeVerified"`
	ResourceURI       string     `json:"resourceUri"`
	Policy            Resource   `json:"policy"`
	InputAttestations []Resource `json:"inputAttestations,omitempty"` // all that were used
	Result            string     `json:"verificationResult"`          // Passed or Failed
	Levels            []string   `json:"verifiedLevels"`              // the highest of each track, or Failed alone
	// DependencyLevels count the dependencies of each level; nil claims nothing, and an empty map says that there are none.
	DependencyLevels map[string]int `json:"dependencyLevels,omitzero"`
	SLSAVersion      string         `json:"slsaVersion,omitempty"`
}

// Verifier says who verified. ID counts with the signer alone.
type Verifier struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Resource is an in-toto ResourceDescriptor that has a URI and a digest.
type Resource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest,omitempty"`
}

// ResourceOf names content by its SHA-256.
func ResourceOf(uri, sha256 string) Resource {
	return Resource{URI: uri, Digest: map[string]string{"sha256": sha256}}
}

var levelName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^SLSA_[A-Z]+_LEVEL_[0-9]$`) })

// NewSummary makes a verification summary. It brings the time into the standard's form, sorts inputs, each once, and refuses what other
// verifiers could misread: no verifier, resource or policy by URI, an input without a digest, a result that is none, levels that do not go
// with it, and names that start with SLSA_ and are no level: slsa-verifier refuses a summary for them whole.
func NewSummary(subjects []Subject, s Summary) (Statement[Summary], error) {
	fail := func(err error) (Statement[Summary], error) {
		return Statement[Summary]{}, fmt.Errorf("make verification summary: %w", err)
	}
	subjects, err := sorted(subjects)
	if err != nil {
		return fail(err)
	}
	for name, uri := range map[string]string{"verifier id": s.Verifier.ID, "resource": s.ResourceURI, "policy": s.Policy.URI} {
		if u, err := url.Parse(uri); err != nil || u.Scheme == "" {
			return fail(fmt.Errorf("%s %.200q is not a URI", name, uri))
		}
	}
	s.InputAttestations = slices.Clone(s.InputAttestations)
	slices.SortFunc(s.InputAttestations, func(a, b Resource) int {
		return strings.Compare(a.Digest["sha256"]+a.URI, b.Digest["sha256"]+b.URI)
	})
	s.InputAttestations = slices.CompactFunc(s.InputAttestations, func(a, b Resource) bool { return a.Digest["sha256"] == b.Digest["sha256"] })
	for _, r := range append(s.InputAttestations, s.Policy) {
		if !digest.IsSHA256(r.Digest["sha256"]) {
			return fail(fmt.Errorf("%.200q has no SHA-256", r.URI))
		}
	}
	s.TimeVerified, s.SLSAVersion = wholeSeconds(s.TimeVerified), slsaVersion
	switch failed := slices.Equal(s.Levels, []string{Failed}); {
	case s.TimeVerified.IsZero():
		return fail(errors.New("it does not say when"))
	case s.Result == Failed && !failed, s.Result == Passed && (len(s.Levels) == 0 || slices.Contains(s.Levels, Failed)), s.Result != Passed && s.Result != Failed:
		return fail(fmt.Errorf("result %.50q with the levels %.200q", s.Result, s.Levels))
	}
	for _, level := range s.Levels {
		if level == "" || strings.HasPrefix(level, "SLSA_") && !levelName().MatchString(level) {
			return fail(fmt.Errorf("%.100q is not a level", level))
		}
	}
	return Statement[Summary]{Type: StatementType, Subject: subjects, PredicateType: SummaryType, Predicate: s}, nil
}

// SameClaims reports whether two summaries tell whoever relies on them the same: of which files, by which verifier, about what, with which
// result and levels. Time, tool, policy and inputs may differ.
func SameClaims(a, b *Statement[Summary]) bool {
	x, y := a.Predicate, b.Predicate
	return x.Verifier.ID == y.Verifier.ID && x.ResourceURI == y.ResourceURI && x.Result == y.Result && slices.Equal(x.Levels, y.Levels) && SameSubjects(a.Subject, b.Subject)
}

// SameSubjects reports whether two lists of subjects, each name once, name the same things by the same SHA-256.
func SameSubjects(a, b []Subject) bool {
	if len(a) != len(b) {
		return false
	}
	known := make(map[string]map[string]string, len(a))
	for _, s := range a {
		known[s.Name] = s.Digest
	}
	for _, s := range b {
		digests, ok := known[s.Name]
		if one := (Header{Subject: []Subject{s}}); !ok || digests["sha256"] != s.Digest["sha256"] || !one.Matches(digests) {
			return false
		}
		delete(known, s.Name)
	}
	return true
}
