package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
)

// some wants the files below out that have a suffix.
var some = engine.Selection{
	File: func(p string) bool { return strings.HasPrefix(p, "out/") && strings.HasSuffix(p, ".1") },
	Folder: func(p string) bool {
		return p == "out" || strings.HasPrefix(p, "out/") && !strings.HasSuffix(p, "skip")
	},
}

func TestCollectSome(t *testing.T) {
	dir := tree(t, map[string]string{"out/a.1": "a", "out/b/c.1": "c", "out/b/c.2": "", "other/x.1": "", "out/skip/y.1": "", "out/\n.2": ""})
	elsewhere := tree(t, map[string]string{"secret.1": "s"})
	for at, to := range map[string]string{"out/d": elsewhere, "out/e.2": "/etc/passwd", "other/f": "/"} {
		if err := os.Symlink(to, filepath.Join(dir, at)); err != nil {
			t.Skip(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "out/a.1"), filepath.Join(dir, "other/twin")); err != nil {
		t.Skip(err)
	}
	deep := filepath.Join(dir, "other", strings.Repeat("d/", 200))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := engine.CollectSome(t.Context(), dir, some, engine.CollectLimits{Files: 5})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, o := range got {
		paths = append(paths, o.Path)
	}
	if d := cmp.Diff([]string{"out/a.1", "out/b/c.1"}, paths); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
}

// TestCollectSomeRefuses holds that what is wanted is judged as by Collect.
func TestCollectSomeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		code string
		make func(dir string) error
	}{
		"symlink":  {"output-symlink", func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "out/x.1")) }},
		"bad mode": {"output-bad-mode", func(dir string) error { return os.Chmod(filepath.Join(dir, "out/a.1"), 0o000) }},
		"bad name": {"output-bad-name", func(dir string) error { return os.WriteFile(filepath.Join(dir, "out/\n.1"), nil, 0o600) }},
		"too many": {"output-too-many", func(dir string) error { return os.WriteFile(filepath.Join(dir, "out/b.1"), nil, 0o600) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, map[string]string{"out/a.1": "a"})
			if err := tc.make(dir); err != nil {
				t.Skip(err)
			}
			_, err := engine.CollectSome(t.Context(), dir, some, engine.CollectLimits{Files: 2})
			if gate.Code(err) != tc.code {
				t.Errorf("%v, want %s", err, tc.code)
			}
		})
	}
}
