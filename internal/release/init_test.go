package release

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/gate"
)

// fresh is an empty repository beside the project's, on the same machine.
func fresh(t *testing.T, p *Project, branch string) *Project {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hello")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	inGit(t, p, "init", "-q", "-b", branch, dir)
	q, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	q.KeyDir, q.Tool, q.CacheDir, q.Engine = p.KeyDir, p.Tool, p.CacheDir, p.Engine
	return q
}

// TestInitTakesAKeyOver: keys are kept by the project's name, so that a second project of that name has the first one's.
func TestInitTakesAKeyOver(t *testing.T) {
	ctx, p := quick(t)
	q := fresh(t, p, "main")
	inTree(t, q, "go.mod", "module example.com/hello\n\ngo 1.26\n")
	inTree(t, q, "main.go", "package main\n\nfunc main() {}\n")
	made, err := q.Init(ctx, InitOptions{Identity: "maintainer"})
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(made.Warnings, "\n")
	for _, want := range []string{"KEY TAKEN OVER", q.Keys("hello").Path("maintainer"), "--name", "SELLO_KEYS"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %q", want, said)
		}
	}
	other := fresh(t, p, "main")
	inTree(t, other, "go.mod", "module example.com/hello\n\ngo 1.26\n")
	inTree(t, other, "main.go", "package main\n\nfunc main() {}\n")
	if made, err = other.Init(ctx, InitOptions{Identity: "other"}); err != nil || strings.Contains(strings.Join(made.Warnings, "\n"), "TAKEN OVER") {
		t.Errorf("a key of its own: %+v, %v", made, err)
	}
}

// TestInitOnAFeatureBranch: releases come from main where there is one.
func TestInitOnAFeatureBranch(t *testing.T) {
	ctx, p := quick(t)
	inGit(t, p, "rm", "-q", "sello.yaml", "trust.yaml")
	inGit(t, p, "commit", "-qm", "anew")
	for _, at := range [][]string{{"switch", "-q", "-c", "feature"}, {"checkout", "-q", "--detach"}} {
		inGit(t, p, at...)
		made, err := p.Init(ctx, InitOptions{Identity: "maintainer"})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(made.Warnings, "\n"), "releases come from main") {
			t.Errorf("%v: %q", at, made.Warnings)
		}
		remove(t, filepath.Join(p.Repo.Root(), "sello.yaml"))
		remove(t, filepath.Join(p.Repo.Root(), "trust.yaml"))
	}
}

// TestModuleByVersion: an empty repository releases a published module; the trust file is for all of its versions.
func TestModuleByVersion(t *testing.T) {
	ctx, p := quick(t)
	q := fresh(t, p, "main")
	made, err := q.Init(ctx, InitOptions{Identity: "maintainer", Source: "pkg:golang/rsc.io/2fa@v1.2.0"})
	if err != nil || made.Next[len(made.Next)-1] != "sello propose v1.2.0" {
		t.Fatalf("%+v, %v", made, err)
	}
	trusted, err := os.ReadFile(filepath.Join(q.Repo.Root(), TrustFile))
	if err != nil || !strings.Contains(string(trusted), "source: pkg:golang/rsc.io/2fa\n") {
		t.Errorf("%v in\n%s", err, trusted)
	}
	if _, err := q.Check(ctx, nil); err != nil {
		t.Error(err)
	}
	if v, err := q.Plan(ctx, ""); err != nil || !strings.HasPrefix(v.Version, "v1.2.0 ") {
		t.Errorf("%+v, %v", v, err)
	}
	inGit(t, q, "add", ".")
	inGit(t, q, "commit", "-qm", "Release with Sello")
	if _, err := q.Propose(ctx, ProposeOptions{Version: "v1.2.0"}); err != nil {
		t.Error(err)
	}
	_, err = q.Propose(ctx, ProposeOptions{Version: "v1.3.0"})
	refusedAs(t, err, "module-version-mismatch", "v1.2.0", "v1.3.0")
	inTree(t, q, filepath.Join("releases", "v1.3.0.yaml"), strings.ReplaceAll(readTree(t, q, "releases/v1.2.0.yaml"), "v1.2.0", "v1.3.0"))
	inGit(t, q, "add", ".")
	inGit(t, q, "commit", "-qm", "propose")
	if _, err = q.Plan(ctx, "v1.3.0"); gate.Code(err) != "module-version-mismatch" {
		t.Errorf("plan: %v", err)
	}
	if _, err = q.Plan(ctx, "v1.2.0"); err != nil {
		t.Errorf("plan: %v", err)
	}
}

func readTree(t *testing.T, p *Project, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.Repo.Root(), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
