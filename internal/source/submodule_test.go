package source_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/source"
)

// withSubmodules gives a repository with a submodule at libs/mid, which has one at inner.
func withSubmodules(t *testing.T) (r *testRepo, commit, mid, inner string) {
	t.Helper()
	innerRepo := newRepo(t)
	innerRepo.write("inner.txt", "inner\n")
	inner = innerRepo.commit("inner")
	midRepo := newRepo(t)
	midRepo.write("mid.txt", "mid\n")
	midRepo.git("submodule", "--quiet", "add", innerRepo.dir, "inner")
	mid = midRepo.commit("mid")
	r = newRepo(t)
	r.write("top.txt", "top\n")
	r.git("submodule", "--quiet", "add", "--name", "the mid", midRepo.dir, "libs/mid")
	r.git("submodule", "--quiet", "update", "--init", "--recursive")
	r.git("config", "--file", ".gitmodules", "submodule.the mid.url", "https://token@example.org/mid.git")
	r.symlink("libs/mid/inner/inner.txt", "link")
	return r, r.commit("top"), mid, inner
}

func TestExportSubmodules(t *testing.T) {
	t.Parallel()
	r, commit, mid, inner := withSubmodules(t)
	dest, tree := r.mustExport(commit)
	for name, want := range map[string]string{"top.txt": "top\n", "libs/mid/mid.txt": "mid\n", "libs/mid/inner/inner.txt": "inner\n", "link": "inner\n"} {
		if got, err := os.ReadFile(filepath.Join(dest, name)); string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if tree.Submodules[1].URI == "" {
		t.Error("no URI for the inner submodule")
	}
	tree.Submodules[1].URI = ""
	want := []source.Submodule{{Path: "libs/mid", URI: "https://example.org/mid.git", Commit: mid}, {Path: "libs/mid/inner", Commit: inner}}
	if diff := cmp.Diff(want, tree.Submodules); diff != "" {
		t.Error(diff)
	}
	if tree.Files != 6 { // top.txt, link, 2 × .gitmodules, mid.txt, inner.txt
		t.Errorf("%d files", tree.Files)
	}
	if dirty, err := r.open().Status(t.Context()); dirty || err != nil {
		t.Errorf("dirty %v, %v", dirty, err)
	}
	files, err := r.open().SnapshotFiles(t.Context())
	if diff := cmp.Diff([]string{".gitmodules", "libs/mid/.gitmodules", "libs/mid/inner/inner.txt", "libs/mid/mid.txt", "link", "top.txt"}, files); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}

	// The limits count over all of them.
	_, _, err = r.export(commit, source.Limits{Files: 8})
	wantCode(t, err, "source-too-many-files")
	_, _, err = r.export(commit, source.Limits{Depth: 2})
	wantCode(t, err, "source-too-deep")

	// A work tree without them, but with their stores, is as good.
	before := snapshot(t, dest)
	if err := os.RemoveAll(r.path("libs/mid")); err != nil {
		t.Fatal(err)
	}
	dest, _ = r.mustExport(commit)
	if diff := cmp.Diff(before, snapshot(t, dest)); diff != "" {
		t.Error(diff)
	}
}

func TestExportSubmodulesRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do          func(r *testRepo)
		code, where string
	}{
		"not there": {func(r *testRepo) {
			r.git("submodule", "--quiet", "deinit", "--all", "--force")
			if err := os.RemoveAll(r.path(".git/modules")); err != nil {
				r.t.Fatal(err)
			}
		}, "source-submodule-missing", "libs/mid"},
		"inner one not there": {func(r *testRepo) {
			r.git("-C", "libs/mid", "submodule", "--quiet", "deinit", "--all", "--force")
			if err := os.RemoveAll(r.path(".git/modules/the mid/modules")); err != nil {
				r.t.Fatal(err)
			}
		}, "source-submodule-missing", "libs/mid/inner"},
		"another commit": {func(r *testRepo) {
			sub := &testRepo{t: r.t, dir: r.path("libs/mid"), env: r.env}
			sub.write("more", "x")
			sub.commit("more")
		}, "source-submodule-dirty", "libs/mid"},
		"changed":           {func(r *testRepo) { r.write("libs/mid/mid.txt", "changed") }, "source-submodule-dirty", "libs/mid"},
		"inner one changed": {func(r *testRepo) { r.write("libs/mid/inner/inner.txt", "changed") }, "source-submodule-dirty", "libs/mid/inner"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, commit, _, _ := withSubmodules(t)
			test.do(r)
			_, _, err := r.export(commit, source.Limits{})
			if refusal := wantCode(t, err, test.code); refusal.Where != test.where || refusal.Fix == "" {
				t.Errorf("refused at %s, fix %s", refusal.Where, refusal.Fix)
			}
			if test.code == "source-submodule-dirty" {
				if dirty, err := r.open().Status(t.Context()); !dirty || err != nil {
					t.Errorf("status: dirty %v, %v", dirty, err)
				}
			}
		})
	}
}

