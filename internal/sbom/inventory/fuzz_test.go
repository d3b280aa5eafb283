package inventory_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom/inventory"
)

// FuzzFile describes any bytes: a document, or a refusal with a code, within the limits.
func FuzzFile(f *testing.F) {
	f.Add([]byte(program(buildInfo)))
	f.Add([]byte(gzipOf(f, tarOf(f, member{"a", "b"}, member{"tool", program(buildInfo)}))))
	f.Add([]byte(zipOf(f, member{"a", "b"}, member{"tool", program(buildInfo)})))
	f.Add([]byte("!<arch>\n" + arMember("debian-binary", "2.0\n")))
	f.Add([]byte(tarOf(f, member{"var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"})))
	f.Add([]byte(rpmOf(func(s string) string { return s }, member{"/usr/bin/hello", "text"}, member{"/a", "=> /b"})))
	f.Add([]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\x05hello\n\x00\x00"))
	o := options
	o.Limits = inventory.Limits{Files: 1000, Unpacked: 1 << 20, Depth: 4}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := inventory.Of(t.Context(), path, o); err != nil && gate.Code(err) == "" {
			t.Errorf("an error without a code: %v", err)
		}
	})
}

// FuzzGoMod describes a folder with any go.mod and Go file.
func FuzzGoMod(f *testing.F) {
	f.Add(goMod, sources["main.go"], "example.com/direct v1.1.0 "+h1+"\n")
	f.Fuzz(func(t *testing.T, mod, source, sums string) {
		dir := place(t, map[string]string{"go.mod": mod, "main.go": source, "go.sum": sums})
		if _, err := inventory.Of(t.Context(), dir, options); err != nil && gate.Code(err) == "" {
			t.Errorf("an error without a code: %v", err)
		}
	})
}
