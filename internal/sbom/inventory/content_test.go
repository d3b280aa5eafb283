package inventory_test

import (
	"os"
	"testing"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/inventory"
	"github.com/sello-release/sello/internal/stage"
)

// TestInside describes a release in whose archives are a program and an archive that were not built for it.
func TestInside(t *testing.T) {
	t.Parallel()
	helper := program(buildInfo)
	packed := gzipOf(t, tarOf(t, member{"deep/helper", helper}))
	dir, err := os.OpenRoot(place(t, map[string]string{"helper": helper, "more.tar.gz": packed, "LICENSE": "text"}))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	inside := map[string]sbom.Content{}
	var files []sbom.File
	for _, name := range []string{"helper", "more.tar.gz", "LICENSE"} {
		data, err := dir.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		h := sbom.NewFileHash(name)
		h.Write(data)
		files = append(files, h.File())
		c, err := inventory.Inside(t.Context(), dir, name)
		if err != nil || (c == nil) != (name == "LICENSE") {
			t.Fatal(name, c, err)
		}
		if c == nil {
			continue
		}
		if inside[c.SHA256()] = c; c.SHA256() != digest.Bytes(data) {
			t.Errorf("%s: %s", name, c.SHA256())
		}
	}
	if _, err := inventory.Inside(t.Context(), dir, "none"); err == nil {
		t.Error("a file that is not there")
	}
	meta := options.Meta
	meta.Project, meta.Version = "p", "v1.0.0"
	in := sbom.Input{Name: "p.zip", Kind: stage.KindArchive, Sums: digest.Sums{SHA256: digest.Bytes(nil)}, Files: files, Inside: inside}
	doc, err := sbom.ForArtifact(meta, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	has(t, doc, "./helper CONTAINS example.com/a", "./helper CONTAINS example.com/program", "./more.tar.gz CONTAINS ./more.tar.gz!/deep/helper", "./more.tar.gz!/deep/helper CONTAINS example.com/fork")

	again := in
	again.Name = "q.zip"
	file := sbom.Input{Name: "helper", Kind: stage.KindFile, Sums: digest.Sums{SHA256: digest.Bytes([]byte(helper))}, Inside: inside}
	if doc, err = sbom.ForRelease(meta, []sbom.Input{in, again}, nil); err != nil {
		t.Fatal(err)
	}
	has(t, doc, "./helper CONTAINS example.com/a")
	if doc, err = sbom.ForRelease(meta, []sbom.Input{in, again, file}, nil); err != nil {
		t.Fatal(err)
	}
	has(t, doc, "helper CONTAINS example.com/a", "./helper COPY_OF helper")
}
