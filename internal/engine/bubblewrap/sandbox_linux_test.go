package bubblewrap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/engine/bubblewrap"
	"github.com/sello-release/sello/internal/engine/enginetest"
	"github.com/sello-release/sello/internal/gate"
)

// helperVariable makes this test program run one step until it is killed: scratch, probe and out, separated by colons.
const helperVariable = "SELLO_BUBBLEWRAP_HELPER"

func TestMain(m *testing.M) {
	if v := os.Getenv(helperVariable); v != "" {
		f := strings.Split(v, ":")
		_, err := bubblewrap.New(bubblewrap.Options{Scratch: f[0]}).Run(context.Background(), enginetest.ProbeStep(f[1], f[2], "hold", "/out/lock"))
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func usable(t testing.TB) *bubblewrap.Engine {
	t.Helper()
	e := bubblewrap.New(bubblewrap.Options{Scratch: t.TempDir()})
	if err := e.Check(t.Context()); err != nil {
		t.Skipf("the sandbox cannot run here: %v", err)
	}
	return e
}

// TestKilled kills the process that runs a step: the step goes with it, and the next run cleans up after it.
func TestKilled(t *testing.T) {
	usable(t)
	scratch, out := t.TempDir(), t.TempDir()
	probe := enginetest.Probe(t)
	helper := exec.Command(os.Args[0])
	helper.Env = append(os.Environ(), helperVariable+"="+strings.Join([]string{scratch, probe, out}, ":"))
	helper.Stdout = os.Stderr
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	defer helper.Process.Kill()
	lock := filepath.Join(out, "lock")
	eventually(t, "the step holds its lock", func() bool {
		b, _ := os.ReadFile(lock)
		return string(b) == "held" && !free(t, lock)
	})
	if err := helper.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait()
	eventually(t, "the step's processes are gone", func() bool { return free(t, lock) })
	eventually(t, "what was left is removed", func() bool {
		if res, err := bubblewrap.New(bubblewrap.Options{Scratch: scratch}).Run(t.Context(), enginetest.ProbeStep(probe, t.TempDir(), "exit", "0")); err != nil || res.ExitCode != 0 {
			t.Fatalf("exit code %d, error %v", res.ExitCode, err)
		}
		left, err := os.ReadDir(scratch)
		groups, _ := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/sello-%d-*", helper.Process.Pid))
		return err == nil && len(left) == 0 && len(groups) == 0
	})
}

// free reports whether nobody holds the lock on the file.
func free(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// TestNothingIsLeft holds that a run leaves no scratch, cgroup, process or zombie, however it ends.
func TestNothingIsLeft(t *testing.T) {
	usable(t)
	probe := enginetest.Probe(t)
	for name, step := range map[string]func() (engine.Step, context.Context){
		"good": func() (engine.Step, context.Context) {
			return enginetest.ProbeStep(probe, t.TempDir(), "mkdir-locked", "/tmp"), t.Context()
		},
		"time": func() (engine.Step, context.Context) {
			s := enginetest.ProbeStep(probe, t.TempDir(), "sleep", "60")
			s.Limits.Time = 300 * time.Millisecond
			return s, t.Context()
		},
		"no such": func() (engine.Step, context.Context) {
			s := enginetest.ProbeStep(probe, t.TempDir(), "x")
			s.Argv[0] = "/none"
			return s, t.Context()
		},
		"cancelled": func() (engine.Step, context.Context) {
			return enginetest.ProbeStep(probe, t.TempDir(), "sleep", "60"), soon(t)
		},
		"at once": func() (engine.Step, context.Context) {
			return enginetest.ProbeStep(probe, t.TempDir(), "sleep", "60"), done(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			scratch := t.TempDir()
			s, ctx := step()
			_, err := bubblewrap.New(bubblewrap.Options{Scratch: scratch}).Run(ctx, s)
			t.Log(err)
			if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
				t.Errorf("left in scratch: %v, %v", left, err)
			}
			if groups, _ := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/sello-%d-*", os.Getpid())); len(groups) > 0 {
				t.Errorf("left cgroups: %v", groups)
			}
			if children, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())); err == nil && strings.TrimSpace(string(children)) != "" {
				t.Errorf("left children: %s", children)
			}
		})
	}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func done(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestOrdinaryUser runs the suite as a user without rights, where limits are held in other ways.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is an ordinary user; TestConformance does it")
	}
	if testing.Short() {
		t.Skip("repeats the suite")
	}
	usable(t)
	dir, err := os.MkdirTemp("", "sello-user-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	tmp := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(tmp, 0o755), os.Chown(tmp, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	self := copyTo(t, os.Args[0], filepath.Join(dir, "suite"))
	copyTo(t, filepath.Join(enginetest.Probe(t), "probe"), filepath.Join(dir, "probe", "probe"))
	cmd := exec.Command(self, "-test.run", "TestConformance/(limits|hostile)", "-test.v", "-test.timeout", "5m")
	cmd.Dir = tmp
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + tmp, enginetest.ProbeVariable + "=" + filepath.Join(dir, "probe")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case strings.Contains(string(out), "the engine cannot run here"):
		t.Skipf("ordinary users cannot make sandboxes here:\n%s", out)
	case !strings.Contains(string(out), "--- PASS: TestConformance/hostile"):
		t.Errorf("the suite did not run:\n%s", out)
	}
}

