package stage

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

func sums(content string) digest.Sums {
	s, _ := digest.Reader(strings.NewReader(content))
	return s
}

func example() Stage {
	return Stage{
		Type: Type, Project: "age", Version: "v1.4.2", Channel: "stable",
		Source: Source{URI: "git+https://git.example/age", Commit: strings.Repeat("5", 40), Tree: strings.Repeat("6", 40),
			Time: time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)},
		Definition: Definition{Path: "sello.yaml", SHA256: strings.Repeat("a", 64)},
		Artifacts: []Artifact{
			{Name: "SHA256SUMS", Kind: KindChecksum, Sums: sums("c")},
			{Name: "age_v1.4.2_linux_amd64.tar.gz", Kind: KindArchive, Platform: "linux/amd64", Build: "age", Sums: sums("b")},
			{Name: "bin/linux/amd64/age", Kind: KindBinary, Platform: "linux/amd64", Build: "age", Sums: sums("a <&> é")},
		},
		Evidence: []string{"provenance", "sbom"},
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	module := example()
	module.Source = Source{URI: "pkg:golang/git.example/age@v1.4.2", DirHash: "h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48=", Time: module.Source.Time}
	module.Evidence = []string{}
	for _, want := range []Stage{example(), module} {
		data, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, *got); d != "" {
			t.Error(d)
		}
		again, err := got.Encode()
		if err != nil || !bytes.Equal(data, again) {
			t.Errorf("second encoding differs: %v", err)
		}
	}
}

