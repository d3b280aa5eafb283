package release

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/engine/host"
	"github.com/sello-release/sello/internal/gate"
)

// unsteady is an engine whose second run gives other bytes, as a build that is not reproducible does.
type unsteady struct {
	engine.Engine
	runs int
}

func (u *unsteady) Run(ctx context.Context, s engine.Step) (engine.Result, error) {
	r, err := u.Engine.Run(ctx, s)
	if u.runs++; u.runs < 2 || err != nil || r.ExitCode != 0 {
		return r, err
	}
	f, err := os.OpenFile(filepath.Join(s.Mounts[len(s.Mounts)-1].Host, "hello"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return r, err
	}
	_, err = f.WriteString("x")
	return r, errors.Join(err, f.Close())
}

// TestRebuildRefusesOtherBytes lets a manager's rebuild give other bytes than the stage.
func TestRebuildRefusesOtherBytes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the test's repository is made with a Unix shell")
	}
	if testing.Short() {
		t.Skip("compiles twice")
	}
	ctx := context.Background()
	p := project(t)
	if _, err := p.Stage(ctx, "v1.0.0"); err != nil {
		t.Fatalf("stage: %v", err)
	}
	_, err := p.SignOff(ctx, "v1.0.0", SignOffOptions{Rebuild: true})
	var r *gate.Refusal
	if !errors.As(err, &r) || r.Code != "not-reproducible" || r.Class != gate.NotReproducible {
		t.Fatalf("sign-off with a rebuild of other bytes: %v, want not-reproducible", err)
	}
	if made, err := p.SignOff(ctx, "v1.0.0", SignOffOptions{}); err != nil || made.Rebuilt {
		t.Fatalf("sign-off without a rebuild: %+v, %v", made, err)
	}
}

// project is a repository with a small program and a proposed release.
func project(t *testing.T) *Project {
	t.Helper()
	return projectOf(t, &unsteady{Engine: host.New(host.Options{})}, map[string]string{
		"go.mod":  "module example.com/hello\n\ngo 1.26\n",
		"main.go": "package main\n\nfunc main() { println(1) }\n",
		"sello.yaml": "project: hello\nsource: https://example.com/hello\nsource-archive: false\nbuilds:\n" +
			"  - go: {packages: [.], platforms: [linux/amd64], toolchain: go1.26.8}\n",
	})
}

// projectOf is a repository with the files, and a proposed release of v1.0.0.
func projectOf(t *testing.T, e engine.Engine, files map[string]string) *Project {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q", "-b", "main")
	p, err := Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	p.KeyDir, p.Tool, p.Now = filepath.Join(t.TempDir(), "keys"), "v0.0.0-test", time.Now
	p.CacheDir = testCache(t)
	p.Engine = e
	if _, err := p.Init(ctx, InitOptions{Identity: "maintainer"}); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-qm", "one")
	if _, err := p.Propose(ctx, ProposeOptions{Version: "v1.0.0"}); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-qm", "propose")
	return p
}

// testCache is where tests keep what they fetch.
func testCache(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("SELLO_TEST_CACHE"); dir != "" {
		return filepath.Join(dir, "sello")
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return t.TempDir()
	}
	return filepath.Join(dir, "sello-test", "sello")
}
