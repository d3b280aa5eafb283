package strictyaml

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

// FuzzDecode holds that hostile text never crashes the decoder, and that what it accepts is
// what a plain YAML decoder would have read, so that reviewers who use other tools see the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"project: a\n", "project: a\nparts: [{name: x, tags: [a, 1.20], env: {a: b}}]\n", "a: &a [*a]", "? [a]\n: b",
		"project: |\n  x\n  y\n", "--- \nproject: >-\n a\n...\n", "%YAML 1.1\n---\nproject: a", "project: \"\\u202e\"", "[[[[[[",
		"project: a\nnamed:\n  x:\n    name: !!binary AA==\n", "{project: a, <<: {}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var into file
		doc, err := Decode("f", data, &into)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		if doc.Where("") == "" || !doc.Has("project") {
			t.Error("accepted without a position of the required key")
		}
		var plain map[string]any
		if err := yaml.Unmarshal(data, &plain); err != nil {
			t.Errorf("accepted what a YAML decoder refuses: %v", err)
		}
	})
}
