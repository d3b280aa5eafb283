package bubblewrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/engine"
)

// setupTime bounds each of bwrap's own phases; a loaded machine needs a small part of it.
const setupTime = 30 * time.Second

// box is one sandbox: bwrap outside, and its child, the first process of the step's pid namespace.
// The child waits at a gate before the command until open.
type box struct {
	cmd   *exec.Cmd
	gate  *os.File // a pipe; a byte opens the gate
	pid   int      // of the child
	child *os.Process
	proc  *os.Root // the child's folder in /proc

	first chan int      // the child's pid, once
	exit  int           // the command's exit code, or -1; valid after gone
	gone  chan struct{} // closed when nothing of the sandbox is left
	err   error         // of bwrap itself; valid after gone
}

// startBox starts bwrap. The calling goroutine must be locked to its thread until the box is gone,
// because bwrap dies with the thread that started it.
func startBox(p program, opts, argv []string, log io.Writer, dir string) (*box, error) {
	program, err := filter()
	if err != nil {
		return nil, err
	}
	gate, err := newGate(dir)
	if err != nil {
		return nil, err
	}
	b := &box{gate: gate, exit: -1, first: make(chan int, 1), gone: make(chan struct{})}
	reports, err := b.start(p, opts, argv, program, log)
	if err != nil {
		gate.Close()
		return nil, err
	}
	go b.follow(reports)
	return b, nil
}

// newGate makes a pipe that both sides hold open for reading and writing: when our process dies, the
// child keeps waiting until it is killed, instead of taking the end of the pipe for the signal to go on.
func newGate(dir string) (*os.File, error) {
	name := filepath.Join(dir, "gate")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		return nil, fmt.Errorf("make gate: %w", os.NewSyscallError("mkfifo", err))
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open gate: %w", err)
	}
	return f, os.Remove(name)
}

func (b *box) start(p program, opts, argv []string, program []byte, log io.Writer) (*os.File, error) {
	args, err := memory("options", []byte(strings.Join(opts, "\x00")+"\x00"))
	if err != nil {
		return nil, err
	}
	defer args.Close()
	seccomp, err := memory("filter", program)
	if err != nil {
		return nil, err
	}
	defer seccomp.Close()
	reports, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make status pipe: %w", err)
	}
	defer w.Close()
	cmd := exec.Command(p.path, append([]string{"--args", strconv.Itoa(fdArgs)}, argv...)...)
	cmd.Env = []string{} // bwrap runs outside of the sandbox: the step's variables must not reach it
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{fdArgs - 3: args, fdSeccomp - 3: seccomp, fdBlock - 3: b.gate, fdStatus - 3: w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = setupTime
	if err := closeOnExec(); err != nil {
		reports.Close()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		reports.Close()
		return nil, fmt.Errorf("start bwrap: %w", err)
	}
	b.cmd = cmd
	return reports, nil
}

// follow reads bwrap's reports until it has gone, and then waits for the child.
func (b *box) follow(reports *os.File) {
	defer close(b.gone)
	for d := json.NewDecoder(io.LimitReader(reports, 1<<20)); ; {
		var report struct {
			Pid  *int `json:"child-pid"`
			Exit *int `json:"exit-code"`
		}
		if d.Decode(&report) != nil {
			break
		}
		if report.Pid != nil && len(b.first) == 0 {
			b.first <- *report.Pid
		}
		if report.Exit != nil {
			b.exit = *report.Exit
		}
	}
	close(b.first)
	err := b.cmd.Wait()
	reports.Close()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		b.err = fmt.Errorf("wait for bwrap: %w", err)
	}
}

// ready waits until the child has set up the sandbox, given up its privileges and stands at the gate.
func (b *box) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait for sandbox: %w", ctx.Err())
	case pid, ok := <-b.first:
		if !ok {
			return errSetup
		}
		b.pid = pid
	}
	var err error
	if b.proc, err = os.OpenRoot(fmt.Sprintf("/proc/%d", b.pid)); err != nil {
		return errSetup
	}
	if b.child, err = os.FindProcess(b.pid); err != nil {
		return errSetup
	}
	// The last thing before the gate is to drop all capabilities, of which a new user namespace gives all.
	return b.until(ctx, func(s status) bool { return !s.caps && s.noNewPrivs })
}

// errSetup says that bwrap ended before the command could start; why is in its output.
var errSetup = errors.New("bwrap could not set up the sandbox")

// until polls the child's status.
func (b *box) until(ctx context.Context, ok func(status) bool) error {
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, 2*time.Millisecond) {
		s, err := readStatus(b.proc)
		if err != nil {
			return errSetup
		}
		if ok(s) {
			return nil
		}
		if s.state == "Z" || s.state == "X" {
			return errSetup
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for sandbox: %w", ctx.Err())
		case <-time.After(wait):
		}
	}
}