func copyTo(t *testing.T, from, to string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), os.Chmod(to, 0o755), os.Chmod(filepath.Dir(to), 0o755)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestForeignABI runs a 32-bit program, whose system calls have other numbers: a filter that lets them by is none.
func TestForeignABI(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("there is no foreign ABI to try")
	}
	if testing.Short() {
		t.Skip("compiles the runtime for another architecture")
	}
	e := usable(t)
	dir, src := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(src, "go.mod"), []byte("module example.org/small\n\ngo 1.21\n"), 0o644),
		os.WriteFile(filepath.Join(src, "main.go"), []byte("package main\n\nfunc main() { println(42) }\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "probe"), ".")
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=386", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := exec.Command(filepath.Join(dir, "probe"), "env").Run(); err != nil {
		t.Skipf("this kernel runs no 32-bit programs: %v", err)
	}
	res, err := e.Run(t.Context(), enginetest.ProbeStep(dir, t.TempDir(), "env"))
	if err != nil || res.ExitCode != 128+int(unix.SIGSYS) {
		t.Errorf("exit code %d, error %v, want death by SIGSYS: %s", res.ExitCode, err, res.Tail)
	}
}

// fakeBwrap puts a bwrap into PATH that changes what it is told before the real one gets it. edit is a
// sed script over the options, one a line.
func fakeBwrap(t *testing.T, version, edit string) {
	t.Helper()
	real, err := exec.LookPath("bwrap")
	if err != nil {
		t.Skip("bwrap is not installed: run scripts/deps")
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	script := "#!" + bash + "\nPATH=/usr/local/bin:/usr/bin:/bin\n" +
		"if [ \"$1\" = --version ]; then echo 'bubblewrap " + version + "'; exit; fi\n" +
		"options=$(mktemp)\ntr '\\0' '\\n' <&3 | sed -e '" + edit + "' | tr '\\n' '\\0' >\"$options\"\nexec 3<\"$options\"\nrm \"$options\"\nexec " + real + " \"$@\"\n"
	inPath(t, script)
}

func inPath(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bwrap"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestLessThanPromised holds that isolation is measured: a bwrap that does less than it is told is found out.
func TestLessThanPromised(t *testing.T) {
	usable(t)
	probe := enginetest.Probe(t)
	for _, tc := range []struct{ name, edit, code string }{
		{"nothing changed", "", ""},
		{"no network namespace", "/^--unshare-net$/d", "isolation-missing"},
		{"no ipc namespace", "/^--unshare-ipc$/d", "isolation-missing"},
		{"no cgroup namespace", "/^--unshare-cgroup-try$/d", "isolation-missing"},
		{"writable materials", "s/^--ro-bind$/--bind/", "isolation-missing"},
		{"a mount more", "s/^--new-session$/--new-session\\n--ro-bind\\n\\/usr\\n\\/usr/", "isolation-missing"},
		{"a writable root", "/^--remount-ro$/,+1d", "isolation-missing"},
		{"no seccomp filter", "s/^--seccomp$/--sync-fd/", "isolation-missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fakeBwrap(t, "0.8.0", tc.edit)
			out := t.TempDir()
			res, err := bubblewrap.New(bubblewrap.Options{Scratch: t.TempDir()}).Run(t.Context(), enginetest.ProbeStep(probe, out, "sleep", "2"))
			if gate.Code(err) != tc.code {
				t.Errorf("error %v, want %q: %s", err, tc.code, res.Tail)
			}
		})
	}
}

func TestOldBwrap(t *testing.T) {
	usable(t)
	probe := enginetest.Probe(t)
	fakeBwrap(t, "0.4.0", "/^--disable-userns$/s/.*/--no-such-option/")
	e := bubblewrap.New(bubblewrap.Options{Scratch: t.TempDir()})
	if res, err := e.Run(t.Context(), enginetest.ProbeStep(probe, t.TempDir(), "unshare")); err != nil || res.ExitCode != 10 {
		t.Errorf("exit code %d, error %v: %s", res.ExitCode, err, res.Tail)
	}
	if v := e.Info().Version; v != "0.4.0" {
		t.Errorf("version %q", v)
	}
}

func TestCheckRefuses(t *testing.T) {
	sh := "#!/bin/sh\n"
	version := sh + "if [ \"$1\" = --version ]; then echo 'bubblewrap 0.8.0'; exit; fi\n"
	for _, tc := range []struct{ name, script, code string }{
		{"too old", sh + "echo 'bubblewrap 0.3.1'\n", "sandbox-missing"},
		{"something else", sh + "echo hello\n", "sandbox-missing"},
		{"does not run", sh + "exit 1\n", "sandbox-missing"},
		{"ends at once", version + "exit 1\n", "sandbox-failed"},
		{"says why", version + "echo 'bwrap: something unheard of' >&2; exit 1\n", "sandbox-failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inPath(t, tc.script)
			if err := bubblewrap.New(bubblewrap.Options{Scratch: t.TempDir()}).Check(t.Context()); gate.Code(err) != tc.code {
				t.Errorf("error %v, want %s", err, tc.code)
			}
		})
	}
	t.Run("not there", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		e := bubblewrap.New(bubblewrap.Options{Scratch: t.TempDir()})
		if err := e.Check(t.Context()); gate.Code(err) != "sandbox-missing" {
			t.Errorf("error %v", err)
		}
		if i := e.Info(); i.Version != "" || i.BuilderID != bubblewrap.BuilderID {
			t.Errorf("info %+v", i)
		}
	})
}

// BenchmarkStart is what a sandbox adds to a command that does nothing.
func BenchmarkStart(b *testing.B) {
	e := usable(b)
	dir := b.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "probe"), "github.com/sello-release/sello/internal/engine/enginetest/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	step := enginetest.ProbeStep(dir, b.TempDir(), "exit", "0")
	for b.Loop() {
		if res, err := e.Run(b.Context(), step); err != nil || res.ExitCode != 0 {
			b.Fatalf("exit code %d, error %v", res.ExitCode, err)
		}
	}
}
