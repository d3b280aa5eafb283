package sbom_test

import (
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/stage"
)

// TestPlainFiles describes what no Go command made: a program without build information, a file, and an archive of both.
func TestPlainFiles(t *testing.T) {
	t.Parallel()
	inputs := []sbom.Input{
		{Name: "bin/linux/amd64/tool", Sums: sums("tool"), Kind: stage.KindBinary, Platform: "linux/amd64"},
		{Name: "share/linux/amd64/tool.1", Sums: sums("page"), Kind: stage.KindFile, Platform: "linux/amd64"},
		{Name: "tool.tar.gz", Sums: sums("archive"), Kind: stage.KindArchive, Platform: "linux/amd64", Files: []sbom.File{hashed("top/tool", "tool"), hashed("top/tool.1", "page")}},
	}
	for i, purpose := range []string{"APPLICATION", "FILE", "ARCHIVE"} {
		doc, err := inArtifact(meta, inputs[i], nil)
		if err != nil {
			t.Fatal(err)
		}
		read(t, doc)
		for _, want := range []string{`"primaryPackagePurpose": "` + purpose + `"`, inputs[i].Sums.SHA256} {
			if !strings.Contains(strings.ReplaceAll(string(doc), `":"`, `": "`), want) {
				t.Errorf("%s lacks %s:\n%s", inputs[i].Name, want, doc)
			}
		}
		if strings.Contains(string(doc), "Go program") {
			t.Errorf("%s claims that it is a Go program", inputs[i].Name)
		}
	}
	if _, err := inRelease(meta, inputs, nil); err != nil {
		t.Error(err)
	}
}
