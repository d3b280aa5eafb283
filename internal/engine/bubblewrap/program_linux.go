package bubblewrap

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// program is the bwrap on this machine.
type program struct {
	path    string // absolute
	version string // "0.8.0"
}

// atLeast compares the version with 0.minor.
func (p program) atLeast(minor int) bool {
	parts := strings.Split(p.version, ".")
	major, _ := strconv.Atoi(parts[0])
	got, _ := strconv.Atoi(parts[1])
	return major > 0 || got >= minor
}

// programCache remembers a program that was found; a missing one is looked for again.
type programCache struct {
	mu    sync.Mutex
	found *program
}

var versionLine = regexp.MustCompile(`^bubblewrap ([0-9]+\.[0-9]+(\.[0-9]+)?)`)

// find gives the bwrap in PATH, or refuses with sandbox-missing.
func (c *programCache) find(ctx context.Context) (program, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found != nil {
		return *c.found, nil
	}
	p, err := exec.LookPath("bwrap")
	if err == nil {
		p, err = filepath.Abs(p)
	}
	if err != nil {
		return program{}, missing("no bwrap in PATH", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p, "--version")
	cmd.Env = []string{}
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return program{}, fmt.Errorf("ask bwrap for its version: %w", ctx.Err())
	}
	if err != nil {
		return program{}, missing(p+" does not run", err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return program{}, missing(fmt.Sprintf("%s, which says %.80q", p, out), nil)
	}
	found := program{path: p, version: string(m[1])}
	if !found.atLeast(4) {
		return program{}, missing("bubblewrap "+found.version, nil)
	}
	c.found = &found
	return found, nil
}

func missing(actual string, cause error) error {
	return &gate.Refusal{Code: "sandbox-missing", Class: gate.Failed, What: "bubblewrap is not installed", Expected: "bwrap 0.4 or later",
		Actual: actual, Cause: cause, Fix: installHint(osRelease())}
}
