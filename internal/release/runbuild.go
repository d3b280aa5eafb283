package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/stage"
)

// runCommand runs the command of a build on a copy of its inputs, and gives its outputs their final names. Nothing else comes out.
func (a *assembly) runCommand(ctx context.Context, c build.Compile, r *flow.Run) (Compiled, error) {
	work := a.path("run", c.Build, strings.ReplaceAll(c.Platform.String(), "/", "-"))
	if err := engine.RemoveAll(work); err != nil {
		return Compiled{}, err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return Compiled{}, fmt.Errorf("make working copy: %w", err)
	}
	if err := a.copyInputs(ctx, c, work); err != nil {
		return Compiled{}, err
	}
	step := build.RunStep(c, build.RunInputs{Root: a.of(c.Build).root, Work: work, Source: slices.Clone(a.origin.materials)})
	done, err := a.runStep(ctx, c, step, r, work)
	if err != nil {
		return done, err
	}
	if err := a.takeOutputs(ctx, c, work, &done); err != nil {
		return done, err
	}
	return done, engine.RemoveAll(work)
}

// copyInputs makes the copy of the source that a command works on. All times in it are the release's, but those of symlinks.
func (a *assembly) copyInputs(ctx context.Context, c build.Compile, work string) error {
	from, err := os.OpenRoot(a.sourceRoot())
	if err != nil {
		return fmt.Errorf("open source: %w", err)
	}
	defer from.Close()
	to, err := os.OpenRoot(work)
	if err != nil {
		return fmt.Errorf("open working copy: %w", err)
	}
	defer to.Close()
	in := inputCopy{from: from, to: to, time: a.plan.Time, wanted: definition.NewGlobs(c.Run.Inputs), matched: make([]bool, len(c.Run.Inputs)), folders: map[string]bool{".": true}}
	err = fs.WalkDir(from.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		return in.visit(name, d)
	})
	if err != nil {
		return fmt.Errorf("copy inputs: %w", err)
	}
	for i, ok := range in.matched {
		if !ok {
			return &gate.Refusal{Code: "build-input-missing", Class: gate.Usage, Where: "sello.yaml#builds." + c.Build, What: fmt.Sprintf("%q matches no file of the source", c.Run.Inputs[i]),
				Expected: "at least one file at the released commit", Fix: "correct builds[].run.inputs, or commit the file"}
		}
	}
	return in.finish(c)
}

// inputCopy copies those files of a source that match.
type inputCopy struct {
	from, to *os.Root
	time     time.Time
	wanted   definition.Globs
	matched  []bool          // by pattern
	folders  map[string]bool // that were made
}

func (in *inputCopy) visit(name string, d fs.DirEntry) error {
	if d.IsDir() {
		if name != "." && !in.wanted.MayHold(name) {
			return fs.SkipDir
		}
		return nil
	}
	which := in.wanted.Match(name)
	if len(which) == 0 {
		return nil
	}
	for _, i := range which {
		in.matched[i] = true
	}
	if err := in.makeFolder(path.Dir(name)); err != nil {
		return err
	}
	if d.Type() == fs.ModeSymlink { // it does not leave the source, and in the sandbox could not
		target, err := in.from.Readlink(name)
		if err != nil {
			return err
		}
		return in.to.Symlink(target, name)
	}
	return in.copyFile(name)
}

func (in *inputCopy) makeFolder(name string) error {
	if in.folders[name] {
		return nil
	}
	if err := in.makeFolder(path.Dir(name)); err != nil {
		return err
	}
	in.folders[name] = true
	if err := in.to.Mkdir(name, 0o755); err != nil {
		return err
	}
	return in.to.Chmod(name, 0o755) // whatever the umask
}

func (in *inputCopy) copyFile(name string) error {
	r, err := in.from.Open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	w, err := in.to.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err := errors.Join(err, w.Chmod(mode), w.Close()); err != nil {
		return err
	}
	return in.to.Chtimes(name, in.time, in.time)
}

