package source_test

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/source"
)

// TestNothingOfTheRepositoryRuns fills a repository's configuration with a program
// wherever git may be told to run one, and then does everything that this package does.
func TestNothingOfTheRepositoryRuns(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell script as the program")
	}
	r := newRepo(t)
	r.write("file", "content\n")
	r.write("sub/file", "content\n")
	r.write(".gitattributes", "* filter=evil diff=evil merge=evil text=auto\n")
	commit := r.commit("first")
	remote := filepath.Join(t.TempDir(), "remote.git")
	r.git("init", "-q", "--bare", remote)

	ran := filepath.Join(t.TempDir(), "ran")
	evil := filepath.Join(t.TempDir(), "evil")
	writeFile(t, evil, fmt.Sprintf("#!/bin/sh\necho \"$0 $*\" >>%q\nexec cat\n", ran), 0o755)
	for _, hook := range []string{
		"post-checkout", "post-index-change", "pre-push", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc",
		"post-rewrite", "update", "pre-receive", "post-update", "push-to-checkout", "proc-receive",
	} {
		writeFile(t, r.path(".git/hooks/"+hook), fmt.Sprintf("#!/bin/sh\nexec %q\n", evil), 0o755)
	}
	config := fmt.Sprintf(`
[core]
	fsmonitor = %[1]q
	hooksPath = %[2]q
	pager = %[1]q
	editor = %[1]q
	askPass = %[1]q
	sshCommand = %[1]q
	gitProxy = %[1]q
	alternateRefsCommand = %[1]q
	commitGraph = true
[filter "evil"]
	clean = %[1]q
	smudge = %[1]q
	process = %[1]q
	required = true
[diff]
	external = %[1]q
[diff "evil"]
	command = %[1]q
	textconv = %[1]q
[gpg]
	program = %[1]q
[gpg "ssh"]
	program = %[1]q
	defaultKeyCommand = %[1]q
[tag]
	gpgSign = true
[credential]
	helper = "!%[3]s"
[protocol]
	allow = always
[protocol "ext"]
	allow = always
[extensions]
	partialClone = origin
[remote "origin"]
	url = "ext::%[3]s %%S"
	promisor = true
	partialCloneFilter = blob:none
[uploadpack]
	packObjectsHook = %[1]q
`, evil, r.path(".git/hooks"), evil)
	for _, command := range []string{"cat-file", "status", "ls-files", "rev-parse", "for-each-ref", "config", "symbolic-ref", "hash-object", "update-ref"} {
		config += fmt.Sprintf("[alias]\n\t%s = \"!%s\"\n", command, evil)
	}
	appendFile(t, r.path(".git/config"), "[core]\n\trepositoryFormatVersion = 1\n"+config)
	r.write("file", "changed\n") // so that a status has to look at the content
	missing := r.treeCommit(r.tree(treeEntry{"100644", "gone", strings.Repeat("1", 40)}))

	repo := r.open()
	ctx := t.Context()
	_, key, _ := ed25519.GenerateKey(nil)
	steps := map[string]func() error{
		"branch":   func() error { _, err := repo.Branch(ctx); return err },
		"branches": func() error { _, err := repo.BranchesMatching(ctx, "*"); return err },
		"remote":   func() error { repo.RemoteURL(ctx); return nil },
		"head":     func() error { _, err := repo.Head(ctx, "main"); return err },
		"commit":   func() error { _, err := repo.Commit(ctx, commit); return err },
		"ancestor": func() error { _, err := repo.IsAncestor(ctx, commit, commit); return err },
		"read":     func() error { _, err := repo.ReadFile(ctx, commit, "file", 100); return err },
		"list":     func() error { _, err := repo.List(ctx, commit, "sub"); return err },
		"export": func() error {
			_, err := repo.Export(ctx, commit, filepath.Join(t.TempDir(), "a"), source.Limits{})
			return err
		},
		"status":   func() error { _, err := repo.Status(ctx); return err },
		"snapshot": func() error { _, err := repo.SnapshotFiles(ctx); return err },
		"copy": func() error {
			_, err := repo.CopyWorkTree(ctx, filepath.Join(t.TempDir(), "b"), source.Limits{})
			return err
		},
		"tag": func() error {
			return repo.CreateTag(ctx, source.TagRequest{Name: "v1", Commit: commit, Message: "m", Tagger: "T", Email: "t@example.org", Signer: key})
		},
	}
	for name, step := range steps {
		if err := step(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := repo.PushTag(ctx, remote, "v1"); err != nil {
		t.Errorf("push: %v", err)
	}
	if _, err := repo.Tags(ctx); err != nil {
		t.Error(err)
	}
	_, err := repo.Export(ctx, missing, filepath.Join(t.TempDir(), "c"), source.Limits{})
	wantCode(t, err, "source-object-missing") // and was not fetched from ext::
	if log, err := os.ReadFile(ran); err == nil {
		t.Errorf("a program of the repository ran:\n%s", log)
	}

	// The trap works: plain git walks into it.
	cmd := exec.Command("git", "status")
	cmd.Dir, cmd.Env = r.dir, r.env
	_ = cmd.Run()
	if _, err := os.Stat(ran); err != nil {
		t.Error("git status did not run the program, so this test shows nothing")
	}
}

func appendFile(t *testing.T, name, content string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
}

// TestEnvironmentIsIgnored cannot run in parallel: it sets variables that lead git astray.
func TestEnvironmentIsIgnored(t *testing.T) {
	r := newRepo(t)
	r.write("file", "content\n")
	commit := r.commit("first")
	other := newRepo(t)
	other.write("file", "other\n")
	other.commit("other")
	ran := filepath.Join(t.TempDir(), "ran")
	for name, value := range map[string]string{
		"GIT_DIR": other.path(".git"), "GIT_WORK_TREE": other.dir, "GIT_OBJECT_DIRECTORY": other.path(".git/objects"),
		"GIT_INDEX_FILE": other.path(".git/index"), "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor",
		"GIT_CONFIG_VALUE_0": "touch " + ran, "GIT_NAMESPACE": "evil", "GIT_REPLACE_REF_BASE": "refs/heads",
	} {
		t.Setenv(name, value)
	}
	repo := r.open()
	if repo.Root() != r.dir {
		t.Errorf("root %s, want %s", repo.Root(), r.dir)
	}
	if head, err := repo.Head(t.Context(), "main"); head != commit {
		t.Errorf("head %s, %v; want %s", head, err, commit)
	}
	if b, err := repo.ReadFile(t.Context(), commit, "file", 100); string(b) != "content\n" {
		t.Errorf("file %q, %v", b, err)
	}
	if dirty, err := repo.Status(t.Context()); dirty || err != nil {
		t.Errorf("dirty %v, %v", dirty, err)
	}
	if err := repo.CreateTag(t.Context(), source.TagRequest{Name: "v1", Commit: commit, Message: "m", Tagger: "T", Email: "t@example.org"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program of the environment ran")
	}
}

// TestReplaceAndGrafts: what git would show instead of a commit changes nothing.
func TestReplaceAndGrafts(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("file", "reviewed\n")
	first := r.commit("reviewed")
	good := r.git("rev-parse", "HEAD:file")
	tree := r.git("rev-parse", "HEAD^{tree}")
	r.git("checkout", "-q", "--orphan", "other")
	r.write("file", "evil\n")
	evil := r.commit("evil")
	before, _ := r.mustExport(first)
	want := snapshot(t, before)

	r.git("replace", first, evil)
	r.git("replace", tree, r.git("rev-parse", evil+"^{tree}"))
	r.git("replace", good, r.git("rev-parse", evil+":file"))
	writeFile(t, r.path(".git/info/grafts"), evil+" "+first+"\n", 0o644)
	if shown := r.git("cat-file", "-p", first+":file"); shown != "evil" {
		t.Fatalf("git does not follow the replace reference: %q", shown)
	}
	after, exported := r.mustExport(first)
	if diff := cmp.Diff(want, snapshot(t, after)); diff != "" {
		t.Error(diff)
	}
	if exported.Tree != tree {
		t.Errorf("tree %s, want %s", exported.Tree, tree)
	}
	if is, err := r.open().IsAncestor(t.Context(), first, evil); is || err != nil {
		t.Errorf("a graft made an ancestor: %v, %v", is, err)
	}
}

// TestForgedCommitGraph: git believes its commit graph; we do not.
func TestForgedCommitGraph(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	first := r.commit("first")
	second := r.commit("second")
	r.git("commit-graph", "write", "--reachable")
	graph := r.path(".git/objects/info/commit-graph")
	if err := os.Chmod(graph, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(graph, []byte("CGPH nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	if is, err := r.open().IsAncestor(t.Context(), first, second); !is || err != nil {
		t.Errorf("%v, %v", is, err)
	}
}

// TestCorruptObjects changes each kind of object behind git's back, so that it still unpacks,
// or does not.
func TestCorruptObjects(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, object string }{
		{"blob", "HEAD:dir/file"}, {"large blob", "HEAD:large"}, {"tree", "HEAD:dir"}, {"root tree", "HEAD^{tree}"}, {"commit", "HEAD"},
	}
	for _, test := range tests {
		for _, how := range []string{"another object", "cut off", "not zlib", "empty"} {
			t.Run(test.name+", "+how, func(t *testing.T) {
				t.Parallel()
				r := newRepo(t)
				r.write("dir/file", "content\n")
				r.write("large", strings.Repeat("large", 100_000))
				commit := r.commit("good")
				victim := r.object(r.git("rev-parse", test.object))
				r.write("dir/file", "changed\n")
				r.write("large", strings.Repeat("LARGE", 100_000))
				r.commit("another")
				b, err := os.ReadFile(victim)
				if err != nil {
					t.Fatal(err)
				}
				switch how {
				case "another object": // of the same kind and size
					b, err = os.ReadFile(r.object(r.git("rev-parse", test.object)))
					if err != nil {
						t.Fatal(err)
					}
				case "cut off":
					b = b[:len(b)-len(b)/3]
				case "not zlib":
					b = []byte("this is not an object")
				case "empty":
					b = nil
				}
				if err := os.Chmod(victim, 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(victim, b, 0o644); err != nil {
					t.Fatal(err)
				}
				_, _, err = r.export(commit, source.Limits{})
				wantCode(t, err, "source-object-corrupt")
			})
		}
	}
}

// object is the file of a loose object.
func (r *testRepo) object(id string) string {
	return r.path(".git/objects/" + id[:2] + "/" + id[2:])
}

func TestShallowClone(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("old", "old\n")
	first := r.commit("first")
	r.write("file", "1\n")
	r.commit("second")
	r.write("file", "2\n")
	third := r.commit("third")
	r.git("checkout", "-q", "--orphan", "other")
	unrelated := r.commit("other")
	r.git("checkout", "-q", "main")
	clone := r.clone("--depth=1", "--no-single-branch")
	repo := clone.open()
	ctx := t.Context()

	if _, _, err := clone.export(third, source.Limits{}); err != nil {
		t.Errorf("the tip itself: %v", err)
	}
	_, err := repo.Commit(ctx, first)
	if refusal := wantCode(t, err, "source-commit-missing"); refusal.Fix != "git fetch --unshallow" {
		t.Errorf("fix: %s", refusal.Fix)
	}
	_, err = repo.IsAncestor(ctx, unrelated, third)
	wantCode(t, err, "source-shallow")
	if is, err := repo.IsAncestor(ctx, third, third); !is || err != nil {
		t.Errorf("a commit and itself: %v, %v", is, err)
	}

	clone.git("fetch", "-q", "--unshallow")
	if is, err := repo.IsAncestor(ctx, unrelated, third); is || err != nil {
		t.Errorf("after the fix: %v, %v", is, err)
	}
}

func TestPartialClone(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.git("config", "uploadpack.allowFilter", "true")
	r.write("file", "content\n")
	commit := r.commit("first")
	clone := r.clone("--filter=blob:none", "--no-checkout")
	_, _, err := clone.export(commit, source.Limits{})
	if refusal := wantCode(t, err, "source-object-missing"); !strings.Contains(refusal.What, "partial clone") {
		t.Errorf("refusal does not say that the clone is partial: %v", refusal)
	}
	_, err = clone.open().ReadFile(t.Context(), commit, "file", 100)
	wantCode(t, err, "source-object-missing")
	if names, err := clone.open().List(t.Context(), commit, "."); len(names) != 1 || err != nil {
		t.Errorf("%v, %v", names, err)
	}
	clone.git("checkout", "-q") // fetches what is missing
	if _, _, err := clone.export(commit, source.Limits{}); err != nil {
		t.Error(err)
	}
}

// clone clones over the file protocol, so that depth and filters count.
func (r *testRepo) clone(options ...string) *testRepo {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "clone")
	r.git(append(append([]string{"clone", "-q"}, options...), "file://"+filepath.ToSlash(r.dir), dir)...)
	return &testRepo{t: r.t, dir: dir, env: r.env}
}

// TestHugeObjectsAreRefused: a commit or tag is not taken into memory at whatever size it says it has.
func TestHugeObjectsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("file", "content\n")
	commit := r.commit("first")
	long := strings.Repeat("x", 16<<20)
	who := fmt.Sprintf("Ann Author <ann@example.org> %d +0000", when)
	huge := r.gitInput("tree "+r.git("rev-parse", "HEAD^{tree}")+"\nauthor "+who+"\ncommitter "+who+"\n\n"+long+"\n", "hash-object", "-t", "commit", "-w", "--stdin")
	if _, err := r.open().Commit(t.Context(), huge); gate.Code(err) != "source-object-too-large" {
		t.Errorf("commit: %v", err)
	}
	tag := r.gitInput("object "+commit+"\ntype commit\ntag v1\ntagger "+who+"\n\n"+long+"\n", "hash-object", "-t", "tag", "-w", "--stdin")
	r.git("update-ref", "refs/tags/v1", tag)
	if _, _, err := r.open().Tag(t.Context(), "v1"); gate.Code(err) != "source-object-too-large" {
		t.Errorf("tag: %v", err)
	}
}
