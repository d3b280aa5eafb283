package source_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/source"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("sub/deep/file", "x")
	commit := r.commit("first")
	linked := filepath.Join(t.TempDir(), "linked")
	r.git("worktree", "add", "-q", "-b", "second", linked)
	bare := filepath.Join(t.TempDir(), "bare.git")
	r.git("clone", "-q", "--bare", r.dir, bare)
	for _, test := range []struct{ name, dir, root string }{
		{"top", r.dir, r.dir}, {"below", r.path("sub/deep"), r.dir}, {"git directory", r.path(".git/hooks"), r.dir},
		{"linked work tree", linked, linked}, {"bare", bare, bare},
	} {
		repo, err := source.Open(t.Context(), test.dir)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if repo.Root() != test.root {
			t.Errorf("%s: root %s, want %s", test.name, repo.Root(), test.root)
		}
		if head, err := repo.Head(t.Context(), "main"); head != commit {
			t.Errorf("%s: head %s, %v", test.name, head, err)
		}
	}
	repo, err := source.Open(t.Context(), linked)
	if err != nil {
		t.Fatal(err)
	}
	if branch, err := repo.Branch(t.Context()); branch != "second" {
		t.Errorf("branch of linked work tree %q, %v", branch, err)
	}
	if dirty, err := repo.Status(t.Context()); dirty || err != nil {
		t.Errorf("linked work tree is dirty: %v, %v", dirty, err)
	}
	if repo, err = source.Open(t.Context(), bare); err != nil {
		t.Fatal(err)
	}
	_, err = repo.Status(t.Context())
	wantCode(t, err, "source-no-work-tree")
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(dir string){
		"empty folder":       func(string) {},
		"empty .git":         func(dir string) { writeFile(t, filepath.Join(dir, ".git", "x"), "", 0o644) },
		"pointer to nothing": func(dir string) { writeFile(t, filepath.Join(dir, ".git"), "gitdir: nowhere\n", 0o644) },
		"nonsense":           func(dir string) { writeFile(t, filepath.Join(dir, ".git"), "nonsense\n", 0o644) },
		"large pointer":      func(dir string) { writeFile(t, filepath.Join(dir, ".git"), strings.Repeat("gitdir: ", 1e5), 0o644) },
		"unknown extension": func(dir string) {
			initRepo(t, dir)
			writeFile(t, filepath.Join(dir, ".git", "config"), "[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tfuture = true\n", 0o644)
		},
		"broken configuration": func(dir string) {
			initRepo(t, dir)
			writeFile(t, filepath.Join(dir, ".git", "config"), "[core\n", 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			prepare(dir)
			_, err := source.Open(t.Context(), dir)
			if refusal := wantCode(t, err, "source-not-a-repository"); refusal.Fix == "" {
				t.Error("no fix")
			}
		})
	}
	_, err := source.Open(t.Context(), filepath.Join(t.TempDir(), "not there"))
	wantCode(t, err, "source-not-a-repository")
}

func TestGitMissing(t *testing.T) { // not parallel: changes PATH
	r := newRepo(t)
	t.Setenv("PATH", t.TempDir())
	_, err := source.Open(t.Context(), r.dir)
	wantCode(t, err, "source-git-missing")
}

func TestBranches(t *testing.T) {
	t.Parallel()
	origin := newRepo(t)
	ctx := t.Context()
	if branch, err := origin.open().Branch(ctx); branch != "main" || err != nil {
		t.Errorf("before the first commit: %q, %v", branch, err)
	}
	first := origin.commit("first")
	for _, name := range []string{"release-1.0", "release-1.1", "release", "feature/x", "only-there"} {
		origin.git("branch", name)
	}
	r := origin.clone()
	r.git("branch", "release-1.1")
	r.git("branch", "local")
	local := r.commit("local work")
	repo := r.open()

	for pattern, want := range map[string][]string{
		"release-*": {"release-1.0", "release-1.1"}, "release*": {"release", "release-1.0", "release-1.1"}, "release": {"release"},
		"feature/*": {"feature/x"}, "nothing*": nil, "*": {"feature/x", "local", "main", "only-there", "release", "release-1.0", "release-1.1"},
	} {
		got, err := repo.BranchesMatching(ctx, pattern)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", pattern, err, diff)
		}
	}
	for _, pattern := range []string{"", "a*b", "-x*", "a b", "../*", "[a]*"} {
		_, err := repo.BranchesMatching(ctx, pattern)
		wantCode(t, err, "source-bad-branch")
	}
	for branch, want := range map[string]string{"main": local, "release-1.1": first, "only-there": first, "feature/x": first} {
		if got, err := repo.Head(ctx, branch); got != want {
			t.Errorf("head of %s: %s, %v; want %s", branch, got, err, want)
		}
	}
	_, err := repo.Head(ctx, "no-such")
	wantCode(t, err, "source-branch-missing")
	_, err = repo.Head(ctx, "feature")
	wantCode(t, err, "source-branch-missing")
	_, err = repo.Head(ctx, "--all")
	wantCode(t, err, "source-bad-branch")

	r.git("checkout", "-q", "--detach")
	_, err = repo.Branch(ctx)
	wantCode(t, err, "source-detached-head")
}

