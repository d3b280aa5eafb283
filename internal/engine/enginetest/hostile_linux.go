package enginetest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/engine"
)

func (s *suite) hostile(t *testing.T) {
	t.Run("network", s.network)
	t.Run("kernel", s.kernel)
	t.Run("files", s.files)
	t.Run("processes", s.processes)
	t.Run("resources", s.resources)
	t.Run("outputs", s.outputs)
	t.Run("leftovers", s.leftovers)
	t.Run("signing key", s.signingKey)
}

// attack runs the probe and expects it to be denied with one of the named errors; none means any.
func (s *suite) attack(t *testing.T, errnos []string, args ...string) {
	t.Helper()
	s.attackWith(t, nil, errnos, args...)
}

func (s *suite) attackWith(t *testing.T, with func(*engine.Step), errnos []string, args ...string) {
	t.Helper()
	o := s.run(t, with, args...)
	if o.err != nil {
		t.Fatalf("probe %q: %v", args, o.err)
	}
	if o.ExitCode != 10 {
		t.Fatalf("probe %q: exit code %d, want it to be denied: %s", args, o.ExitCode, o.log)
	}
	why := strings.TrimPrefix(o.log, "denied: ")
	if len(errnos) > 0 && !slices.ContainsFunc(errnos, func(e string) bool { return strings.HasPrefix(why, e+":") }) {
		t.Errorf("probe %q: denied for another reason than %q: %s", args, errnos, o.log)
	}
}

func (s *suite) network(t *testing.T) {
	unreachable := []string{"ENETUNREACH", "ECONNREFUSED"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	t.Run("TCP to loopback", func(t *testing.T) { s.attack(t, unreachable, "tcp", l.Addr().String()) })
	t.Run("TCP to elsewhere", func(t *testing.T) { s.attack(t, unreachable, "tcp", "192.0.2.1:80") })
	t.Run("UDP to elsewhere", func(t *testing.T) { s.attack(t, unreachable, "udp", "192.0.2.1:53") })
	t.Run("DNS", func(t *testing.T) { s.attack(t, nil, "dns", u.LocalAddr().String()) })
	t.Run("UDP to loopback does not arrive", func(t *testing.T) {
		s.run(t, nil, "udp", u.LocalAddr().String()) // a namespace's own loopback takes it
		_ = u.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, from, err := u.ReadFrom(make([]byte, 64)); err == nil {
			t.Errorf("%d bytes arrived from %v", n, from)
		}
	})
	t.Run("abstract socket", func(t *testing.T) {
		name := fmt.Sprintf("@sello-test-%d-%d", os.Getpid(), time.Now().UnixNano())
		a, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		s.attack(t, []string{"ECONNREFUSED"}, "unix", name)
	})
	t.Run("file socket", func(t *testing.T) {
		path := socket(t)
		s.attack(t, []string{"ENOENT"}, "unix", path)
	})
	t.Run("vsock", func(t *testing.T) { s.attack(t, []string{"EAFNOSUPPORT"}, "vsock") })
	for _, family := range []int{unix.AF_ALG, unix.AF_PACKET, unix.AF_BLUETOOTH, unix.AF_QIPCRTR, 1<<10 + unix.AF_INET} {
		t.Run(fmt.Sprint("socket family ", family), func(t *testing.T) { s.attack(t, []string{"EAFNOSUPPORT"}, "family", fmt.Sprint(family)) })
	}
}

// socket listens on a socket file that anybody may connect to.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sello-agent-") // t.TempDir may be too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "agent")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return path
}

func (s *suite) kernel(t *testing.T) {
	eperm := []string{"EPERM"}
	for _, a := range []string{"ptrace", "unshare", "clone-userns", "setns", "keyctl", "bpf", "io_uring", "userfaultfd", "perf", "personality", "tiocsti", "tiocsti-high",
		"chroot", "handle", "module", "settime", "vm-read"} {
		t.Run(a, func(t *testing.T) { s.attack(t, eperm, a) })
	}
	t.Run("mount", func(t *testing.T) { s.attack(t, eperm, "mount", "/tmp") })
	t.Run("clone3", func(t *testing.T) { s.attack(t, []string{"ENOSYS"}, "clone3") })
	if runtime.GOARCH == "amd64" {
		t.Run("x32", func(t *testing.T) { s.attack(t, []string{"ENOSYS"}, "x32") })
	}
	t.Run("no privileges", func(t *testing.T) {
		o := s.ok(t, nil, "privileges")
		for _, want := range []string{"CapEff: 0000000000000000", "CapPrm: 0000000000000000", "CapBnd: 0000000000000000", "CapInh: 0000000000000000",
			"CapAmb: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2", "Uid: 65534 65534 65534 65534"} {
			if !strings.Contains(o.log, want+"\n") {
				t.Errorf("lacks %q:\n%s", want, o.log)
			}
		}
	})
}

