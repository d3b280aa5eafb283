// Package host runs steps directly on this machine, without a sandbox.
//
// It refuses steps with a root of their own (step-root-unsupported). It promises a cleared environment, a scratch folder of the step's own, a time limit, an output limit and a log limit, and that the
// step's process group is gone when Run returns. It isolates nothing, and says so: a step has the network, can read
// and change whatever the user can, and can leave processes behind that put themselves into another group (on
// Windows: any process it started). What it built gets a builder id of its own, which trust files grant level 1 at most.
//
// Mounts are realised by translation: in Argv, in the values of Env and in Dir, every occurrence of a mount's
// target as a path of its own, or as the beginning of one, is replaced by the mount's host path, and
// /tmp by the scratch folder. An occurrence counts when no letter, digit, '_', '-', '.', '+', '~', '%', '/' or '\'
// stands before it (but "://" may) and no such character but '/' or '\' follows: /out in "-o=/out/bin" and "/out:/tmp", but
// not in "x/out", "/outside" or "-I/out". Files are not translated. Read-only mounts are not enforced.
package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
)

// BuilderID names builds without a sandbox in provenance.
const BuilderID = "https://github.com/sello-release/sello/builders/host/v1"

// drainTime is how long output is awaited from processes that outlive the command.
const drainTime = 2 * time.Second

// scratchPrefix is another one than bubblewrap's: that engine removes folders with its own prefix that nobody has locked.
const scratchPrefix = "sello-host-"

// lookEvery is how often the outputs are measured.
const lookEvery = 500 * time.Millisecond

// Options of the engine.
type Options struct {
	// Scratch is the folder in which each step's /tmp is made. Default: the system's folder for temporary files.
	Scratch string
}

// Engine runs steps on the host. It is safe for concurrent use.
type Engine struct{ scratch string }

var _ engine.Engine = (*Engine)(nil)

// New gives the engine.
func New(o Options) *Engine { return &Engine{scratch: o.Scratch} }

// Check never refuses: a host is always there.
func (e *Engine) Check(context.Context) error { return nil }

// Info names the engine. There is no sandbox program, so there is no version.
func (e *Engine) Info() engine.Info { return engine.Info{Name: "host", BuilderID: BuilderID} }

// Run runs the step's command on the host. Memory and tasks are not limited.
func (e *Engine) Run(ctx context.Context, s engine.Step) (res engine.Result, err error) {
	if err := engine.Validate(s); err != nil {
		return res, err
	}
	if s.Root != nil {
		return res, engine.RootUnsupported(s.Name, e.Info().Name)
	}
	base := e.scratch
	if base == "" {
		base = os.TempDir()
	}
	if err := os.MkdirAll(base, 0o700); err != nil {
		return res, fmt.Errorf("make scratch: %w", err)
	}
	tmp, err := os.MkdirTemp(base, scratchPrefix)
	if err != nil {
		return res, fmt.Errorf("make scratch: %w", err)
	}
	defer func() {
		if removed := engine.RemoveAll(tmp); err == nil {
			err = removed
		}
	}()
	if tmp, err = filepath.Abs(tmp); err != nil {
		return res, fmt.Errorf("make scratch: %w", err)
	}
	r := &run{step: s, limits: s.Limits.WithDefaults(engine.DefaultMemory(0)), tmp: tmp, paths: translation(s.Mounts, tmp)}
	r.log = engine.NewLog(s.Log, r.limits.Log)
	return r.do(ctx)
}

// run is one run of one step.
type run struct {
	step   engine.Step
	limits engine.Limits
	tmp    string
	paths  []pair
	log    *engine.Log
}

