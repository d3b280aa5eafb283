package bubblewrap

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
)

// Info names the engine. The version is empty when there is no bwrap.
func (e *Engine) Info() engine.Info {
	i := engine.Info{Name: "bubblewrap", BuilderID: BuilderID, Roots: true}
	if p, err := e.program.find(context.Background()); err == nil {
		i.Version = p.version
	}
	return i
}

// Run runs the step in a sandbox of its own. Besides the refusals of engine.Engine and engine.Validate it gives
// isolation-missing, step-command (the command cannot be started), step-root (the root has too much at its top) and those of Check.
func (e *Engine) Run(ctx context.Context, s engine.Step) (engine.Result, error) {
	if err := engine.Validate(s); err != nil {
		return engine.Result{}, err
	}
	p, err := e.program.find(ctx)
	if err != nil {
		return engine.Result{}, err
	}
	top, err := readTop(s)
	if err != nil {
		return engine.Result{}, err
	}
	folder, err := newScratch(e.scratch)
	if err != nil {
		return engine.Result{}, err
	}
	h := ownHierarchies()
	r := &run{program: p, step: s, top: top, limits: s.Limits.WithDefaults(engine.DefaultMemory(totalMemory(h))), scratch: folder}
	r.log = engine.NewLog(s.Log, r.limits.Log)
	r.group = newCgroup(h, fmt.Sprintf("%s%d-%s", cgroupPrefix, os.Getpid(), strings.ToLower(rand.Text()[:12])), r.limits)
	err = onOwnThread(func() error { return r.do(ctx) })
	return r.result, errors.Join(err, r.group.remove(), folder.remove())
}

// run is one run of one step.
type run struct {
	program program
	step    engine.Step
	top     top
	limits  engine.Limits
	scratch *scratch
	group   cgroup
	log     *engine.Log
	box     *box
	result  engine.Result
}

func (r *run) do(ctx context.Context) error {
	r.result.Started = time.Now().UTC()
	var err error
	if r.box, err = startBox(r.program, options(r.program, r.step, r.top, r.scratch.tmp), r.step.Argv, r.log, r.scratch.dir); err != nil {
		return err
	}
	err = r.set(ctx)
	if err == nil {
		err = r.supervise(ctx)
	} else {
		r.box.kill()
	}
	waited := r.box.wait()
	r.result.Finished = time.Now().UTC()
	r.result.CPU = r.group.used()
	r.result.Tail = r.log.Tail()
	r.result.ExitCode = r.box.exit
	switch {
	case errors.Is(err, errSetup):
		return diagnose(gather(r.log.Tail()))
	case err != nil:
		return err
	case waited != nil:
		return waited
	}
	return r.verdict()
}

// set brings the sandbox to the point where the command runs: measured, limited, and only then started.
func (r *run) set(ctx context.Context) error {
	if err := r.box.ready(ctx); err != nil {
		return err
	}
	var err error
	if r.result.Isolation, err = measure(r.box.proc, slices.Concat(r.top.mounts, r.step.Mounts)); err != nil {
		return err
	}
	r.group.add(r.box.pid)
	// The kernel does not count root's tasks.
	rlimit := r.group.pids == "" && os.Geteuid() != 0
	if err := r.box.limit(r.limits, rlimit); err != nil {
		return err
	}
	r.result.Isolation.Limits = r.enforced(rlimit)
	if err := r.box.open(ctx); err != nil {
		return err
	}
	r.result.Isolation.Seccomp = true
	return nil
}

// enforced names the limits and what holds them.
func (r *run) enforced(rlimit bool) []string {
	memory, processes := "memory:watchdog", "processes:watchdog"
	if r.group.memory != "" {
		memory = "memory:cgroup"
	}
	if r.group.pids != "" {
		processes = "processes:cgroup"
	} else if rlimit {
		processes = "processes:rlimit"
	}
	return []string{"log:capture", memory, "output:watchdog", processes, "time:timer"}
}

// supervise waits for the command's end and kills it at a limit.
func (r *run) supervise(ctx context.Context) error {
	looking, stop := context.WithCancel(ctx)
	found := make(chan *gate.Refusal, 1)
	go func() { found <- r.watchdog().watch(looking) }()
	timer := time.NewTimer(r.limits.Time)
	defer timer.Stop()
	var err error
	select {
	case <-r.box.gone:
	case refusal := <-found:
		found <- nil
		if refusal != nil {
			err = refusal
		} else {
			err = r.interrupted(ctx)
		}
	case <-timer.C:
		err = engine.TimeExceeded(r.step, r.limits)
	case <-ctx.Done():
		err = r.interrupted(ctx)
	}
	stop()
	if err != nil {
		r.box.kill()
	}
	<-found //nolint:errcheck // it was read before, or there is none: only its end matters
	return err
}

func (r *run) interrupted(ctx context.Context) error {
	return fmt.Errorf("run %s: %w", r.step.Name, context.Cause(ctx))
}

func (r *run) watchdog() *watchdog {
	w := &watchdog{step: r.step, limits: r.limits, group: &r.group, root: r.box.pid, paths: []string{r.scratch.tmp}}
	for _, m := range r.step.Mounts {
		if m.Writable {
			w.paths = append(w.paths, m.Host)
		}
	}
	return w
}

// verdict judges a sandbox that has ended by itself.
func (r *run) verdict() error {
	w := r.watchdog()
	if refusal := w.groups(); refusal != nil {
		return refusal
	}
	if refusal := w.output(0); refusal != nil {
		return refusal
	}
	if r.box.exit < 0 {
		if line := lastLine(r.log.Tail()); strings.HasPrefix(line, "bwrap: execvp ") {
			return engine.CommandMissing(r.step, line)
		}
		return &gate.Refusal{Code: "sandbox-failed", Class: gate.Failed, What: "the sandbox ended before its command", Where: r.step.Name,
			Expected: "the command's exit code", Actual: lastLine(r.log.Tail()), Fix: "run sello doctor"}
	}
	return r.log.Err()
}

func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	return strings.ToValidUTF8(string(b[bytes.LastIndexByte(b, '\n')+1:]), "�")
}

// totalMemory is what this process may use: the machine's memory, or less in a container. In bytes.
func totalMemory(h hierarchies) int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	total := int64(info.Totalram) * int64(info.Unit)
	for _, limit := range []int64{number(h.v2, "memory.max"), number(h.v1["memory"], "memory.limit_in_bytes")} {
		if limit > 0 {
			total = min(total, limit)
		}
	}
	return total
}
