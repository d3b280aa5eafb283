package release

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/engine/bubblewrap"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/source"
)

// DoctorOptions say what to examine.
type DoctorOptions struct {
	Dir      string
	CacheDir string
}

// Finding is one thing that Doctor looked at.
type Finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Found  string `json:"found"`
	Fix    string `json:"fix,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// minSpace is what a release of an ordinary project needs for toolchain, modules and outputs, in bytes.
const minSpace = 4 << 30

// Doctor says what is missing on this machine, each with its fix.
func Doctor(ctx context.Context, o DoctorOptions) []Finding {
	return []Finding{
		program(ctx, "git", "install git (apt install git)", "--version"),
		program(ctx, "go", "install Go from go.dev/dl, any version from 1.21; releases are built with the toolchain that sello.yaml names", "version"),
		tempFolder(os.TempDir()),
		sandbox(ctx),
		checkout(ctx, o.Dir),
		freeSpace("space for work", o.Dir),
		freeSpace("space for the cache", o.CacheDir),
		clock(ctx, o.Dir),
	}
}

// DoctorErr is the refusal that stands for all failed findings, or nil.
func DoctorErr(findings []Finding) error {
	var bad []string
	for _, f := range findings {
		if !f.OK {
			bad = append(bad, f.Name)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &gate.Refusal{Code: "machine-not-ready", Class: gate.Failed, What: "this machine cannot stage a release yet", Actual: "not as needed: " + strings.Join(bad, ", "), Fix: "do what is said above, then run sello doctor again"}
}

func program(ctx context.Context, name, fix string, args ...string) Finding {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return Finding{Name: name, Found: "not found", Reason: err.Error(), Fix: fix}
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return Finding{Name: name, OK: true, Found: line}
}

func sandbox(ctx context.Context) Finding {
	e := bubblewrap.New(bubblewrap.Options{})
	if err := e.Check(ctx); err != nil {
		return because(err, Finding{Name: "sandbox", Found: "cannot be used", Fix: "mend that, then run sello doctor again"})
	}
	return Finding{Name: "sandbox", OK: true, Found: e.Info().Name + " " + e.Info().Version}
}

// because gives a finding its reason, and the fix of the refusal that is the reason.
func because(err error, f Finding) Finding {
	f.Reason = err.Error()
	if r, ok := asRefusal(err); ok {
		f.Reason, f.Fix = r.What, orText(r.Fix, f.Fix)
	}
	return f
}

// tempFolder looks whether steps can have their scratch folders: without them sandbox and repository fail too.
func tempFolder(dir string) Finding {
	f := Finding{Name: "temporary folder", OK: true, Found: dir}
	made, err := os.MkdirTemp(dir, "sello-doctor-")
	if err == nil {
		err = os.Remove(made)
	}
	if err != nil {
		f.OK, f.Reason, f.Fix = false, err.Error(), "make "+dir+" a folder that this user can write to, or set TMPDIR to one"
	}
	return f
}

func checkout(ctx context.Context, dir string) Finding {
	repo, err := source.Open(ctx, dir)
	if err != nil {
		return because(err, Finding{Name: "repository", Found: "none that can be used here", Fix: "run sello in a git checkout of the project"})
	}
	branch, err := repo.Branch(ctx)
	if err == nil {
		return Finding{Name: "repository", OK: true, Found: repo.Root() + " on " + branch}
	}
	p := &Project{Repo: repo}
	if branch, _, err = p.branch(ctx); err != nil {
		return because(err, Finding{Name: "repository", Found: repo.Root() + ", and no release branch in it", Fix: "git switch BRANCH"})
	}
	return Finding{Name: "repository", OK: true, Found: repo.Root() + " on no branch (releases come from " + branch + ")"}
}

func freeSpace(name, dir string) Finding {
	free, err := available(existing(dir))
	switch {
	case err != nil:
		return Finding{Name: name, OK: true, Found: "unknown: " + err.Error()}
	case free < minSpace:
		return Finding{Name: name, Found: fmt.Sprintf("%.1f GiB free in %s", float64(free)/(1<<30), dir), Fix: fmt.Sprintf("free at least %d GiB, or set SELLO_CACHE to a folder elsewhere", minSpace>>30)}
	}
	return Finding{Name: name, OK: true, Found: fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30))}
}

// existing gives the nearest folder above dir that exists.
func existing(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "."
	}
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// clock compares the machine's time with what cannot be in the future: the newest commit.
func clock(ctx context.Context, dir string) Finding {
	now := time.Now()
	f := Finding{Name: "clock", OK: true, Found: now.UTC().Format(time.RFC3339) + " (" + runtime.GOOS + "/" + runtime.GOARCH + ")"}
	repo, err := source.Open(ctx, dir)
	if err != nil {
		return f
	}
	branch, err := repo.Branch(ctx)
	if err != nil {
		return f
	}
	tip, err := repo.Head(ctx, branch)
	if err != nil {
		return f
	}
	if c, err := repo.Commit(ctx, tip); err == nil && c.Time.After(now.Add(5*time.Minute)) {
		f.OK, f.Reason, f.Fix = false, "the newest commit is from the future: "+c.Time.Format(time.RFC3339), "set the clock (timedatectl set-ntp true): sign-offs carry its time"
	}
	return f
}
