package format_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/check"
	"github.com/sello-release/sello/internal/sbom/cyclonedx"
	"github.com/sello-release/sello/internal/sbom/format"
	"github.com/sello-release/sello/internal/sbom/page"
	"github.com/sello-release/sello/internal/sbom/query"
	"github.com/sello-release/sello/internal/sbom/spdx"
)

// held checks what every reader promises: a document or a refusal, and a document that can be asked, shown and written.
func held(t *testing.T, doc *sbom.Document, err error) {
	t.Helper()
	if err != nil {
		if gate.Code(err) == "" {
			t.Fatalf("an error without a code: %v", err)
		}
		return
	}
	if doc.Format == "" {
		t.Fatal("a document of no format")
	}
	check.Document(doc)
	g := query.New(doc)
	g.Tree(query.TreeOptions{Files: true, Limit: 1000})
	g.Unreached()
	for i := range min(g.Len(), 5) {
		g.Why(int32(i))
	}
	if _, err := page.Render(doc); err != nil {
		t.Fatal(err)
	}
	for _, name := range format.Names {
		data, err := format.Encode(doc, name)
		if err != nil {
			t.Fatalf("write %s: %v", name, err)
		}
		again, err := format.Decode(data)
		if err != nil {
			t.Fatalf("read %s again: %v\n%s", name, err, data)
		}
		if len(again.Packages)+len(again.Files) != len(doc.Packages)+len(doc.Files) {
			t.Fatalf("%s: %d packages and %d files became %d and %d", name, len(doc.Packages), len(doc.Files), len(again.Packages), len(again.Files))
		}
	}
}

func seeds(f *testing.F, patterns ...string) {
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			if len(data) < 100_000 {
				f.Add(data)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	seeds(f, "testdata/*.golden", "testdata/others/*")
	f.Add([]byte(`{"_type":"x","predicate":{"spdxVersion":"SPDX-2.3"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := format.Decode(data)
		held(t, doc, err)
	})
}

func FuzzSPDXJSON(f *testing.F) {
	seeds(f, "testdata/spdx-json.golden")
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := spdx.ReadJSON(data)
		held(t, doc, err)
	})
}

func FuzzSPDXTagValue(f *testing.F) {
	seeds(f, "testdata/spdx-tag.golden")
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := spdx.ReadTagValue(data)
		held(t, doc, err)
	})
}

func FuzzSPDXJSONLD(f *testing.F) {
	seeds(f, "testdata/others/*3.0*")
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := spdx.ReadJSONLD(data)
		held(t, doc, err)
	})
}

func FuzzCycloneDX(f *testing.F) {
	seeds(f, "testdata/cyclonedx.golden", "testdata/others/*cdx*")
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := cyclonedx.ReadJSON(data)
		held(t, doc, err)
	})
}
