package inventory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom/inventory"
	"github.com/sello-release/sello/internal/stage"
)

// stageOf writes stage.json beside files.
func stageOf(t testing.TB, below string) string {
	t.Helper()
	files := map[string]string{"bin/linux/amd64/tool": program(buildInfo), "tool.tar.gz": gzipOf(t, tarOf(t, member{"top/tool", program(buildInfo)}, member{"top/LICENSE", "licence"})), "tool.tar.gz.spdx.json": "{}\n"}
	placed := map[string]string{}
	s := stage.Stage{Type: stage.Type, Project: "tool", Version: "v1.2.3", Channel: "stable", Evidence: []string{"provenance"},
		Source:     stage.Source{URI: "git+https://example.org/tool", Commit: strings.Repeat("a", 40), Tree: strings.Repeat("b", 40), Time: time.Unix(1_700_000_000, 0).UTC()},
		Definition: stage.Definition{Path: "sello.yaml", SHA256: strings.Repeat("c", 64)}}
	for _, a := range []stage.Artifact{{Name: "bin/linux/amd64/tool", Kind: stage.KindBinary, Platform: "linux/amd64", Build: "tool"},
		{Name: "tool.tar.gz", Kind: stage.KindArchive, Platform: "linux/amd64", Build: "tool"}, {Name: "tool.tar.gz.spdx.json", Kind: stage.KindSBOM, Platform: "linux/amd64", Build: "tool"}} {
		sums, err := digest.Reader(strings.NewReader(files[a.Name]))
		if err != nil {
			t.Fatal(err)
		}
		a.Sums = sums
		s.Artifacts = append(s.Artifacts, a)
		placed[below+a.Name] = files[a.Name]
	}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	placed["stage.json"] = string(data)
	return place(t, placed)
}

func TestStage(t *testing.T) {
	t.Parallel()
	for _, below := range []string{"files/", ""} { // as staged, and as released
		dir := stageOf(t, below)
		doc := described(t, dir)
		has(t, doc, "DOCUMENT DESCRIBES tool", "tool CONTAINS bin/linux/amd64/tool", "tool CONTAINS tool.tar.gz", "tool GENERATED_FROM tool source", "bin/linux/amd64/tool CONTAINS example.com/a",
			"tool.tar.gz CONTAINS ./top/LICENSE")
		if doc.Name != "tool_v1.2.3" || doc.Created.Unix() != 1_700_000_000 {
			t.Errorf("%s of %v", doc.Name, doc.Created)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(below+"tool.tar.gz")), []byte(gzipOf(t, tarOf(t, member{"other", "x"}))), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := inventory.Of(t.Context(), dir, options); gate.Code(err) != inventory.CodeStage {
			t.Errorf("a file that was not staged: %v", err)
		}
	}
}
