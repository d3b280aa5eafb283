package release

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/stage"
)

// compile runs one compile in the engine and moves its binaries to their final names.
func (a *assembly) compile(ctx context.Context, c build.Compile, r *flow.Run) (Compiled, error) {
	if c.Run != nil {
		return a.runCommand(ctx, c, r)
	}
	out := a.path("out", c.Build, strings.ReplaceAll(c.Platform.String(), "/", "-"))
	if err := emptyDir(out); err != nil {
		return Compiled{}, err
	}
	have := a.of(c.Build)
	in := build.GoInputs{Toolchain: have.toolchain, Modules: have.modules, Programs: a.programs(c), Out: out}
	if a.origin.published != nil {
		in.Version = a.origin.published.Version
	} else {
		in.Source = engine.Mount{Host: a.path("src"), Materials: a.origin.materials}
	}
	step, err := build.GoStep(c, in)
	if err != nil {
		return Compiled{}, err
	}
	done, err := a.runStep(ctx, c, step, r, out)
	if err != nil {
		return done, err
	}
	return done, a.collect(ctx, c, out, &done)
}

// runStep runs the step of a compile, and says what the engine observed. It refuses a step that fails.
func (a *assembly) runStep(ctx context.Context, c build.Compile, step engine.Step, r *flow.Run, out string) (Compiled, error) {
	hashed := digest.NewSHA256()
	step.Log = io.MultiWriter(r.Log(), hashed)
	if a.project.Filter != nil { // so that what is recorded is the digest of the log that is kept
		step.Log = a.project.Filter(step.Log)
	}
	result, err := a.project.Engine.Run(ctx, step)
	flow.Finish(step.Log)
	if err != nil {
		return Compiled{}, err
	}
	if result.ExitCode != 0 {
		return Compiled{}, &gate.Refusal{Code: "build-failed", Class: gate.Failed, Where: c.Name(), What: "the build failed", Expected: "exit code 0",
			Actual: fmt.Sprintf("exit code %d", result.ExitCode), Fix: fixBuild(c, out)}
	}
	return Compiled{Started: result.Started.UTC(), Finished: result.Finished.UTC(), Isolation: result.Isolation, Materials: step.Materials(),
		Log: material.Material{Name: c.Name() + ".log", Digest: map[string]string{"sha256": hashed.Sums().SHA256}}}, nil
}

// lowSpace is how little room on the disk makes one doubt that a build failed for the program's sake, in bytes.
const lowSpace = 64 << 20

// fixBuild says what to do about a build that failed, by the room that it had.
func fixBuild(c build.Compile, out string) string {
	mend := "mend what the compiler says, and propose a commit that has it mended"
	if c.Run != nil {
		mend = "mend what the command says in its log, or builds[].run in sello.yaml, and propose a commit that has it mended"
	}
	if free, err := available(out); err == nil && free < lowSpace {
		return fmt.Sprintf("free space: %.1f MiB are left in %s; if that is not what the log says, %s", float64(free)/(1<<20), out, mend)
	}
	return mend
}

// programs gives the main packages of a compile.
func (a *assembly) programs(c build.Compile) []material.Program {
	return a.of(c.Build).modules.Programs[c.Platform.String()]
}

// collect hashes what the step left, refuses anything but the expected binaries, and gives them their final names.
func (a *assembly) collect(ctx context.Context, c build.Compile, out string, done *Compiled) error {
	if a.origin.published != nil {
		out = installedIn(out, c)
	}
	found, err := engine.Collect(ctx, out, engine.CollectLimits{})
	if err != nil {
		return err
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Path)
	}
	slices.Sort(names)
	if want := build.Binaries(c, a.programs(c)); !slices.Equal(want, names) {
		return &gate.Refusal{Code: "build-output-unexpected", Where: c.Name(), What: "the build left other files than its programs",
			Expected: strings.Join(want, ", "), Actual: strings.Join(names, ", "), Fix: "look at the step's log; only the programs that the definition names may come out of it"}
	}
	done.Contents = map[string]content{}
	for _, f := range found {
		name := build.BinaryPath(c.Platform, f.Path)
		if err := a.claim(name, c.Build); err != nil {
			return err
		}
		if err := moveFile(filepath.Join(out, f.Path), a.filePath(name), 0o755); err != nil {
			return err
		}
		done.Contents[name] = contentOf(f)
		done.Binaries = append(done.Binaries, stage.Artifact{Name: name, Kind: stage.KindBinary, Platform: c.Platform.String(), Build: c.Build, Sums: f.Sums})
	}
	return nil
}

// installedIn is where `go install` puts binaries below GOPATH: bin, or bin/os_arch when cross-compiling.
func installedIn(out string, c build.Compile) string {
	cross := filepath.Join(out, "bin", c.Platform.OS+"_"+c.Platform.Arch)
	if info, err := os.Lstat(cross); err == nil && info.IsDir() {
		return cross
	}
	return filepath.Join(out, "bin")
}

// stillThere checks that files are on disk with the digests recorded for them: what lets a resumed run skip a step.
func (a *assembly) stillThere(artifacts ...stage.Artifact) error {
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

// packedStillThere is stillThere for an archive, whose list of members is needed too.
func (a *assembly) packedStillThere(s stage.Artifact) error {
	if _, err := a.members(s.Name); err != nil {
		return err
	}
	return a.stillThere(s)
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
func moveFile(from, to string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(from, mode); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("name output: %w", err)
	}
	return nil
}

// claim refuses a second output of one name: it would overwrite the first. Names that only differ in case are one name on some systems.
func (a *assembly) claim(name, build string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := strings.ToLower(name)
	if other, taken := a.claimed[key]; taken {
		return &gate.Refusal{Code: "build-output-collision", Class: gate.Usage, Where: "sello.yaml#builds." + build, What: "two outputs of the release get one name",
			Expected: "a name for each", Actual: fmt.Sprintf("%s, from %s and from %s", name, other, build), Fix: "give one of them another name"}
	}
	a.claimed[key] = build
	return nil
}
