package release

import (
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

// A root that a command runs in is an input: refused before it is mounted, and let in with its publisher's provenance.
func TestRunInputs(t *testing.T) {
	if testing.Short() {
		t.Skip("runs commands")
	}
	root, ours := doerRoot(t, thisMachine()), newPublisher(t)
	_, sum, _ := definition.ParseBase(root)
	sum = strings.TrimPrefix(sum, "sha256:")
	files := func(evidence string) map[string]string {
		return map[string]string{
			"sello.yaml": "project: tool\nsource: https://example.com/tool\nsource-archive: false\nbuilds:\n  - name: tool\n    run:\n      root: " + root + "\n      command: [/bin/do, 'program:tool=x']\n      outputs: [tool]\n" +
				"policy: {inputs: [{match: '*/team/root', policy: policies/p.yaml}]}\n",
			"policies/p.yaml": ours.granting(3), evidenceFile(sum): evidence,
		}
	}
	p := projectOf(t, boxed(t), files(ours.built(otherSum)))
	p.CacheDir = t.TempDir()
	if _, err := p.Stage(t.Context(), "v1.0.0"); gate.Code(err) != "input-refused" {
		t.Errorf("with evidence of something else: %v", err)
	}
	p = projectOf(t, boxed(t), files(ours.built(sum)))
	p.CacheDir = t.TempDir()
	made, err := p.Stage(t.Context(), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if got := made.Inputs.Judged; len(got) != 1 || got[0].Level != 3 || !strings.HasSuffix(got[0].Name, "/team/root") || made.Inputs.Free != 0 {
		t.Errorf("%+v", made.Inputs)
	}
}
