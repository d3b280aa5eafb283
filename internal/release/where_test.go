package release

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/gate"
)

// inGit runs git in the project's checkout.
func inGit(t *testing.T, p *Project, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", p.Repo.Root(), "-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func inTree(t *testing.T, p *Project, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.Repo.Root(), name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// refusedAs holds an error to a code and a word in it.
func refusedAs(t *testing.T, err error, code string, says ...string) {
	t.Helper()
	var r *gate.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Fatalf("%v, want %s", err, code)
	}
	for _, s := range says {
		if text := r.What + "\n" + r.Where + "\n" + r.Expected + "\n" + r.Actual + "\n" + r.Fix; !strings.Contains(text, s) {
			t.Errorf("%q is not in\n%s", s, text)
		}
	}
}

func quick(t *testing.T) (context.Context, *Project) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the test's repository is made with a Unix shell")
	}
	return context.Background(), project(t)
}

// TestProposeElsewhere: what is proposed is what the user looks at, or what they name.
func TestProposeElsewhere(t *testing.T) {
	ctx, p := quick(t)
	tip, err := p.Repo.Head(ctx, "main")
	if err != nil {
		t.Fatal(err)
	}
	inGit(t, p, "switch", "-q", "-c", "feature")
	if made, err := p.Propose(ctx, ProposeOptions{Version: "v1.1.0"}); err != nil || made.Commit != tip {
		t.Errorf("on a branch at the same commit: %+v, %v", made, err)
	}
	inGit(t, p, "commit", "-q", "--allow-empty", "-m", "a feature")
	_, err = p.Propose(ctx, ProposeOptions{Version: "v1.2.0"})
	refusedAs(t, err, "propose-branch", "branch feature", "branch main", "git switch main", "--commit "+tip)
	if made, err := p.Propose(ctx, ProposeOptions{Version: "v1.2.0", Commit: tip}); err != nil || made.Branch != "main" {
		t.Errorf("with the commit: %+v, %v", made, err)
	}
	inGit(t, p, "checkout", "-q", "--detach")
	_, err = p.Propose(ctx, ProposeOptions{Version: "v1.3.0"})
	refusedAs(t, err, "propose-branch", "no branch")
}

// TestDetachedHead: CI checks out commits and no branch.
func TestDetachedHead(t *testing.T) {
	ctx, p := quick(t)
	inGit(t, p, "checkout", "-q", "--detach")
	c, err := p.Candidate(ctx, "v1.0.0")
	if err != nil || c.Branch != "main" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, f := range Doctor(ctx, DoctorOptions{Dir: p.Repo.Root(), CacheDir: t.TempDir()}) {
		if f.Name == "repository" && !f.OK {
			t.Errorf("doctor: %+v", f)
		}
	}
	inGit(t, p, "branch", "-m", "main", "other")
	if _, err := p.Candidate(ctx, "v1.0.0"); gate.Code(err) != "source-detached-head" {
		t.Errorf("without the branch: %v", err)
	}
}

// TestReleaseNotes: they are looked for before there is a tag that needs them.
func TestReleaseNotes(t *testing.T) {
	ctx, p := quick(t)
	_, err := p.Propose(ctx, ProposeOptions{Version: "v1.1.0", Notes: "nope.md"})
	refusedAs(t, err, "release-notes-missing", "nope.md")
	if _, err := os.Stat(filepath.Join(p.Repo.Root(), "releases", "v1.1.0.yaml")); err == nil {
		t.Error("the release file was written all the same")
	}
	inTree(t, p, "news.md", "News\x00")
	_, err = p.Propose(ctx, ProposeOptions{Version: "v1.1.0", Notes: "news.md"})
	refusedAs(t, err, "release-notes-unusable", "news.md")
	inTree(t, p, "news.md", "News\n")
	if _, err = p.Propose(ctx, ProposeOptions{Version: "v1.1.0", Notes: "news.md"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Check(ctx, []string{"releases/v1.1.0.yaml"}); err != nil {
		t.Error(err)
	}
	inGit(t, p, "add", "releases")
	inGit(t, p, "commit", "-qm", "without the notes")
	_, err = p.Stage(ctx, "v1.1.0")
	refusedAs(t, err, "release-notes-missing", "news.md", "main")
	inGit(t, p, "add", ".")
	inGit(t, p, "commit", "-qm", "with the notes")
	if _, err := p.Candidate(ctx, "v1.1.0"); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(p.Repo.Root(), "news.md")); err != nil {
		t.Fatal(err)
	}
	_, err = p.Check(ctx, nil)
	refusedAs(t, err, "release-notes-missing", "news.md")
}

// TestReleaseFileElsewhere: it is said which branch has the file.
func TestReleaseFileElsewhere(t *testing.T) {
	ctx, p := quick(t)
	inGit(t, p, "switch", "-q", "-c", "proposal")
	if _, err := p.Propose(ctx, ProposeOptions{Version: "v1.1.0"}); err != nil {
		t.Fatal(err)
	}
	_, err := p.Candidate(ctx, "v1.1.0")
	refusedAs(t, err, "release-file-not-merged", "git add releases/v1.1.0.yaml")
	inGit(t, p, "add", ".")
	inGit(t, p, "commit", "-qm", "propose")
	inGit(t, p, "switch", "-q", "main")
	inTree(t, p, "main.go", "package main\n\nfunc main() { println(2) }\n")
	inGit(t, p, "commit", "-qam", "main goes on")
	_, err = p.Candidate(ctx, "releases/v1.1.0")
	refusedAs(t, err, "release-file-not-merged", "it is on proposal, and not on main", "git switch main && git merge proposal")
	for typed, want := range map[string]string{
		"v1.1.0": "releases/v1.1.0.yaml", "v1.1.0.yaml": "releases/v1.1.0.yaml", "releases/v1.1.0": "releases/v1.1.0.yaml", "./releases/v1.1.0.yaml": "releases/v1.1.0.yaml",
		"v1.1.0-rc.1": "releases/v1.1.0-rc.1.yaml", "releases/v1.1.0-rc.1.yaml": "releases/v1.1.0-rc.1.yaml", filepath.Join(p.Repo.Root(), "releases", "v1.1.0.yaml"): "releases/v1.1.0.yaml",
		"sello.yaml": "sello.yaml", "vendor.yaml": "vendor.yaml",
	} {
		if got := p.repoPath(typed); got != want {
			t.Errorf("%s: %s, want %s", typed, got, want)
		}
	}
}
