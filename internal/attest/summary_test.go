package attest

import (
	"strings"
	"testing"
	"time"
)

func goodSummary() Summary {
	return Summary{Verifier: Verifier{ID: "https://x.example/gate"}, TimeVerified: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600)), ResourceURI: "pkg:generic/x@v1",
		Policy: ResourceOf("file:policy.yaml", strings.Repeat("a", 64)), Result: Passed, Levels: []string{"SLSA_BUILD_LEVEL_3"},
		InputAttestations: []Resource{ResourceOf("file:b", strings.Repeat("c", 64)), ResourceOf("file:a", strings.Repeat("b", 64)), ResourceOf("file:again", strings.Repeat("c", 64))}}
}

var oneSubject = []Subject{{Name: "x", Digest: map[string]string{"sha256": strings.Repeat("1", 64)}}}

func TestNewSummary(t *testing.T) {
	t.Parallel()
	s, err := NewSummary(oneSubject, goodSummary())
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"_type":"https://in-toto.io/Statement/v1","predicate":{"inputAttestations":[{"digest":{"sha256":"B"},"uri":"file:a"},{"digest":{"sha256":"C"},"uri":"file:again"}],"policy":{"digest":{"sha256":"A"},"uri":"file:policy.yaml"},` +
		`"resourceUri":"pkg:generic/x@v1","slsaVersion":"1.2","timeVerified":"2026-01-02T02:04:05Z","verificationResult":"PASSED","verifiedLevels":["SLSA_BUILD_LEVEL_3"],"verifier":{"id":"https://x.example/gate"}},` +
		`"predicateType":"https://slsa.dev/verification_summary/v1","subject":[{"digest":{"sha256":"1"},"name":"x"}]}`
	got := string(data)
	for _, r := range []string{"a", "b", "c", "1"} {
		got = strings.ReplaceAll(got, strings.Repeat(r, 64), strings.ToUpper(r))
	}
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// No claim about dependencies, none, and some are three different things.
func TestSummaryOfDependencies(t *testing.T) {
	t.Parallel()
	for want, levels := range map[string]map[string]int{"": nil, `"dependencyLevels":{},`: {}, `"dependencyLevels":{"SLSA_BUILD_LEVEL_1":2},`: {"SLSA_BUILD_LEVEL_1": 2}} {
		in := goodSummary()
		in.DependencyLevels = levels
		s, err := NewSummary(oneSubject, in)
		if err != nil {
			t.Fatal(err)
		}
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), want) || want == "" && strings.Contains(string(data), "dependencyLevels") {
			t.Errorf("%v: %s", levels, data)
		}
	}
}

func TestNewSummaryRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Summary){
		"no verifier":                     func(s *Summary) { s.Verifier.ID = "" },
		"a verifier that is no URI":       func(s *Summary) { s.Verifier.ID = "gate" },
		"no resource":                     func(s *Summary) { s.ResourceURI = "" },
		"no policy":                       func(s *Summary) { s.Policy = Resource{} },
		"a policy without a digest":       func(s *Summary) { s.Policy.Digest = nil },
		"an input without a digest":       func(s *Summary) { s.InputAttestations[0].Digest = nil },
		"no time":                         func(s *Summary) { s.TimeVerified = time.Time{} },
		"no result":                       func(s *Summary) { s.Result = "" },
		"another result":                  func(s *Summary) { s.Result = "MAYBE" },
		"passed without a level":          func(s *Summary) { s.Levels = nil },
		"a level without a name":          func(s *Summary) { s.Levels = []string{""} },
		"passed and failed":               func(s *Summary) { s.Levels = []string{"SLSA_BUILD_LEVEL_3", Failed} },
		"failed with a level":             func(s *Summary) { s.Result = Failed },
		"a property in place of a level":  func(s *Summary) { s.Levels = append(s.Levels, "SLSA_BUILD_REPRODUCED") },
		"a level of no number":            func(s *Summary) { s.Levels = []string{"SLSA_BUILD_LEVEL_UNEVALUATED"} },
		"a track that others cannot read": func(s *Summary) { s.Levels = []string{"SLSA_BUILD_ENV_LEVEL_1"} },
	} {
		s := goodSummary()
		change(&s)
		if _, err := NewSummary(oneSubject, s); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	if _, err := NewSummary(nil, goodSummary()); err == nil {
		t.Error("made about nothing")
	}
}