func (s *suite) files(t *testing.T) {
	home, _ := os.UserHomeDir()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	absent := []string{"ENOENT"}
	for _, p := range []string{"/root", "/home", "/etc", "/usr", "/sys", "/run", "/var", home} {
		if p != "" && p != "/" {
			t.Run("list "+p, func(t *testing.T) { s.attack(t, absent, "list", p) })
		}
	}
	for _, p := range []string{"/etc/passwd", secret, "/proc/1/root" + secret, "/proc/self/cwd/../.." + secret} {
		t.Run("read "+p, func(t *testing.T) { s.attack(t, absent, "read", p) })
	}
	t.Run("the root holds the mounts and nothing else", func(t *testing.T) {
		if o := s.ok(t, nil, "list", "/"); o.log != "dev\nout\nprobe\nproc\ntmp\n" {
			t.Errorf("the root holds:\n%s", o.log)
		}
	})
	readOnly := []string{"EROFS", "EACCES"}
	for _, p := range []string{"/x", "/probe/x", "/dev/x", "/dev/shm/x", "/proc/x"} {
		t.Run("write "+p, func(t *testing.T) { s.attack(t, append(readOnly, "ENOENT"), "write", p, "x") })
	}
	for _, p := range []string{"/probe/probe", "/dev/null", "/dev/tty", "/proc"} {
		t.Run("chmod "+p, func(t *testing.T) { s.attack(t, append(readOnly, "EPERM"), "chmod", p) })
	}
	for _, p := range []string{"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/proc/self/oom_score_adj"} {
		t.Run("open for writing "+p, func(t *testing.T) { s.attack(t, append(readOnly, "ENOENT"), "open-write", p) })
	}
	t.Run("mknod", func(t *testing.T) { s.attack(t, []string{"EPERM"}, "mknod", "/out/null") })
	t.Run("setuid", func(t *testing.T) { s.attack(t, []string{"EPERM"}, "setuid", "/out/x") })
	t.Run("setuid at creation", func(t *testing.T) { s.attack(t, nil, "setuid-open", "/out/x") })
}

func (s *suite) processes(t *testing.T) {
	victim := exec.Command(filepath.Join(s.probe, "probe"), "sleep", "60", "child")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Wait()
	defer victim.Process.Kill()
	pid := fmt.Sprint(victim.Process.Pid)
	t.Run("signal a host process", func(t *testing.T) { s.attack(t, []string{"ESRCH"}, "kill", pid) })
	t.Run("signal this process", func(t *testing.T) { s.attack(t, []string{"ESRCH"}, "kill", fmt.Sprint(os.Getpid())) })
	t.Run("see a host process", func(t *testing.T) { s.attack(t, []string{"ENOENT"}, "list", "/proc/"+pid) })
	t.Run("no variables in /proc/1", func(t *testing.T) {
		t.Setenv("SELLO_TEST_LEAK", "1")
		if o := s.run(t, nil, "read", "/proc/1/environ"); strings.TrimSpace(o.log) != "" && !strings.HasPrefix(o.log, "denied") {
			t.Errorf("/proc/1/environ holds %q", o.log)
		}
	})
	t.Run("no descriptors", func(t *testing.T) {
		leak(t, filepath.Join(t.TempDir(), "key"))
		if o := s.ok(t, nil, "fds"); o.log != "" {
			t.Errorf("the step inherits:\n%s", o.log)
		}
	})
}

// leak opens a file so that every child would inherit it.
func leak(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
		t.Fatalf("the descriptor is not inherited anyway: %v", err)
	}
}

