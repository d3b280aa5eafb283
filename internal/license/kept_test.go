package license

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/licensecheck"
)

// TestKept compares conclusions from a file with those from scans, and has the file damaged in every way that is not to count.
func TestKept(t *testing.T) {
	t.Parallel()
	all := map[string]fstest.MapFS{
		"common": files("LICENSE", mit), "mixed": files("LICENSE", mit+"\n\n"+apache(t)), "unknown": files("LICENSE", house),
		"reference": files("LICENSE", mit+"\nSee http://www.apache.org/licenses/LICENSE-2.0 for the rest.\n"), "empty": files("LICENSE", ""),
	}
	name := filepath.Join(t.TempDir(), "below", "licenses.json")
	conclude := func(d *Detector) map[string]Conclusion {
		t.Helper()
		out := map[string]Conclusion{}
		for name, fsys := range all {
			c, err := d.Folder(t.Context(), fsys)
			if err != nil {
				t.Fatal(err)
			}
			out[name] = c
		}
		return out
	}
	save := func(d *Detector) {
		t.Helper()
		if err := d.Save(); err != nil {
			t.Fatal(err)
		}
	}
	want := conclude(New())
	first := NewKeeping(name)
	if diff := cmp.Diff(want, conclude(first)); diff != "" {
		t.Fatal(diff)
	}
	save(first)
	written, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}

	second := NewKeeping(name)
	second.common = func() *licensecheck.Scanner { t.Error("compiled what is kept"); return allLicenses() }
	second.all = second.common
	if diff := cmp.Diff(want, conclude(second)); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	save(second)
	if _, err := os.Stat(name); err == nil {
		t.Error("written although nothing was new")
	}

	var content keptFile
	if err := json.Unmarshal(written[bytes.IndexByte(written, '\n')+1:], &content); err != nil {
		t.Fatal(err)
	}
	sealed := func(f keptFile) []byte {
		body, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte(sumOf(body)+"\n"), body...)
	}
	beyond := map[string]cover{}
	for sum := range content.Texts {
		beyond[sum] = cover{Percent: 100, Match: []match{{ID: "MIT", Start: 5, End: 1 << 30}}}
	}
	for what, data := range map[string][]byte{
		"a byte changed":      bytes.Replace(written, []byte(`"MIT"`), []byte(`"ISC"`), 1),
		"cut off":             written[:len(written)/2],
		"no file of ours":     []byte("hello"),
		"empty":               nil,
		"of other patterns":   sealed(keptFile{"0", content.Texts}),
		"of matches outside":  sealed(keptFile{content.Patterns, beyond}),
		"of a text not there": sealed(keptFile{content.Patterns, nil}),
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d := NewKeeping(name)
		if diff := cmp.Diff(want, conclude(d)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		save(d)
		if again, err := os.ReadFile(name); err != nil || !bytes.Equal(again, written) {
			t.Errorf("%s: not mended: %v", what, err)
		}
	}

	// What others kept stays, and a file that cannot be written is an error for whoever wants to know.
	d := NewKeeping(name)
	if _, err := d.Folder(t.Context(), files("LICENSE", house+"And a stamp.\n")); err != nil {
		t.Fatal(err)
	}
	save(d)
	if got := readKept(name); len(got) != len(content.Texts)+1 {
		t.Errorf("%d texts, want %d", len(got), len(content.Texts)+1)
	}
	d = NewKeeping(filepath.Join(name, "below a file"))
	conclude(d)
	if d.Save() == nil {
		t.Error("written below a file")
	}
}