func TestRemoteURL(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	if got, ok := r.open().RemoteURL(t.Context()); ok {
		t.Errorf("no remote, but %q", got)
	}
	r.git("config", "remote.origin.url", "https://user:secret@example.org/project.git")
	r.git("config", "url.https://evil.example/.insteadOf", "https://")
	if got, ok := r.open().RemoteURL(t.Context()); got != "https://example.org/project.git" || !ok {
		t.Errorf("%q, %v", got, ok)
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t, "--object-format="+format)
			r.write("file", "x")
			first := r.commit("first")
			second := r.commit("A subject\nin two lines\x1b[31m\n\nBody.\n\nMore: body")
			r.git("tag", "-a", "-m", "annotated", "v1")
			c, err := r.open().Commit(t.Context(), second)
			want := source.Commit{
				ID: second, Tree: r.git("rev-parse", "HEAD^{tree}"), Parents: []string{first}, Time: time.Unix(when, 0).UTC(),
				Author: "Ann Author <ann@example.org>", Committer: "Carl Committer <carl@example.org>", Subject: "A subject in two lines[31m",
			}
			if diff := cmp.Diff(want, c); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
			for id, code := range map[string]string{
				r.git("rev-parse", "v1"):              "source-not-a-commit",
				r.git("rev-parse", "HEAD^{tree}"):     "source-not-a-commit",
				r.git("rev-parse", "HEAD:file"):       "source-not-a-commit",
				strings.Repeat("1", len(first)):       "source-commit-missing",
				strings.Repeat("0", len(first)):       "source-commit-missing",
				first[:12]:                            "source-bad-commit-id",
				strings.ToUpper(first):                "source-bad-commit-id",
				strings.Repeat("1", 104-len(first)):   "source-bad-commit-id",
				"HEAD":                                "source-bad-commit-id",
				"main":                                "source-bad-commit-id",
				"":                                    "source-bad-commit-id",
				"--batch":                             "source-bad-commit-id",
				first + "\n":                          "source-bad-commit-id",
				first[:len(first)-1] + "\x00":         "source-bad-commit-id",
				strings.Repeat("not hex\x1b[2J", 1e3): "source-bad-commit-id",
			} {
				_, err := r.open().Commit(t.Context(), id)
				if refusal := wantCode(t, err, code); len(refusal.Error()) > 1000 {
					t.Errorf("refusal has %d bytes", len(refusal.Error()))
				}
			}
		})
	}
}

func TestCommitMalformed(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	tree := r.tree()
	person := "A <a@example.org> 1767225600 +0000"
	for name, body := range map[string]string{
		"empty":               "",
		"no tree":             "author " + person + "\ncommitter " + person + "\n\nx\n",
		"short tree":          "tree abc\nauthor " + person + "\ncommitter " + person + "\n\nx\n",
		"bad parent":          "tree " + tree + "\nparent xyz\nauthor " + person + "\ncommitter " + person + "\n\nx\n",
		"no author":           "tree " + tree + "\ncommitter " + person + "\n\nx\n",
		"no committer":        "tree " + tree + "\nauthor " + person + "\n\nx\n",
		"two authors":         "tree " + tree + "\nauthor " + person + "\nauthor " + person + "\ncommitter " + person + "\n\nx\n",
		"no time":             "tree " + tree + "\nauthor " + person + "\ncommitter A <a@example.org>\n\nx\n",
		"time before 1970":    "tree " + tree + "\nauthor " + person + "\ncommitter A <a@example.org> -1 +0000\n\nx\n",
		"time of year 292277": "tree " + tree + "\nauthor " + person + "\ncommitter A <a@example.org> 9223372036854775807 +0000\n\nx\n",
		"time in hex":         "tree " + tree + "\nauthor " + person + "\ncommitter A <a@example.org> 0x10 +0000\n\nx\n",
		"no address":          "tree " + tree + "\nauthor " + person + "\ncommitter A 1767225600 +0000\n\nx\n",
	} {
		t.Run(name, func(t *testing.T) {
			id := r.gitInput(body, "hash-object", "--literally", "-w", "-t", "commit", "--stdin")
			_, err := r.open().Commit(t.Context(), id)
			wantCode(t, err, "source-bad-commit")
			_, _, err = r.export(id, source.Limits{})
			wantCode(t, err, "source-bad-commit")
		})
	}
}

