package attest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

const h1 = "h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="

var when = time.Date(2026, 11, 20, 9, 30, 0, 123, time.FixedZone("CET", 3600))

func sha(c string) map[string]string { return map[string]string{"sha256": strings.Repeat(c, 64)} }

func subjects() []Subject {
	return []Subject{{Name: "b.tar.gz", Digest: sha("b")}, {Name: "a", Digest: sha("a")}}
}

func provenance() Provenance {
	return Provenance{
		BuildDefinition: BuildDefinition{
			BuildType: GoBuildType,
			ExternalParameters: ExternalParameters{
				Source:     SourceParameter{URI: "git+https://git.example/age", Digest: map[string]string{"gitCommit": strings.Repeat("5", 40)}},
				EntryPoint: "sello.yaml#builds.age",
			},
			InternalParameters: map[string]any{"platform": "linux/amd64", "isolation": map[string]any{"network": "none"}},
			ResolvedDependencies: []material.Material{
				{URI: "git+https://git.example/age", Digest: map[string]string{"gitCommit": strings.Repeat("5", 40)}},
				{URI: "pkg:golang/git.example/x@v1.0.0", Digest: map[string]string{"sha256": strings.Repeat("c", 64), "dirHash": h1}},
			},
		},
		RunDetails: RunDetails{
			Builder:  Builder{ID: "https://builder.example/v1", Version: map[string]string{"sello": "v0.1.0"}},
			Metadata: Metadata{InvocationID: "1", StartedOn: when, FinishedOn: when.Add(time.Minute)},
		},
	}
}

func signOff() SignOff {
	return SignOff{Stage: "sha256:" + strings.Repeat("a", 64), Project: "age", Version: "v1.4.2", Identity: "first", Role: "manager",
		Time: when, Expires: when.Add(time.Hour), Trust: Pinned{Path: "trust.yaml", SHA256: strings.Repeat("b", 64), Version: 3},
		ReleaseFile: Pinned{Path: "releases/v1.4.2.yaml", SHA256: strings.Repeat("c", 64)}}
}

// The in-toto project's own library accepts our provenance.
func TestProvenanceIsValidForInToto(t *testing.T) {
	t.Parallel()
	st, err := NewProvenance(subjects(), provenance())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := st.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var envelope intoto.Statement
	if err := protojson.Unmarshal(payload, &envelope); err != nil {
		t.Fatal(err)
	}
	if err := envelope.Validate(); err != nil {
		t.Errorf("statement: %v", err)
	}
	predicate, err := protojson.Marshal(envelope.GetPredicate())
	if err != nil {
		t.Fatal(err)
	}
	var p slsa.Provenance
	if err := protojson.Unmarshal(predicate, &p); err != nil {
		t.Fatalf("predicate has a field that the standard does not know: %v", err)
	}
	if err := p.Validate(); err != nil {
		t.Errorf("predicate: %v", err)
	}
	if got := p.GetBuildDefinition().GetResolvedDependencies()[1].GetDigest()["dirHash"]; got != "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f" {
		t.Errorf("dirHash is %s", got)
	}
}

func TestReleaseAndSignOffAreStatementsForInToto(t *testing.T) {
	t.Parallel()
	release, err := NewRelease(subjects(), "pkg:generic/age@v1.4.2")
	if err != nil {
		t.Fatal(err)
	}
	so, err := NewSignOff(signOff())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []interface{ Encode() ([]byte, error) }{release, so} {
		payload, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var s intoto.Statement
		if err := protojson.Unmarshal(payload, &s); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	want, err := NewProvenance(subjects(), provenance())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode[Provenance](payload, ProvenanceType)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, *got); d != "" {
		t.Error(d)
	}
	if got.Subject[0].Name != "a" || !strings.Contains(string(payload), `"startedOn":"2026-11-20T08:30:00Z"`) {
		t.Errorf("subjects are not sorted or times not UTC: %s", payload)
	}
	again, err := got.Encode()
	if err != nil || !bytes.Equal(payload, again) {
		t.Errorf("second encoding differs: %v", err)
	}
	names, err := ExternalParameterNames(payload)
	if err != nil || len(names) != 2 {
		t.Errorf("external parameters %v, %v", names, err)
	}
}

func TestNewProvenanceLeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	p, s := provenance(), subjects()
	if _, err := NewProvenance(s, p); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(provenance(), p); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(subjects(), s); d != "" {
		t.Error(d)
	}
}