func (r *run) do(ctx context.Context) (engine.Result, error) {
	res := engine.Result{Started: time.Now().UTC(), ExitCode: -1,
		Isolation: engine.Isolation{Network: "host", Root: "host", Namespaces: []string{}, Limits: []string{"log:capture", "output:watchdog", "time:timer"}}}
	cmd, err := r.command()
	if err != nil {
		return res, err
	}
	output, w, err := os.Pipe()
	if err != nil {
		return res, fmt.Errorf("make log pipe: %w", err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return res, engine.CommandMissing(r.step, err.Error())
	}
	drained := make(chan struct{})
	go func() { defer close(drained); r.capture(output) }()
	err = r.supervise(ctx, cmd)
	select {
	case <-drained:
	case <-time.After(drainTime): // something left the process group and holds the pipe
		output.Close()
		<-drained
	}
	res.Finished = time.Now().UTC()
	res.ExitCode, res.CPU, res.Tail = exitCode(cmd.ProcessState), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), r.log.Tail()
	if err == nil {
		err = r.look()
	}
	if err == nil {
		err = r.log.Err()
	}
	return res, err
}

func (r *run) capture(output *os.File) {
	buf := make([]byte, 32<<10)
	for {
		n, err := output.Read(buf)
		_, _ = r.log.Write(buf[:n]) // never fails
		if err != nil {
			return
		}
	}
}

// command is the step's command in the host's words.
func (r *run) command() (*exec.Cmd, error) {
	env := []string{}
	path := ""
	dir := r.tmp
	if r.step.Dir != "" {
		d, ok := r.hostPath(r.step.Dir)
		if !ok {
			return nil, &gate.Refusal{Code: "step-dir", What: "the working directory is in none of the step's mounts", Where: r.step.Name,
				Expected: "a folder in a mount, or in /tmp", Actual: r.step.Dir, Fix: "correct the step's description"}
		}
		dir = d
	}
	for k, v := range r.step.Env {
		v = translate(v, r.paths)
		if k == "PATH" {
			path = v
		}
		env = append(env, k+"="+v)
	}
	if _, ok := r.step.Env["PWD"]; !ok {
		env = append(env, "PWD="+dir)
	}
	var argv []string
	for _, a := range r.step.Argv {
		argv = append(argv, translate(a, r.paths))
	}
	program, err := lookup(argv[0], path)
	if err != nil {
		return nil, engine.CommandMissing(r.step, err.Error())
	}
	return &exec.Cmd{Path: program, Args: argv, Env: env, Dir: dir, SysProcAttr: group()}, nil
}

// hostPath translates a whole path, which must be in a mount or in /tmp.
func (r *run) hostPath(p string) (string, bool) {
	for _, x := range r.paths {
		if p == x.target || strings.HasPrefix(p, x.target+"/") {
			return filepath.Join(x.host, filepath.FromSlash(p[len(x.target):])), true
		}
	}
	return "", false
}

// lookup finds a program by its path, or by its name in the step's own PATH.
func lookup(name, path string) (string, error) {
	if strings.ContainsAny(name, `/\`) {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is not in the step's PATH", name)
}

// supervise waits for the command's end, and ends it at a limit. The process group is gone afterwards.
func (r *run) supervise(ctx context.Context, cmd *exec.Cmd) error {
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	defer kill(cmd)
	timer := time.NewTimer(r.limits.Time)
	defer timer.Stop()
	pause := lookEvery
	for {
		var err error
		select {
		case <-waited: //nolint:errcheck // a command that fails is no error of the engine
			return nil
		case <-timer.C:
			err = engine.TimeExceeded(r.step, r.limits)
		case <-ctx.Done():
			err = fmt.Errorf("run %s: %w", r.step.Name, context.Cause(ctx))
		case <-time.After(pause):
			start := time.Now()
			err = r.look()
			pause = max(lookEvery, 20*time.Since(start))
		}
		if err != nil {
			kill(cmd)
			<-waited //nolint:errcheck // it was killed
			return err
		}
	}
}

// look measures what the step has written.
func (r *run) look() error {
	paths := []string{r.tmp}
	for _, m := range r.step.Mounts {
		if m.Writable {
			paths = append(paths, m.Host)
		}
	}
	sum, err := engine.Usage(paths, r.limits.Output)
	switch {
	case err != nil:
		return engine.OutputExceeded(r.step, r.limits, err.Error())
	case sum > r.limits.Output:
		return engine.OutputExceeded(r.step, r.limits, engine.Bytes(sum)+" or more")
	}
	return nil
}