// TestExportOlderSubmodule exports a commit whose submodule has moved on since, in a clean checkout.
func TestExportOlderSubmodule(t *testing.T) {
	t.Parallel()
	r, first, _, _ := withSubmodules(t)
	sub := &testRepo{t: r.t, dir: r.path("libs/mid"), env: r.env}
	sub.write("mid.txt", "newer\n")
	sub.commit("newer")
	r.commit("newer submodule")
	dest, _ := r.mustExport(first)
	if got, err := os.ReadFile(filepath.Join(dest, "libs/mid/mid.txt")); string(got) != "mid\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestHostileGitmodules(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	pinned := r.commit("a commit to pin")
	tree := func(modules string) string {
		return r.treeCommit(r.tree(treeEntry{"100644", ".gitmodules", r.blob(modules)}, treeEntry{"160000", "sub", pinned}))
	}
	for name, test := range map[string]struct{ commit, code string }{
		"none":               {r.treeCommit(r.tree(treeEntry{"160000", "sub", pinned})), "source-submodule-missing"},
		"other path":         {tree("[submodule \"x\"]\npath = other\nurl = u\n"), "source-submodule-missing"},
		"no store":           {tree("[submodule \"x\"]\npath = sub\nurl = u\n"), "source-submodule-missing"},
		"climbing name":      {tree("[submodule \"../../../../../evil\"]\npath = sub\nurl = u\n"), "source-bad-gitmodules"},
		"absolute name":      {tree("[submodule \"/etc\"]\npath = sub\nurl = u\n"), "source-bad-gitmodules"},
		"backslash in name":  {tree("[submodule \"..\\\\..\\\\x\"]\npath = sub\nurl = u\n"), "source-bad-gitmodules"},
		"path twice":         {tree("[submodule \"a\"]\npath = sub\n[submodule \"b\"]\npath = sub\n"), "source-bad-gitmodules"},
		"not configuration":  {tree("{\"submodules\": []}"), "source-bad-gitmodules"},
		"binary":             {tree("\x00\x01"), "source-bad-gitmodules"},
		"a folder":           {r.treeCommit(r.tree(treeEntry{"40000", ".gitmodules", r.tree()}, treeEntry{"160000", "sub", pinned})), "source-not-a-file"},
		"a symbolic link":    {r.treeCommit(r.tree(treeEntry{"120000", ".gitmodules", r.blob("x")}, treeEntry{"160000", "sub", pinned})), "source-not-a-file"},
		"too large":          {tree("#" + string(make([]byte, 1<<20))), "source-file-too-large"},
		"nothing but a name": {tree("[submodule \"x\"]\npath = sub\n"), "source-submodule-missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := r.export(test.commit, source.Limits{})
			wantCode(t, err, test.code)
		})
	}
	// A submodule whose folder is a link out of the work tree is not looked for behind it.
	other := newRepo(t)
	other.write("secret", "x")
	id := other.commit("elsewhere")
	r.symlink(other.dir, "sub")
	commit := r.treeCommit(r.tree(treeEntry{"100644", ".gitmodules", r.blob("[submodule \"x\"]\npath = sub\n")}, treeEntry{"160000", "sub", id}))
	_, _, err := r.export(commit, source.Limits{})
	wantCode(t, err, "source-submodule-missing")
}