func TestReadFileAndList(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("releases/v1.0.0.yaml", "version: v1.0.0\n")
	r.write("releases/v1.1.0.yaml", "version: v1.1.0\n")
	r.write("releases/old/v0.yaml", "")
	r.write("releases.txt", "")
	r.symlink("releases.txt", "link")
	r.symlink("releases", "linked")
	commit := r.commit("first")
	r.write("releases/v1.0.0.yaml", "version: changed\n") // the work tree does not matter
	repo := r.open()
	ctx := t.Context()

	if b, err := repo.ReadFile(ctx, commit, "releases/v1.0.0.yaml", 16); string(b) != "version: v1.0.0\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	for dir, want := range map[string][]string{
		"releases": {"old", "v1.0.0.yaml", "v1.1.0.yaml"}, ".": {"link", "linked", "releases", "releases.txt"}, "releases/old": {"v0.yaml"},
	} {
		if got, err := repo.List(ctx, commit, dir); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: %v, %v", dir, got, err)
		}
	}
	read := func(path string) error { _, err := repo.ReadFile(ctx, commit, path, 1000); return err }
	list := func(path string) error { _, err := repo.List(ctx, commit, path); return err }
	for _, path := range []string{"nothing", "releases/nothing", "releases.txt/below", "nothing/below", "linked/v1.0.0.yaml", "RELEASES/v1.0.0.yaml"} {
		if err := read(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read %s: %v", path, err)
		}
		if err := list(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("list %s: %v", path, err)
		}
	}
	for _, path := range []string{"", "/releases", "../x", "releases/", "releases/../link", "a//b", "releases/\x00"} {
		if path != "releases/\x00" {
			wantCode(t, read(path), "source-bad-path")
			wantCode(t, list(path), "source-bad-path")
		} else if err := read(path); err == nil {
			t.Error("a path with NUL was read")
		}
	}
	wantCode(t, read("link"), "source-not-a-file")
	wantCode(t, read("releases"), "source-not-a-file")
	wantCode(t, read("."), "source-not-a-file")
	wantCode(t, list("releases.txt"), "source-not-a-folder")
	wantCode(t, list("linked"), "source-not-a-folder")
	_, err := repo.ReadFile(ctx, commit, "releases/v1.0.0.yaml", 15)
	wantCode(t, err, "source-file-too-large")

	// Which of two is meant?
	a, b := r.blob("a"), r.blob("b")
	twice := r.treeCommit(r.tree(treeEntry{"100644", "f", a}, treeEntry{"100644", "f", b}))
	_, err = repo.ReadFile(ctx, twice, "f", 10)
	wantCode(t, err, "source-duplicate-entry")
	evil := r.treeCommit(r.tree(treeEntry{"100644", "a\nb", a}))
	_, err = repo.List(ctx, evil, ".")
	wantCode(t, err, "source-bad-name")
}

func TestHistory(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("stable", "same")
	r.write("file", "1")
	first := r.commit("first")
	r.write("file", "2")
	second := r.commit("second")
	r.git("checkout", "-q", "-b", "side", first)
	r.write("dir/other", "x")
	side := r.commit("side")
	r.git("checkout", "-q", "main")
	r.git("merge", "-q", "--no-ff", "-m", "merge", "side")
	merge := r.git("rev-parse", "HEAD")
	if err := os.Chmod(r.path("stable"), 0o755); err != nil {
		t.Fatal(err)
	}
	mode := r.commit("mode")
	r.git("checkout", "-q", "--orphan", "apart")
	apart := r.commit("apart")
	repo := r.open()
	ctx := t.Context()

	for _, test := range []struct {
		commit, of string
		want       bool
	}{
		{first, first, true}, {first, second, true}, {second, first, false}, {side, second, false}, {side, merge, true},
		{first, mode, true}, {apart, mode, false}, {first, apart, false}, {merge, mode, true},
	} {
		if got, err := repo.IsAncestor(ctx, test.commit, test.of); got != test.want || err != nil {
			t.Errorf("%s of %s: %v, %v", test.commit, test.of, got, err)
		}
	}
	_, err := repo.IsAncestor(ctx, strings.Repeat("1", 40), mode)
	wantCode(t, err, "source-commit-missing")
	_, err = repo.IsAncestor(ctx, first, "main")
	wantCode(t, err, "source-bad-commit-id")
	dangling := r.treeCommit(r.git("rev-parse", "HEAD^{tree}"), strings.Repeat("1", 40))
	_, err = repo.IsAncestor(ctx, first, dangling)
	wantCode(t, err, "source-commit-missing")
}

// TestLongHistory crosses the border between two waves.
func TestLongHistory(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	tree := r.tree(treeEntry{"100644", "f", r.blob("x")})
	var tips []string
	for range 150 { // each is the parent of the next
		parents := tips
		if len(tips) > 0 {
			parents = tips[len(tips)-1:]
		}
		tips = append(tips, r.treeCommit(tree, parents...))
	}
	tip := r.treeCommit(tree, tips...) // and all are parents of one
	for _, id := range []string{tips[0], tips[1], tips[149]} {
		if is, err := r.open().IsAncestor(t.Context(), id, tip); !is || err != nil {
			t.Fatalf("%s: %v, %v", id, is, err)
		}
	}
}