func (s *suite) resources(t *testing.T) {
	limited := func(l engine.Limits) func(*engine.Step) { return func(st *engine.Step) { st.Limits = l } }
	t.Run("memory", func(t *testing.T) {
		wantCode(t, s.run(t, limited(engine.Limits{Memory: 128 << 20}), "grow", "1024").err, "step-memory")
	})
	t.Run("memory within the limit", func(t *testing.T) { s.ok(t, limited(engine.Limits{Memory: 1 << 30}), "grow", "100") })
	t.Run("fork bomb", func(t *testing.T) {
		wantCode(t, s.run(t, limited(engine.Limits{Processes: 60}), "fork-bomb").err, "step-processes")
	})
	small := limited(engine.Limits{Output: 50 << 20})
	t.Run("many files", func(t *testing.T) { wantCode(t, s.run(t, small, "fill", "/out", "200").err, "step-output") })
	t.Run("one file", func(t *testing.T) { wantCode(t, s.run(t, small, "fill-one", "/out/x", "200").err, "step-output") })
	t.Run("files without a name", func(t *testing.T) { wantCode(t, s.run(t, small, "fill-unlinked", "/tmp", "200").err, "step-output") })
	t.Run("space beyond a file's end", func(t *testing.T) {
		o := s.run(t, small, "fallocate", "/out/x", "200")
		if strings.HasPrefix(o.log, "denied: EOPNOTSUPP") {
			t.Skip("this file system has no fallocate")
		}
		wantCode(t, o.err, "step-output")
	})
	t.Run("files nested out of sight", func(t *testing.T) { wantCode(t, s.run(t, small, "deep", "/out").err, "step-output") })
}

func (s *suite) outputs(t *testing.T) {
	for _, tc := range []struct {
		name, code string
		args       []string
	}{
		{"a symlink to a host file", "output-symlink", []string{"symlink", "/etc/passwd", "/out/passwd"}},
		{"a symlink that stays inside", "output-symlink", []string{"symlink", "x", "/out/y"}},
		{"a pipe", "output-special-file", []string{"mkfifo", "/out/pipe"}},
		{"a name with a newline", "output-bad-name", []string{"write", "/out/a\nb", ""}},
		{"a name with a backslash", "output-bad-name", []string{"write", `/out/a\b`, ""}},
		{"a name that is not UTF-8", "output-bad-name", []string{"write", "/out/\xff", ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := s.ok(t, nil, tc.args...)
			_, err := engine.Collect(t.Context(), o.out, engine.CollectLimits{})
			wantCode(t, err, tc.code)
		})
	}
}

func (s *suite) leftovers(t *testing.T) {
	free := func(t *testing.T, out string) {
		t.Helper()
		f, err := os.Open(filepath.Join(out, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Errorf("a process of the step is left after Run: %v", err)
		}
	}
	t.Run("a child that left the session", func(t *testing.T) {
		o := s.ok(t, nil, "orphan", "/out/lock")
		free(t, o.out)
	})
	t.Run("a step that was stopped", func(t *testing.T) {
		o := s.run(t, func(st *engine.Step) { st.Limits.Time = time.Second }, "hold", "/out/lock")
		wantCode(t, o.err, "step-time")
		free(t, o.out)
	})
}

// signingKey lets a step look for a key that lies, in this process's reach, everywhere a key could lie.
func (s *suite) signingKey(t *testing.T) {
	const key = "sello-test-secret-5f0b9d1c"
	dir := t.TempDir()
	file := filepath.Join(dir, "signing.key")
	if err := os.WriteFile(file, []byte(key), 0o644); err != nil {
		t.Fatal(err)
	}
	agent := socket(t)
	t.Setenv("SELLO_KEY", key)
	t.Setenv("SSH_AUTH_SOCK", agent)
	leak(t, file)
	reversed := []byte(key)
	slices.Reverse(reversed)
	hunt := []string{"hunt", string(reversed), file, agent}

	o := s.run(t, nil, hunt...)
	if o.err != nil || o.ExitCode != 10 || !strings.Contains(o.log, "nothing found") {
		t.Errorf("exit code %d, error %v: %s", o.ExitCode, o.err, o.log)
	}
	// The hunt is worth something only if it finds a key where there is one: here, without a sandbox.
	cmd := exec.Command(filepath.Join(s.probe, "probe"), append([]string{"hunt-here"}, hunt[1:]...)...)
	var status *exec.ExitError
	if out, err := cmd.Output(); errors.As(err, &status) || !strings.Contains(string(out), file) || !strings.Contains(string(out), agent) || !strings.Contains(string(out), "environ") {
		t.Errorf("without a sandbox the hunt finds %q, error %v", out, err)
	}
}