func TestConstructorsRefuse(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*[]Subject, *Provenance){
		"no subject":               func(s *[]Subject, _ *Provenance) { *s = nil },
		"subject without a digest": func(s *[]Subject, _ *Provenance) { (*s)[0].Digest = nil },
		"subject with SHA-1 alone": func(s *[]Subject, _ *Provenance) { (*s)[0].Digest = map[string]string{"sha1": strings.Repeat("a", 40)} },
		"subject without a name":   func(s *[]Subject, _ *Provenance) { (*s)[0].Name = "" },
		"subject twice":            func(s *[]Subject, _ *Provenance) { (*s)[0].Name = (*s)[1].Name },
		"no source":                func(_ *[]Subject, p *Provenance) { p.BuildDefinition.ExternalParameters.Source.URI = "" },
		"no source digest":         func(_ *[]Subject, p *Provenance) { p.BuildDefinition.ExternalParameters.Source.Digest = nil },
		"source digest malformed": func(_ *[]Subject, p *Provenance) {
			p.BuildDefinition.ExternalParameters.Source.Digest = map[string]string{"gitCommit": "main"}
		},
		"no entry point":            func(_ *[]Subject, p *Provenance) { p.BuildDefinition.ExternalParameters.EntryPoint = "" },
		"no build type":             func(_ *[]Subject, p *Provenance) { p.BuildDefinition.BuildType = "" },
		"no builder":                func(_ *[]Subject, p *Provenance) { p.RunDetails.Builder.ID = "" },
		"builder that is not a URI": func(_ *[]Subject, p *Provenance) { p.RunDetails.Builder.ID = "here" },
		"no invocation":             func(_ *[]Subject, p *Provenance) { p.RunDetails.Metadata.InvocationID = "" },
		"ends before it starts":     func(_ *[]Subject, p *Provenance) { p.RunDetails.Metadata.FinishedOn = when.Add(-time.Hour) },
		"dependency without anything": func(_ *[]Subject, p *Provenance) {
			p.BuildDefinition.ResolvedDependencies = []material.Material{{Name: "x"}}
		},
		"dependency's digest": func(_ *[]Subject, p *Provenance) {
			p.BuildDefinition.ResolvedDependencies[0].Digest = map[string]string{"sha256": "AB"}
		},
		"dependency's dirHash": func(_ *[]Subject, p *Provenance) {
			p.BuildDefinition.ResolvedDependencies[0].Digest = map[string]string{"dirHash": "h1:x"}
		},
		"byproduct": func(_ *[]Subject, p *Provenance) { p.RunDetails.Byproducts = []material.Material{{}} },
	}
	for name, change := range tests {
		t.Run("provenance/"+name, func(t *testing.T) {
			t.Parallel()
			s, p := subjects(), provenance()
			change(&s, &p)
			if st, err := NewProvenance(s, p); err == nil {
				t.Errorf("made %+v", st)
			}
		})
	}
	signOffs := map[string]func(*SignOff){
		"stage":          func(s *SignOff) { s.Stage = strings.Repeat("a", 64) },
		"no project":     func(s *SignOff) { s.Project = "" },
		"no version":     func(s *SignOff) { s.Version = "" },
		"no identity":    func(s *SignOff) { s.Identity = "" },
		"no role":        func(s *SignOff) { s.Role = "" },
		"no time":        func(s *SignOff) { s.Time = time.Time{} },
		"never expires":  func(s *SignOff) { s.Expires = time.Time{} },
		"expired":        func(s *SignOff) { s.Expires = s.Time },
		"no trust file":  func(s *SignOff) { s.Trust = Pinned{} },
		"trust version":  func(s *SignOff) { s.Trust.Version = 0 },
		"no releasefile": func(s *SignOff) { s.ReleaseFile = Pinned{} },
	}
	for name, change := range signOffs {
		t.Run("sign-off/"+name, func(t *testing.T) {
			t.Parallel()
			s := signOff()
			change(&s)
			if st, err := NewSignOff(s); err == nil {
				t.Errorf("made %+v", st)
			}
		})
	}
	for name, purl := range map[string]string{"no version": "pkg:generic/age", "not a purl": "age@v1"} {
		if _, err := NewRelease(subjects(), purl); err == nil {
			t.Errorf("release: %s passed", name)
		}
	}
	if _, err := NewRelease(nil, "pkg:generic/age@v1"); gate.Code(err) != "subject-missing" {
		t.Errorf("release without files: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	st, err := NewProvenance(subjects(), provenance())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := st.Encode()
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte {
		if !bytes.Contains(payload, []byte(old)) {
			t.Fatalf("%s is not in the payload", old)
		}
		return bytes.ReplaceAll(payload, []byte(old), []byte(new))
	}
	edit := func(change func(map[string]any)) []byte {
		var m map[string]any
		if err := json.Unmarshal(payload, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	tests := []struct {
		name, code string
		data       []byte
	}{
		{"empty", "bad-json", nil},
		{"null", "bad-json", []byte("null")},
		{"an array", "bad-json", []byte("[]")},
		{"truncated", "bad-json", payload[:len(payload)-1]},
		{"more data", "bad-json", append(bytes.Clone(payload), '1')},
		{"key twice", "bad-json", replace(`{"_type":`, `{"predicateType":"https://example.org","_type":`)},
		{"key twice but for case in the predicate", "bad-json", replace(`"buildType":`, `"BuildType":"x","buildType":`)},
		{"too deep", "bad-json", replace(`"network":"none"`, `"network":`+strings.Repeat("[", 100)+strings.Repeat("]", 100))},
		{"subject of a wrong JSON type", "bad-json", edit(func(m map[string]any) { m["subject"] = "x" })},
		{"predicate of a wrong JSON type", "bad-json", edit(func(m map[string]any) { m["predicate"] = []int{} })},
		{"no predicate", "bad-json", edit(func(m map[string]any) { delete(m, "predicate") })},
		{"no type", "wrong-statement-type", edit(func(m map[string]any) { delete(m, "_type") })},
		{"type in another case", "wrong-statement-type", replace(`"_type"`, `"_Type"`)},
		{"older type", "wrong-statement-type", replace("Statement/v1", "Statement/v0.1")},
		{"no subject", "subject-missing", edit(func(m map[string]any) { delete(m, "subject") })},
		{"empty subject", "subject-missing", edit(func(m map[string]any) { m["subject"] = []any{} })},
		{"subject without a digest", "subject-missing", edit(func(m map[string]any) { m["subject"] = []any{map[string]any{"name": "a"}} })},
		{"weak digest", "weak-digest", replace("sha256", "sha1")},
		{"digest in upper case", "weak-digest", replace(strings.Repeat("a", 64), strings.Repeat("A", 64))},
		{"short digest", "weak-digest", replace(strings.Repeat("a", 64), strings.Repeat("a", 63))},
		{"another predicate", "wrong-predicate", replace("slsa.dev/provenance/v1", "slsa.dev/provenance/v0.2")},
		{"no predicate type", "wrong-predicate", edit(func(m map[string]any) { delete(m, "predicateType") })},
		{"too large", "bad-json", make([]byte, MaxSize+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Decode[Provenance](tt.data, ProvenanceType); gate.Code(err) != tt.code {
				t.Errorf("%v, want %s", err, tt.code)
			}
		})
	}
	if _, err := Decode[Provenance](edit(func(m map[string]any) { m["annotations"] = 1 }), ProvenanceType); err != nil {
		t.Errorf("an unknown field has to be ignored: %v", err)
	}
}

func TestExternalParameterNames(t *testing.T) {
	t.Parallel()
	base := `{"_type":"` + StatementType + `","subject":[{"digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}],"predicateType":"x","predicate":`
	names, err := ExternalParameterNames([]byte(base + `{"buildDefinition":{"externalParameters":{"Source":1,"source":2,"x":3}}}}`))
	if err != nil || len(names) != 3 {
		t.Errorf("got %v, %v", names, err)
	}
	for _, predicate := range []string{`{}`, `null`, `{"buildDefinition":null}`, `{"buildDefinition":{"externalParameters":null}}`, `{"buildDefinition":{"externalParameters":[]}}`} {
		if _, err := ExternalParameterNames([]byte(base + predicate + "}")); gate.Code(err) != "bad-json" {
			t.Errorf("%s: %v", predicate, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	st, err := NewProvenance(subjects(), provenance())
	if err != nil {
		f.Fatal(err)
	}
	payload, err := st.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode[Provenance](data, ProvenanceType)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("refused without a code: %v", err)
			}
			return
		}
		if len(s.Subject) == 0 || s.Type != StatementType {
			t.Errorf("accepted %+v", s)
		}
		_, _ = ExternalParameterNames(data)
	})
}
