package page_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/page"
)

func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	evil := `</script><script>alert(1)</script><img src=x onerror="alert(1)">`
	doc := &sbom.Document{Name: evil, Created: time.Unix(0, 0), Tools: []sbom.Tool{{Name: evil, Version: evil}},
		Packages:  []sbom.Package{{ID: "a", Name: evil, Version: evil, PURL: evil, License: sbom.License{Concluded: evil}}, {ID: "b", Name: "below"}},
		Relations: []sbom.Relation{{From: sbom.DocumentID, Kind: sbom.Describes, To: "a"}, {From: "a", Kind: sbom.DependsOn, To: "b", Comment: evil}},
		Notes:     []sbom.Note{{Of: "a", Text: evil}}}
	got, err := page.Render(doc)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(got), "<script>") != 1 || strings.Contains(string(got), "<img") {
		t.Errorf("what was text became markup:\n%s", got)
	}
	if !strings.Contains(string(got), "<details><summary>") || !strings.Contains(string(got), "below") {
		t.Error("no tree")
	}
	again, err := page.Render(doc)
	if err != nil || !bytes.Equal(got, again) {
		t.Error("another page the second time")
	}
}
