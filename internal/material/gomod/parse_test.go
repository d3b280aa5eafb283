package gomod

import (
	"strings"
	"testing"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/gate"
)

func TestBinaryName(t *testing.T) {
	for path, want := range map[string]string{
		"example.test/cmd/tool": "tool", "example.test/tool/v2": "tool", "example.test/tool/v10": "tool", "example.test/tool/v1": "v1",
		"example.test/tool/v0": "v0", "example.test/tool/v2x": "v2x", "v2": "v2", "tool": "tool", "example.test/tool.v2": "tool.v2",
	} {
		if got := binaryName(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestClassify(t *testing.T) {
	const h = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for code, text := range map[string]string{
		"module-sum-mismatch": "verifying example.test/m@v1.0.0: checksum mismatch\n\tdownloaded: " + h + "\n\tgo.sum:     " + h + "\n\nSECURITY ERROR\n",
		"sumdb-mismatch":      "example.test/m@v1.0.0: verifying module: checksum mismatch\n\tdownloaded: " + h + "\n\tsums.test: " + h + "\n\nSECURITY ERROR\n",
		"module-not-in-gosum": "main.go:3:8: missing go.sum entry for module providing package example.test/m; to add:\n\tgo mod download example.test/m",
		"toolchain-too-old":   "go: go.mod requires go >= 1.999 (running go 1.26.8; GOTOOLCHAIN=local)",
		"vendor-mismatch":     "go: inconsistent vendoring in /x:\n\texample.test/m@v1.0.0: is explicitly required in go.mod",
	} {
		r := classify(text)
		if r == nil || r.Code != code || r.Fix == "" {
			t.Errorf("%s: %v", code, r)
		}
	}
	if r := classify("go: something else"); r != nil {
		t.Errorf("got %v", r)
	}
}

func FuzzGoSum(f *testing.F) {
	f.Add([]byte("example.test/m v1.0.0 h1:AAAA=\nexample.test/m v1.0.0/go.mod h1:BBBB=\n"))
	f.Add([]byte("one two\n"))
	f.Add([]byte("a b h2:c\n\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sums := goSum{}
		if err := sums.parse("go.sum", data); err != nil {
			if gate.Code(err) != "gosum-invalid" {
				t.Errorf("error without a code: %v", err)
			}
			return
		}
		for mv, hashes := range sums {
			if mv.Path == "" || mv.Version == "" {
				t.Errorf("empty name: %v", mv)
			}
			for _, h := range hashes {
				if !strings.HasPrefix(h, "h1:") {
					t.Errorf("hash %q", h)
				}
				if err := sums.checkOne(mv, "h1:other"); gate.Code(err) != "module-sum-mismatch" {
					t.Errorf("another hash was accepted for %v", mv)
				}
			}
		}
		if err := sums.checkOne(module.Version{Path: "never/there", Version: "v0.0.0"}, "h1:x"); gate.Code(err) != "module-not-in-gosum" && len(sums[module.Version{Path: "never/there", Version: "v0.0.0"}]) == 0 {
			t.Error("a module without an entry was accepted")
		}
	})
}

func FuzzListing(f *testing.F) {
	f.Add([]byte(`{"ImportPath":"a","Name":"main","Module":{"Path":"a","Main":true},"Imports":["b"]}{"ImportPath":"b","DepOnly":true,"Imports":["a"]}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseListing(data)
		if err != nil {
			return
		}
		mains := l.mains("")
		if got := l.closure(mains); len(got) < len(mains) && len(mains) > 0 && len(got) == 0 {
			t.Errorf("closure of %v is %v", mains, got)
		}
		edges([]listing{l}, "")
	})
}

func FuzzToolchainFor(f *testing.F) {
	f.Add("module m\n\ngo 1.24\n\ntoolchain go1.26.8\n", "")
	f.Add("module m\n", "go1.25.1/../x")
	f.Fuzz(func(t *testing.T, gomod, wanted string) {
		got, err := ToolchainFor([]byte(gomod), wanted)
		if err != nil {
			return
		}
		if got != Local && module.CanonicalVersion("v0.0.1-"+got+".linux-amd64") == "" {
			t.Errorf("%q is no version of the toolchain module", got)
		}
	})
}
