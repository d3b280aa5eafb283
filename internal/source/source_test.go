package source_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/source"
)

// when is the time of every commit in these tests.
const when = 1767225600 // 2026-01-01T00:00:00Z

// testRepo is a repository made by git itself.
type testRepo struct {
	t   testing.TB
	dir string
	env []string
}

func newRepo(t testing.TB, initOptions ...string) *testRepo {
	t.Helper()
	return initRepo(t, filepath.Join(t.TempDir(), "repo"), initOptions...)
}

func initRepo(t testing.TB, dir string, initOptions ...string) *testRepo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	r := &testRepo{t: t, dir: dir, env: append(gitEnv(t),
		fmt.Sprintf("GIT_AUTHOR_DATE=%d +0200", when), fmt.Sprintf("GIT_COMMITTER_DATE=%d -0300", when))}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git(append([]string{"init", "-q", "-b", "main"}, initOptions...)...)
	return r
}

// gitEnv is an environment in which git sees nothing of this machine's settings.
func gitEnv(t testing.TB) []string {
	t.Helper()
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir(), "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ann Author", "GIT_AUTHOR_EMAIL=ann@example.org",
		"GIT_COMMITTER_NAME=Carl Committer", "GIT_COMMITTER_EMAIL=carl@example.org",
		"GIT_ALLOW_PROTOCOL=file",
	}
}

func (r *testRepo) git(args ...string) string {
	r.t.Helper()
	return r.gitInput("", args...)
}

func (r *testRepo) gitInput(stdin string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, r.env, strings.NewReader(stdin)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func (r *testRepo) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func (r *testRepo) write(name, content string) {
	r.t.Helper()
	writeFile(r.t, r.path(name), content, 0o644)
}

func writeFile(t testing.TB, name, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func (r *testRepo) symlink(target, name string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Symlink(target, r.path(name)); err != nil {
		r.t.Skipf("no symbolic links here: %v", err)
	}
}

// commit commits everything and gives the id.
func (r *testRepo) commit(message string) string {
	r.t.Helper()
	r.git("add", "-A", "--", ".")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

// blob, tree and treeCommit write objects that git's own commands would not.
func (r *testRepo) blob(content string) string {
	r.t.Helper()
	return r.gitInput(content, "hash-object", "-w", "--stdin")
}

type treeEntry struct{ mode, name, id string }

func (r *testRepo) tree(entries ...treeEntry) string {
	r.t.Helper()
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%s %s\x00", e.mode, e.name)
		id, err := hex.DecodeString(e.id)
		if err != nil {
			r.t.Fatal(err)
		}
		b.Write(id)
	}
	return r.gitInput(b.String(), "hash-object", "--literally", "-w", "-t", "tree", "--stdin")
}

func (r *testRepo) treeCommit(tree string, parents ...string) string {
	r.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	fmt.Fprintf(&b, "author A <a@example.org> %d +0000\ncommitter C <c@example.org> %d +0000\n\nmade by hand\n", when, when)
	return r.gitInput(b.String(), "hash-object", "--literally", "-w", "-t", "commit", "--stdin")
}

func (r *testRepo) open() *source.Repository {
	r.t.Helper()
	repo, err := source.Open(r.t.Context(), r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	return repo
}

// export exports into a new folder.
func (r *testRepo) export(commit string, l source.Limits) (string, source.Tree, error) {
	r.t.Helper()
	dest := filepath.Join(r.t.TempDir(), "out")
	tree, err := r.open().Export(r.t.Context(), commit, dest, l)
	if err != nil {
		if _, statErr := os.Lstat(dest); !errors.Is(statErr, fs.ErrNotExist) {
			r.t.Errorf("after a refused export the folder is still there: %v", statErr)
		}
	}
	return dest, tree, err
}

func (r *testRepo) mustExport(commit string) (string, source.Tree) {
	r.t.Helper()
	dest, tree, err := r.export(commit, source.Limits{})
	if err != nil {
		r.t.Fatal(err)
	}
	return dest, tree
}

// snapshot describes a folder: one line a file, link and folder, with mode, time and content.
func snapshot(t *testing.T, dir string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		line := fmt.Sprintf("%s %v %d", filepath.ToSlash(name), info.Mode(), info.ModTime().Unix())
		switch info.Mode().Type() {
		case 0:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %q", b)
		case fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

func wantCode(t *testing.T, err error, code string) *gate.Refusal {
	t.Helper()
	if got := gate.Code(err); got != code {
		t.Fatalf("code %q, want %q; error: %v", got, code, err)
	}
	var r *gate.Refusal
	errors.As(err, &r)
	if strings.ContainsFunc(r.Error(), func(c rune) bool { return c < ' ' || c == 0x7f }) {
		t.Errorf("refusal contains control characters: %q", r.Error())
	}
	if r.What == "" || r.Where == "" {
		t.Errorf("refusal does not say what and where: %+v", r)
	}
	return r
}
