package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/stage"
)

// compile runs one compile in the engine and moves its binaries to their final names.
func (a *assembly) compile(ctx context.Context, c build.Compile) (Compiled, error) {
	out := a.path("out", c.Build, strings.ReplaceAll(c.Platform.String(), "/", "-"))
	if err := emptyDir(out); err != nil {
		return Compiled{}, err
	}
	in := build.GoInputs{Toolchain: a.toolchains[c.Build], Modules: a.modules[c.Build], Programs: a.programs(c), Out: out}
	if a.origin.published != nil {
		in.Version = a.plan.Values.Version
	} else {
		in.Source = engine.Mount{Host: a.path("src"), Materials: a.origin.materials}
	}
	step, err := build.GoStep(c, in)
	if err != nil {
		return Compiled{}, err
	}
	log, err := a.logFile(c.Name())
	if err != nil {
		return Compiled{}, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	step.Log = log
	result, err := a.project.Engine.Run(ctx, step)
	if err != nil {
		return Compiled{}, withLog(err, log.Name(), result.Tail)
	}
	if result.ExitCode != 0 {
		return Compiled{}, &StepError{Step: c.Name(), Log: log.Name(), Tail: string(result.Tail), Err: &gate.Refusal{
			Code: "build-failed", Class: gate.Failed, Where: c.Name(), What: "the build failed", Expected: "exit code 0",
			Actual: fmt.Sprintf("exit code %d", result.ExitCode), Fix: "mend what the compiler says above"}}
	}
	done := Compiled{Started: result.Started.UTC(), Finished: result.Finished.UTC(), Isolation: result.Isolation, Materials: step.Materials()}
	if done.Binaries, err = a.collect(c, out); err != nil {
		return Compiled{}, withLog(err, log.Name(), nil)
	}
	sums, err := digest.File(log.Name())
	if err != nil {
		return Compiled{}, fmt.Errorf("hash log: %w", err)
	}
	done.Log = material.Material{Name: filepath.Base(log.Name()), Digest: map[string]string{"sha256": sums.SHA256}}
	return done, nil
}

// programs gives the main packages of a compile.
func (a *assembly) programs(c build.Compile) []material.Program {
	return a.modules[c.Build].Programs[c.Platform.String()]
}

// collect hashes what the step left, refuses anything but the expected binaries, and gives them their final names.
func (a *assembly) collect(c build.Compile, out string) ([]stage.Artifact, error) {
	if a.origin.published != nil {
		out = installedIn(out, c)
	}
	found, err := engine.Collect(out, engine.CollectLimits{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Path)
	}
	slices.Sort(names)
	if want := build.Binaries(c, a.programs(c)); !slices.Equal(want, names) {
		return nil, &gate.Refusal{Code: "build-output-unexpected", Where: c.Name(), What: "the build left other files than its programs",
			Expected: strings.Join(want, ", "), Actual: strings.Join(names, ", "), Fix: "look at the step's log; only the programs that the definition names may come out of it"}
	}
	var binaries []stage.Artifact
	for _, f := range found {
		name := build.BinaryPath(c.Platform, f.Path)
		if err := moveFile(filepath.Join(out, f.Path), a.filePath(name)); err != nil {
			return nil, err
		}
		binaries = append(binaries, stage.Artifact{Name: name, Kind: stage.KindBinary, Platform: c.Platform.String(), Build: c.Build, Sums: f.Sums})
	}
	return binaries, nil
}

// installedIn is where `go install` puts binaries below GOPATH: bin, or bin/os_arch when cross-compiling.
func installedIn(out string, c build.Compile) string {
	cross := filepath.Join(out, "bin", c.Platform.OS+"_"+c.Platform.Arch)
	if info, err := os.Lstat(cross); err == nil && info.IsDir() {
		return cross
	}
	return filepath.Join(out, "bin")
}

// stillThere checks that a compile's binaries are on disk with the digests recorded for them: what makes a resumed run skip the compile.
func (a *assembly) stillThere(artifacts []stage.Artifact) error {
	for _, b := range artifacts {
		sums, err := digest.File(a.filePath(b.Name))
		if err != nil {
			return err
		}
		if sums != b.Sums {
			return fmt.Errorf("%s changed on disk since it was built", b.Name)
		}
	}
	return nil
}

// StepError is a step's failure with the end of its log and where the rest is.
type StepError struct {
	Step string
	Log  string // path of the whole log
	Tail string
	Err  error
}

func (e *StepError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *StepError) Unwrap() error { return e.Err }

func withLog(err error, log string, tail []byte) error {
	var refusal *gate.Refusal
	if errors.As(err, &refusal) {
		return &StepError{Step: refusal.Where, Log: log, Tail: string(tail), Err: err}
	}
	return err
}

func emptyDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("empty output folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make output folder: %w", err)
	}
	return nil
}

// moveFile gives a collected file its final name and mode.
func moveFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(from, 0o755); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("name binary: %w", err)
	}
	return nil
}