// open lets the command start and measures that the filter is on. bwrap outside is stopped meanwhile: it
// cannot collect its child, so that even a command that ends at once leaves something to be measured.
func (b *box) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	if err := b.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		return fmt.Errorf("stop bwrap: %w", err)
	}
	defer func() { _ = b.cmd.Process.Signal(unix.SIGCONT) }()
	if err := b.stopped(ctx); err != nil {
		return err
	}
	if _, err := b.gate.Write([]byte{1}); err != nil {
		return fmt.Errorf("open gate: %w", err)
	}
	err := b.until(ctx, func(s status) bool { return s.seccomp })
	if err == nil {
		err = b.commandFiltered(ctx)
	}
	if errors.Is(err, errSetup) || errors.Is(err, context.DeadlineExceeded) {
		return lacking("the step runs without a seccomp filter", "seccomp mode 2", "none")
	}
	return err
}

func (b *box) stopped(ctx context.Context) error {
	outer, err := os.OpenRoot(fmt.Sprintf("/proc/%d", b.cmd.Process.Pid))
	if err != nil {
		return fmt.Errorf("stop bwrap: %w", err)
	}
	defer outer.Close()
	for ctx.Err() == nil {
		s, err := readStatus(outer)
		if err != nil || s.state == "T" {
			return err
		}
		time.Sleep(50 * time.Microsecond)
	}
	return fmt.Errorf("stop bwrap: %w", ctx.Err())
}

// commandFiltered waits until the command itself is under the filter, as long as it lives.
// Kernels that do not list children leave it at the sandbox's first process, which installs the same one.
func (b *box) commandFiltered(ctx context.Context) error {
	for {
		list, err := b.proc.ReadFile(fmt.Sprintf("task/%d/children", b.pid))
		f := strings.Fields(string(list))
		if err != nil || len(f) == 0 {
			return nil
		}
		command, err := os.OpenRoot("/proc/" + f[0])
		if err != nil {
			return nil
		}
		s, err := readStatus(command)
		command.Close()
		if err != nil || (s.seccomp && s.noNewPrivs && !s.caps) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for command: %w", ctx.Err())
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// kill ends the sandbox: the kernel kills every process of a pid namespace with its first.
func (b *box) kill() {
	if b.child != nil {
		_ = b.child.Kill()
	}
	_ = b.cmd.Process.Kill()
}

// wait returns when nothing of the sandbox is left. bwrap may end before its child, which then dies with it.
func (b *box) wait() error {
	<-b.gone
	b.gate.Close()
	if b.proc == nil {
		return b.err
	}
	defer b.proc.Close()
	defer func() { _ = b.child.Release() }()
	for deadline := time.Now().Add(setupTime); time.Now().Before(deadline); time.Sleep(500 * time.Microsecond) {
		s, err := readStatus(b.proc)
		if err != nil || s.state == "Z" || s.state == "X" {
			// Where we are the one that orphans go to, we have to collect this one.
			_, _ = unix.Wait4(b.pid, nil, unix.WNOHANG, nil)
			return b.err
		}
	}
	return fmt.Errorf("the sandbox's processes do not end %s after they were killed", setupTime)
}

// limit bounds what a process of the sandbox may do by itself; children inherit it.
func (b *box) limit(l engine.Limits, tasks bool) error {
	limits := map[int]uint64{
		unix.RLIMIT_CORE:  0,
		unix.RLIMIT_FSIZE: uint64(l.Output) + 64<<10, // a file of this size is above the limit for the sum
	}
	if tasks {
		limits[unix.RLIMIT_NPROC] = uint64(l.Processes) + 1
	}
	var files unix.Rlimit
	if err := unix.Prlimit(b.pid, unix.RLIMIT_NOFILE, nil, &files); err != nil {
		return fmt.Errorf("limit step: %w", os.NewSyscallError("prlimit", err))
	}
	limits[unix.RLIMIT_NOFILE] = min(files.Max, maxFiles)
	for resource, value := range limits {
		var old unix.Rlimit
		if err := unix.Prlimit(b.pid, resource, nil, &old); err != nil {
			return fmt.Errorf("limit step: %w", os.NewSyscallError("prlimit", err))
		}
		value = min(value, old.Max)
		if err := unix.Prlimit(b.pid, resource, &unix.Rlimit{Cur: value, Max: value}, nil); err != nil {
			return fmt.Errorf("limit step: %w", os.NewSyscallError("prlimit", err))
		}
	}
	return nil
}

// maxFiles bounds the descriptors that each process of a step may have open.
const maxFiles = 16384