func TestEncodingIsCanonical(t *testing.T) {
	t.Parallel()
	data, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(data, []byte(`{"artifacts":[{"kind":"checksums","name":"SHA256SUMS","sha256":"`)) || bytes.ContainsAny(data, "\n\t") {
		t.Errorf("not canonical: %s", data)
	}
	if got := Digest([]byte("abc")); got != "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("digest of abc: %s", got)
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	name := func(n string) func(*Stage) {
		return func(s *Stage) { s.Artifacts = s.Artifacts[:1]; s.Artifacts[0].Name = n }
	}
	names := func(ns ...string) func(*Stage) {
		return func(s *Stage) {
			a := s.Artifacts[0]
			s.Artifacts = nil
			for _, n := range ns {
				a.Name = n
				s.Artifacts = append(s.Artifacts, a)
			}
		}
	}
	tests := []struct {
		name, code string
		change     func(*Stage)
	}{
		{"another type", "stage-wrong-type", func(s *Stage) { s.Type += "0" }},
		{"no project", "stage-bad-field", func(s *Stage) { s.Project = "" }},
		{"version with a newline", "stage-bad-field", func(s *Stage) { s.Version = "v1\n" }},
		{"no channel", "stage-bad-field", func(s *Stage) { s.Channel = "" }},
		{"no definition path", "stage-bad-field", func(s *Stage) { s.Definition.Path = "" }},
		{"definition digest", "stage-bad-digest", func(s *Stage) { s.Definition.SHA256 = "A" + s.Definition.SHA256[1:] }},
		{"definition commit", "stage-bad-digest", func(s *Stage) { s.Definition.Commit = "main" }},
		{"evidence unsorted", "stage-unsorted", func(s *Stage) { s.Evidence = []string{"sbom", "provenance"} }},
		{"evidence twice", "stage-unsorted", func(s *Stage) { s.Evidence = []string{"sbom", "sbom"} }},
		{"evidence odd", "stage-bad-field", func(s *Stage) { s.Evidence = []string{"S B"} }},
		{"source without scheme", "stage-bad-field", func(s *Stage) { s.Source.URI = "age" }},
		{"no commit", "stage-bad-field", func(s *Stage) { s.Source.Commit = "" }},
		{"commit and dirHash", "stage-bad-field", func(s *Stage) { s.Source.DirHash = "h1:x" }},
		{"short commit", "stage-bad-digest", func(s *Stage) { s.Source.Commit = "abcdef1" }},
		{"tree", "stage-bad-digest", func(s *Stage) { s.Source.Tree = "x" }},
		{"dirHash", "stage-bad-digest", func(s *Stage) { s.Source.Commit = ""; s.Source.DirHash = "h1:eA==" }},
		{"no time", "stage-bad-field", func(s *Stage) { s.Source.Time = time.Time{} }},
		{"time with a zone", "stage-bad-field", func(s *Stage) { s.Source.Time = s.Source.Time.In(time.FixedZone("x", 3600)) }},
		{"time with a fraction", "stage-bad-field", func(s *Stage) { s.Source.Time = s.Source.Time.Add(1) }},
		{"no artifacts", "stage-bad-field", func(s *Stage) { s.Artifacts = nil }},
		{"no kind", "stage-bad-field", func(s *Stage) { s.Artifacts[0].Kind = "" }},
		{"negative size", "stage-bad-field", func(s *Stage) { s.Artifacts[0].Size = -1 }},
		{"size that JSON cannot hold", "stage-bad-field", func(s *Stage) { s.Artifacts[0].Size = 1 << 53 }},
		{"platform with a control character", "stage-bad-field", func(s *Stage) { s.Artifacts[0].Platform = "\x1b[2J" }},
		{"sha256", "stage-bad-digest", func(s *Stage) { s.Artifacts[0].SHA256 = "" }},
		{"sha512", "stage-bad-digest", func(s *Stage) { s.Artifacts[0].SHA512 = "ab" }},
		{"unsorted", "stage-unsorted", func(s *Stage) { s.Artifacts[0], s.Artifacts[1] = s.Artifacts[1], s.Artifacts[0] }},
		{"same name twice", "stage-duplicate-name", names("a", "a")},
		{"same name but for case", "stage-duplicate-name", names("A", "a")},
		{"file and folder", "stage-duplicate-name", names("bin", "bin/age")},
		{"file and folder but for case", "stage-duplicate-name", names("BIN", "bin/age")},
		{"absolute", "stage-bad-name", name("/etc/passwd")},
		{"upwards", "stage-bad-name", name("../x")},
		{"upwards inside", "stage-bad-name", name("a/../../x")},
		{"dot", "stage-bad-name", name(".")},
		{"empty", "stage-bad-name", name("")},
		{"empty part", "stage-bad-name", name("a//b")},
		{"slash at the end", "stage-bad-name", name("a/")},
		{"backslash", "stage-bad-name", name(`..\x`)},
		{"drive", "stage-bad-name", name("C:x")},
		{"newline", "stage-bad-name", name("a\nb")},
		{"text that turns around", "stage-bad-name", name("a\u202eb")},
		{"device", "stage-bad-name", name("bin/nul.txt")},
		{"dot at the end", "stage-bad-name", name("a./b")},
		{"too long", "stage-bad-name", name(strings.Repeat("a", 256))},
		{"the stage's own list", "stage-bad-name", name("stage.json")},
		{"the release statement", "stage-bad-name", name("release.sigstore.json")},
		{"a bundle", "stage-bad-name", name("a.SIGSTORE.json")},
		{"a sign-off", "stage-bad-name", name("sign-offs/a")},
		{"the stage's own folder", "stage-bad-name", name("Files/a")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := example()
			tt.change(&s)
			if _, err := s.Encode(); gate.Code(err) != tt.code {
				t.Errorf("Encode: %v, want %s", err, tt.code)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	data, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte {
		if !bytes.Contains(data, []byte(old)) {
			t.Fatalf("%s is not in the example", old)
		}
		return bytes.Replace(data, []byte(old), []byte(new), 1)
	}
	tests := []struct {
		name, code string
		data       []byte
	}{
		{"empty", "bad-json", nil},
		{"an array", "bad-json", []byte("[]")},
		{"null", "stage-wrong-type", []byte("null")},
		{"truncated", "bad-json", data[:len(data)-1]},
		{"more data", "bad-json", append(bytes.Clone(data), "{}"...)},
		{"newline at the end", "stage-not-canonical", append(bytes.Clone(data), '\n')},
		{"another order", "stage-not-canonical", replace(`"kind":"checksums","name":"SHA256SUMS"`, `"name":"SHA256SUMS","kind":"checksums"`)},
		{"escape that is not needed", "stage-not-canonical", replace("bin/linux", `bin\/linux`)},
		{"same key twice", "stage-not-canonical", replace(`"project":"age"`, `"project":"evil","project":"age"`)},
		{"key in another case", "stage-not-canonical", replace(`"project"`, `"Project"`)},
		{"unknown field", "stage-unknown-field", replace(`"project":"age"`, `"project":"age","run":"1"`)},
		{"unknown field in an artifact", "stage-unknown-field", replace(`"kind":"checksums"`, `"kind":"checksums","mode":1`)},
		{"another type", "stage-wrong-type", replace("stage/v1", "stage/v2")},
		{"wrong JSON type", "bad-json", replace(`"project":"age"`, `"project":1`)},
		{"time that is none", "bad-json", replace(`2026-11-20T09:30:00Z`, `yesterday`)},
		{"upwards", "stage-bad-name", replace(`"name":"SHA256SUMS"`, `"name":"../SHA256SUMS"`)},
		{"null evidence", "stage-not-canonical", replace(`"evidence":["provenance","sbom"]`, `"evidence":null`)},
		{"too large", "stage-too-large", make([]byte, MaxSize+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Decode(tt.data); gate.Code(err) != tt.code {
				t.Errorf("%v, want %s", err, tt.code)
			}
		})
	}
}

// Every byte of stage.json counts: no other byte in its place gives the same stage.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	data, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := Digest(data)
	for i := range data {
		for _, flip := range []byte{1 << (i % 8)} {
			other := bytes.Clone(data)
			other[i] ^= flip
			if Digest(other) == want {
				t.Fatalf("byte %d: same digest", i)
			}
			s, err := Decode(other)
			if err != nil {
				if gate.Code(err) == "" {
					t.Errorf("byte %d: refused without a code: %v", i, err)
				}
				continue
			}
			if cmp.Equal(*s, example()) {
				t.Errorf("byte %d: other bytes, same stage", i)
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := example()
	if a := s.Find("bin/linux/amd64/age"); a == nil || a.Kind != KindBinary {
		t.Errorf("found %v", a)
	}
	if a := s.Find("bin/linux/amd64/ag"); a != nil {
		t.Errorf("found %v", a)
	}
}

// What Decode accepts is exactly what Encode writes.
func FuzzDecode(f *testing.F) {
	data, err := example().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"type":"` + Type + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("refused without a code: %v", err)
			}
			return
		}
		again, err := s.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("accepted %q, encodes as %q, %v", data, again, err)
		}
	})
}