// finish makes the folder that the command starts in, if the source has it, and sets the folders' times, when nothing is made in them any more.
func (in *inputCopy) finish(c build.Compile) error {
	if info, err := in.from.Stat(c.Run.Dir); err != nil || !info.IsDir() {
		return &gate.Refusal{Code: "build-dir-missing", Class: gate.Usage, Where: "sello.yaml#builds." + c.Build, What: "the source does not have the folder that the command starts in",
			Expected: "a folder of the source", Actual: c.Run.Dir, Fix: "correct builds[].run.dir"}
	}
	if _, err := in.to.Stat(c.Run.Dir); err != nil {
		if err := in.makeFolder(c.Run.Dir); err != nil {
			return fmt.Errorf("copy inputs: %w", err)
		}
	}
	for name := range in.folders {
		if err := in.to.Chtimes(name, in.time, in.time); err != nil {
			return fmt.Errorf("copy inputs: %w", err)
		}
	}
	return nil
}

// takeOutputs finds and hashes what a command was to leave, and gives it its final names: executables are binaries.
func (a *assembly) takeOutputs(ctx context.Context, c build.Compile, work string, done *Compiled) error {
	globs := definition.NewGlobs(c.Run.Outputs)
	matched := make([]bool, len(globs))
	found, err := engine.CollectSome(ctx, work, outputsBelow(c.Run.Dir, globs), engine.CollectLimits{})
	if err != nil {
		return err
	}
	done.Contents = map[string]content{}
	for _, f := range found {
		rel := strings.TrimPrefix(f.Path, prefixOf(c.Run.Dir))
		for _, i := range globs.Match(rel) {
			matched[i] = true
		}
		s := stage.Artifact{Name: build.FilePath(c.Platform, rel), Kind: stage.KindFile, Platform: c.Platform.String(), Build: c.Build, Sums: f.Sums}
		mode := fs.FileMode(0o644)
		if f.Executable {
			s.Name, s.Kind, mode = build.BinaryPath(c.Platform, path.Base(rel)), stage.KindBinary, 0o755
		}
		if err := stage.CheckName(s.Name); err != nil {
			return &gate.Refusal{Code: "output-bad-name", Where: c.Name(), What: "an output's name cannot be in a release", Actual: rel, Cause: err, Fix: "give the file another name"}
		}
		if err := a.claim(s.Name, c.Build); err != nil {
			return err
		}
		if err := moveFile(filepath.Join(work, filepath.FromSlash(f.Path)), a.filePath(s.Name), mode); err != nil {
			return err
		}
		done.Contents[s.Name] = contentOf(f)
		if f.Executable {
			done.Binaries = append(done.Binaries, s)
		} else {
			done.Files = append(done.Files, s)
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		return &gate.Refusal{Code: "build-output-missing", Class: gate.Failed, Where: c.Name(), What: fmt.Sprintf("the command left nothing that matches %q", c.Run.Outputs[i]),
			Expected: "at least one file", Actual: "none", Fix: "look at the step's log; correct the command, or builds[].run.outputs, which are relative to dir"}
	}
	return nil
}

// prefixOf is what the paths of a folder's files begin with.
func prefixOf(dir string) string {
	if dir == "." {
		return ""
	}
	return dir + "/"
}

// outputsBelow selects what matches in a folder of the working copy.
func outputsBelow(dir string, globs definition.Globs) engine.Selection {
	prefix := prefixOf(dir)
	return engine.Selection{
		File: func(p string) bool {
			rel, ok := strings.CutPrefix(p, prefix)
			return ok && len(globs.Match(rel)) > 0
		},
		Folder: func(p string) bool {
			rel, ok := strings.CutPrefix(p, prefix)
			return strings.HasPrefix(prefix, p+"/") || ok && globs.MayHold(rel)
		},
	}
}
