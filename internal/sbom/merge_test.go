package sbom_test

import (
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/sbom"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	var parts []sbom.Part
	for i, in := range release(t)[:2] {
		doc, err := sbom.ForArtifact(meta, in, graph)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, sbom.Part{Doc: doc, SHA256: strings.Repeat([]string{"a", "b"}[i], 64)})
	}
	other := *parts[1].Doc
	other.Packages = append([]sbom.Package(nil), other.Packages...)
	for i := range other.Packages {
		other.Packages[i].Comment += " in another way" // the same identifiers for something else
	}
	merged, err := sbom.Merge("both", append(parts, sbom.Part{Doc: &other}), sbom.Tool{Name: "sello"})
	if err != nil {
		t.Fatal(err)
	}
	if err := merged.CheckRead(); err != nil {
		t.Fatal(err)
	}
	described, known := 0, map[string]bool{sbom.DocumentID: true}
	for _, p := range merged.Packages {
		known[p.ID] = true
	}
	for _, f := range merged.Files {
		known[f.ID] = true
	}
	for _, r := range merged.Relations {
		if r.Kind == sbom.Describes {
			described++
		}
		if !known[r.From] || !known[r.To] {
			t.Errorf("leads nowhere: %v", r)
		}
	}
	if described != 3 || len(merged.Links) != 2 {
		t.Errorf("describes %d, links %v", described, merged.Links)
	}
	if len(merged.Packages) >= len(parts[0].Doc.Packages)+len(parts[1].Doc.Packages)+len(other.Packages) {
		t.Errorf("nothing became one: %d packages", len(merged.Packages))
	}
	again, err := sbom.Merge("both", append(parts, sbom.Part{Doc: &other}), sbom.Tool{Name: "sello"})
	if err != nil || again.Namespace != merged.Namespace {
		t.Errorf("another document the second time: %v", err)
	}
	if _, err := sbom.Merge("none", nil, sbom.Tool{}); err == nil {
		t.Error("merged nothing")
	}
}

// licences are those that the test knows.
type licences map[string]sbom.License

func (l licences) Package(purl string) (sbom.License, []sbom.LicenseText) {
	found := l[purl]
	if strings.HasPrefix(found.Concluded, "LicenseRef-") {
		return found, []sbom.LicenseText{{ID: found.Concluded, Text: "own text"}}
	}
	return found, nil
}

func TestLicensesAreAskedFor(t *testing.T) {
	t.Parallel()
	m := meta
	m.Licenses = licences{"pkg:golang/example.com/a@v1.0.0": {Concluded: "MIT", Confidence: 0.98, Copyright: "Copyright A"}, "pkg:golang/example.com/Fork@v0.3.0": {Concluded: "LicenseRef-own"}}
	doc, err := inArtifact(m, release(t)[1], graph)
	if err != nil {
		t.Fatal(err)
	}
	valid(t, doc)
	for _, want := range []string{`"licenseConcluded": "MIT"`, "Confidence of the concluded licence: 0.98", `"copyrightText": "Copyright A"`, `"licenseId": "LicenseRef-own"`} {
		if !strings.Contains(string(doc), want) {
			t.Errorf("no %s", want)
		}
	}
}
