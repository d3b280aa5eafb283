package origins_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sbom/origins"
)

func TestModule(t *testing.T) {
	cache := t.TempDir()
	dir := filepath.Join(cache, "cache", "download", "example.org", "!big", "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat("ab", 20)
	for version, info := range map[string]string{
		"v1.0.0": `{"Version":"v1.0.0","Origin":{"VCS":"git","URL":"https://git.example/big","Subdir":"go","Hash":"` + hash + `"}}`,
		"v1.1.0": `{"Version":"v1.1.0"}`,
		"v1.2.0": `{"Version":"v1.2.0","Origin":{"VCS":"git","URL":"https://git.example/big@evil","Hash":"` + hash + `"}}`,
		"v1.3.0": `{"Version":"v1.3.0","Origin":{"VCS":"git","URL":"file:///etc","Hash":"` + hash + `"}}`,
		"v1.4.0": `{"Version":"v1.4.0","Origin":{"VCS":"git","URL":"https://git.example/big","Hash":"main"}}`,
		"v1.5.0": `{"Version":`,
	} {
		if err := os.WriteFile(filepath.Join(dir, version+".info"), []byte(info), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "v1.0.0.zip"), []byte("zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	with, without := origins.New(cache, true), origins.New(cache, false)
	o := with.Module("example.org/Big", "v1.0.0")
	if want := "git+https://git.example/big@" + hash + "#go"; o.Download != want {
		t.Errorf("location %q, want %q", o.Download, want)
	}
	if len(o.Checksums) != 2 || o.Checksums[0].Value != digest.Bytes([]byte("zip")) {
		t.Errorf("checksums %v", o.Checksums)
	}
	if o := without.Module("example.org/Big", "v1.0.0"); o.Checksums != nil || o.Download == "" {
		t.Errorf("without sums: %v", o)
	}
	for _, version := range []string{"v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0", "v1.5.0", "v9.9.9", "../v1.0.0", ""} {
		if o := with.Module("example.org/Big", version); o.Download != "" || o.Checksums != nil {
			t.Errorf("%s: %v", version, o)
		}
	}
	if o := origins.New("", true).Module("example.org/Big", "v1.0.0"); o.Download != "" {
		t.Errorf("without a cache: %v", o)
	}
}
