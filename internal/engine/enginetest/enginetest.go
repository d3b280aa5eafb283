// Package enginetest is the suite that every engine passes.
//
// Run tries what the engine.Engine interface promises of any engine: commands, environment, mounts, logs, limits, interruption,
// refusals. Of an engine that isolates, it also tries every way out that we know of, with a hostile step, and
// expects each to fail, for the right reason where that matters. Every attack is bounded, aimed at this test's own
// files, sockets and processes, and cleaned up.
package enginetest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

// Expect says what the engine promises.
type Expect struct {
	// Isolated engines must withstand the hostile steps.
	Isolated bool
}

// Run tries the engines that fresh gives: one for each test. It skips, saying why, when the engine's Check refuses.
func Run(t *testing.T, fresh func(*testing.T) engine.Engine, expect Expect) {
	t.Helper()
	if err := fresh(t).Check(t.Context()); err != nil {
		t.Skipf("the engine cannot run here: %v", err)
	}
	s := &suite{fresh: fresh, expect: expect, probe: Probe(t)}
	t.Run("functional", s.functional)
	t.Run("limits", s.limits)
	t.Run("refusals", s.refusals)
	t.Run("root", s.root)
	if expect.Isolated {
		t.Run("hostile", s.hostile)
	}
}

type suite struct {
	fresh  func(*testing.T) engine.Engine
	expect Expect
	probe  string // folder that holds the probe
}

// ProbeVariable names a folder with a probe that is compiled already, for tests that run as a user without a Go toolchain.
const ProbeVariable = "SELLO_ENGINETEST_PROBE"

// Probe compiles the probe and gives the folder that it is alone in, as "probe" (probe.exe on Windows).
func Probe(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv(ProbeVariable); dir != "" {
		return dir
	}
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, probeName()), "github.com/sello-release/sello/internal/engine/enginetest/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile the probe: %v\n%s", err, out)
	}
	return dir
}

func probeName() string {
	if runtime.GOOS == "windows" {
		return "probe.exe"
	}
	return "probe"
}

// ProbeStep is a step that runs the probe of a folder with args, and can write to the folder out, its /out.
func ProbeStep(probe, out string, args ...string) engine.Step {
	return engine.Step{
		Name: "probe " + args[0],
		Argv: append([]string{"/probe/" + probeName()}, args...),
		Mounts: []engine.Mount{
			{Host: probe, Target: "/probe", Materials: []material.Material{{Name: "probe", Digest: map[string]string{"sha256": strings.Repeat("0", 64)}}}},
			{Host: out, Target: "/out", Writable: true},
		},
	}
}

// outcome is what came of a step.
type outcome struct {
	engine.Result
	log string
	out string // the host's side of /out
	err error
}

// run runs the probe with a fresh engine; with may change the step.
func (s *suite) run(t *testing.T, with func(*engine.Step), args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	o := outcome{out: t.TempDir()}
	var log bytes.Buffer
	step := ProbeStep(s.probe, o.out, args...)
	step.Log = &log
	if with != nil {
		with(&step)
	}
	o.Result, o.err = s.fresh(t).Run(ctx, step)
	o.log = log.String()
	return o
}

// ok runs the probe and fails the test unless it exits with 0.
func (s *suite) ok(t *testing.T, with func(*engine.Step), args ...string) outcome {
	t.Helper()
	o := s.run(t, with, args...)
	if o.err != nil || o.ExitCode != 0 {
		t.Fatalf("probe %q: exit code %d, error %v, log:\n%s", args, o.ExitCode, o.err, o.log)
	}
	return o
}

// wantCode fails the test unless err is a refusal with that code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := gate.Code(err); got != code {
		t.Fatalf("refusal %q (%v), want %q", got, err, code)
	}
}
