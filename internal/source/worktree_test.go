package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/source"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		do   func(r *testRepo)
		want bool
	}{
		"nothing":             {func(*testRepo) {}, false},
		"touched":             {func(r *testRepo) { touch(r.t, r.path("file")) }, false},
		"changed":             {func(r *testRepo) { r.write("file", "changed") }, true},
		"staged":              {func(r *testRepo) { r.write("file", "changed"); r.git("add", ".") }, true},
		"removed":             {func(r *testRepo) { _ = os.Remove(r.path("file")) }, true},
		"untracked":           {func(r *testRepo) { r.write("new", "x") }, true},
		"ignored":             {func(r *testRepo) { r.write("x.log", "x") }, false},
		"excluded":            {func(r *testRepo) { r.write(".git/info/exclude", "mine\n"); r.write("mine", "x") }, false},
		"executable":          {func(r *testRepo) { _ = os.Chmod(r.path("file"), 0o755) }, true},
		"mode does not count": {func(r *testRepo) { r.git("config", "core.fileMode", "false"); _ = os.Chmod(r.path("file"), 0o755) }, false},
		"split index":         {func(r *testRepo) { r.git("update-index", "--split-index") }, false},
		"split index, change": {func(r *testRepo) { r.git("update-index", "--split-index"); r.write("file", "changed") }, true},
		"line ends": {func(r *testRepo) {
			r.git("config", "core.autocrlf", "true")
			r.write("file", "content\r\n")
			r.git("add", "file")
			touch(r.t, r.path("file"))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.write("file", "content\n")
			r.write(".gitignore", "*.log\n")
			r.commit("first")
			change.do(r)
			index, err := os.ReadFile(r.path(".git/index"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.open().Status(t.Context()); got != change.want || err != nil {
				t.Errorf("dirty %v, %v; want %v", got, err, change.want)
			}
			if after, err := os.ReadFile(r.path(".git/index")); err != nil || string(after) != string(index) {
				t.Error("the index was written")
			}
		})
	}
	empty := newRepo(t)
	if dirty, err := empty.open().Status(t.Context()); dirty || err != nil {
		t.Errorf("before the first commit: %v, %v", dirty, err)
	}
}

func touch(t testing.TB, name string) {
	t.Helper()
	if err := os.Chtimes(name, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
}

// TestUserIgnores cannot run in parallel: it sets HOME.
func TestUserIgnores(t *testing.T) {
	r := newRepo(t)
	r.commit("first")
	r.write("mine.tmp", "x")
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	dirty := func() bool {
		t.Helper()
		dirty, err := r.open().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return dirty
	}
	if !dirty() {
		t.Error("an empty HOME hides a file")
	}
	writeFile(t, filepath.Join(home, ".config/git/ignore"), "*.tmp\n", 0o644)
	if dirty() {
		t.Error("git's default list is not used")
	}
	writeFile(t, filepath.Join(home, ".gitconfig"), "[core]\n\texcludesFile = ~/other\n", 0o644)
	if !dirty() {
		t.Error("the default list is used though another is set")
	}
	writeFile(t, filepath.Join(home, "other"), "mine*\n", 0o644)
	if dirty() {
		t.Error("the list that is set is not used")
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("tracked", "1")
	r.write("gone", "x")
	r.write("moved/file", "x")
	r.write(".gitignore", "ignored\n/build/\n")
	r.commit("first")
	r.write("tracked", "changed")
	r.write("new/untracked", "2")
	writeFile(t, r.path("new/run"), "3", 0o700)
	r.write("large", strings.Repeat("x", 300_000))
	r.write("ignored", "x")
	r.write("build/output", "x")
	r.write("nested/inner", "x")
	initRepo(t, r.path("nested"))
	r.symlink("new/run", "link")
	if err := os.Remove(r.path("gone")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(r.path("moved")); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	writeFile(t, filepath.Join(elsewhere, "file"), "secret", 0o644)
	r.symlink(".", "moved") // moved/file is tracked, and now behind a link
	want := []string{".gitignore", "large", "link", "moved", "new/run", "new/untracked", "tracked"}
	got, err := r.open().SnapshotFiles(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("%v %s", err, diff)
	}

	dest := filepath.Join(t.TempDir(), "copy")
	tree, err := r.open().CopyWorkTree(t.Context(), dest, source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(source.Tree{Files: 7, Bytes: 300_000 + 16 + 1 + 1 + 7}, tree); diff != "" {
		t.Error(diff)
	}
	for name, content := range map[string]string{"tracked": "changed", "new/untracked": "2", "link": "3", "moved/tracked": "changed"} {
		if b, err := os.ReadFile(filepath.Join(dest, name)); string(b) != content {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dest, "new/run")); err != nil || info.Mode() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for name, prepare := range map[string]struct {
		do   func(*testRepo)
		code string
	}{
		"link":      {func(r *testRepo) { r.symlink("/etc/passwd", "l") }, "source-symlink-escapes"},
		"case":      {func(r *testRepo) { r.write("a/x", ""); r.write("A/y", "") }, "source-case-collision"},
		"name":      {func(r *testRepo) { r.write("a\nb", "") }, "source-bad-name"},
		"too large": {func(r *testRepo) { r.write("big", strings.Repeat("x", 1001)) }, "source-file-too-large"},
		"too many":  {func(r *testRepo) { r.write("1", ""); r.write("2", ""); r.write("3", ""); r.write("4/5", "") }, "source-too-many-files"},
		"too deep":  {func(r *testRepo) { r.write("1/2/3/x", "") }, "source-too-deep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			prepare.do(r)
			dest := filepath.Join(t.TempDir(), "copy")
			_, err := r.open().CopyWorkTree(t.Context(), dest, source.Limits{File: 1000, Files: 4, Depth: 2})
			wantCode(t, err, prepare.code)
			if _, err := os.Stat(dest); err == nil {
				t.Error("something was left behind")
			}
		})
	}
}
