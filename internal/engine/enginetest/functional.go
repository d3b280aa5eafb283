package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/engine"
)

func (s *suite) functional(t *testing.T) {
	t.Run("a good step leaves its output", s.good)
	t.Run("exit codes are passed on", s.exitCode)
	t.Run("the environment is what the step says", s.environment)
	t.Run("the working directory", s.directory)
	t.Run("stdout and stderr are captured", s.capture)
	t.Run("a child of the command", func(t *testing.T) { s.ok(t, nil, "run", "args", "x") })
	t.Run("a file mount", s.fileMount)
	t.Run("a name that needs care", s.oddNames)
	t.Run("/tmp does not outlive the step", s.freshTmp)
	t.Run("a read-only folder in /tmp is removed", func(t *testing.T) { s.ok(t, nil, "mkdir-locked", "/tmp") })
	t.Run("steps run side by side", s.parallel)
	t.Run("an interrupted step", s.interrupted)
	t.Run("the engine has a name", s.info)
}

func (s *suite) good(t *testing.T) {
	o := s.ok(t, nil, "write", "/out/result", "hello")
	outputs, err := engine.Collect(t.Context(), o.out, engine.CollectLimits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(outputs) != 1 || outputs[0].Path != "result" || outputs[0].SHA256 != digest.Bytes([]byte("hello")) {
		t.Errorf("outputs %+v", outputs)
	}
	if o.Started.IsZero() || !o.Finished.After(o.Started) {
		t.Errorf("started %v, finished %v", o.Started, o.Finished)
	}
}

func (s *suite) exitCode(t *testing.T) {
	for _, code := range []int{0, 1, 7, 255} {
		if o := s.run(t, nil, "exit", fmt.Sprint(code)); o.err != nil || o.ExitCode != code {
			t.Errorf("exit %d: got %d, error %v", code, o.ExitCode, o.err)
		}
	}
}

func (s *suite) environment(t *testing.T) {
	t.Setenv("SELLO_TEST_LEAK", "1")
	o := s.ok(t, func(st *engine.Step) { st.Env = map[string]string{"B": "two words", "A": "é\n1", "EMPTY": ""} }, "env")
	got := map[string]bool{}
	for _, line := range strings.Split(o.log, "\n") {
		name, _, ok := strings.Cut(line, "=")
		got[name] = ok
	}
	for name, variable := range got {
		switch name {
		case "A", "B", "EMPTY", "PWD", "SYSTEMROOT":
		default:
			if variable {
				t.Errorf("the step has the variable %s", name)
			}
		}
	}
	if !strings.Contains(o.log, "B=two words\n") || !strings.Contains(o.log, "A=é\n1\n") || !got["EMPTY"] {
		t.Errorf("the environment lacks something:\n%s", o.log)
	}
}

func (s *suite) directory(t *testing.T) {
	s.ok(t, func(st *engine.Step) { st.Dir = "/out" }, "write", "here", "x")
	o := s.ok(t, func(st *engine.Step) { st.Dir = "/out" }, "write", "here", "x")
	if _, err := os.Stat(filepath.Join(o.out, "here")); err != nil {
		t.Error(err)
	}
	s.ok(t, nil, "write", "in-tmp", "x") // the default can be written to
}

func (s *suite) capture(t *testing.T) {
	o := s.ok(t, nil, "spew", "2000")
	if n := strings.Count(o.log, "\n"); n != 2000 {
		t.Errorf("%d lines in the log, want 2000", n)
	}
	if len(o.Tail) != engine.TailSize || !strings.HasSuffix(o.log, string(o.Tail)) {
		t.Errorf("the tail has %d bytes, and is the log's end: %t", len(o.Tail), strings.HasSuffix(o.log, string(o.Tail)))
	}
}

func (s *suite) fileMount(t *testing.T) {
	file := filepath.Join(t.TempDir(), "material")
	if err := os.WriteFile(file, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := s.ok(t, func(st *engine.Step) {
		st.Mounts = append(st.Mounts, engine.Mount{Host: file, Target: "/deep/er/file", Materials: st.Mounts[0].Materials})
	}, "read", "/deep/er/file")
	if o.log != "content\n" {
		t.Errorf("read %q", o.log)
	}
}

func (s *suite) oddNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder\twith #names")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("this system has no such names: %v", err)
	}
	s.ok(t, func(st *engine.Step) {
		st.Mounts = append(st.Mounts, engine.Mount{Host: dir, Target: "/odd name", Writable: true})
	}, "write", "/odd name/x", "y")
	if _, err := os.Stat(filepath.Join(dir, "x")); err != nil {
		t.Error(err)
	}
}

func (s *suite) freshTmp(t *testing.T) {
	s.ok(t, nil, "write", "/tmp/left-behind", "x")
	o := s.ok(t, nil, "list", "/tmp")
	if o.log != "" {
		t.Errorf("/tmp holds %q", o.log)
	}
}

func (s *suite) parallel(t *testing.T) {
	e := s.fresh(t)
	var wg sync.WaitGroup
	for i := range 6 {
		out := t.TempDir()
		wg.Go(func() {
			step := ProbeStep(s.probe, out, "write", "/out/x", fmt.Sprint(i))
			if res, err := e.Run(t.Context(), step); err != nil || res.ExitCode != 0 {
				t.Errorf("step %d: exit code %d, error %v: %s", i, res.ExitCode, err, res.Tail)
			}
			if b, _ := os.ReadFile(filepath.Join(out, "x")); string(b) != fmt.Sprint(i) {
				t.Errorf("step %d wrote %q", i, b)
			}
		})
	}
	wg.Wait()
}

// signalWriter closes a channel at the first write.
type signalWriter struct {
	once    sync.Once
	written chan struct{}
}

func (w *signalWriter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.written) })
	return len(p), nil
}

func (s *suite) interrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	started := &signalWriter{written: make(chan struct{})}
	step := ProbeStep(s.probe, t.TempDir(), "sleep", "60")
	step.Log = started
	var at time.Time
	go func() {
		<-started.written
		at = time.Now()
		cancel(errStop)
	}()
	_, err := s.fresh(t).Run(ctx, step)
	if !errors.Is(err, errStop) {
		t.Errorf("error %v, want the context's cause", err)
	}
	if d := time.Since(at); d > 10*time.Second {
		t.Errorf("it took %s to stop", d)
	}
	done, stop := context.WithCancel(t.Context())
	stop()
	if _, err := s.fresh(t).Run(done, ProbeStep(s.probe, t.TempDir(), "exit", "0")); !errors.Is(err, context.Canceled) {
		t.Errorf("a step under a context that is over: error %v", err)
	}
}

var errStop = errors.New("the test says stop")

func (s *suite) info(t *testing.T) {
	i := s.fresh(t).Info()
	if i.Name == "" || !strings.HasPrefix(i.BuilderID, "https://github.com/sello-release/sello/builders/"+i.Name+"/v") {
		t.Errorf("info %+v", i)
	}
	iso := s.ok(t, nil, "exit", "0").Isolation
	want := engine.Isolation{Network: "host", Root: "host", Namespaces: []string{}}
	if s.expect.Isolated {
		want = engine.Isolation{Network: "none", Root: "mounts-only", Seccomp: true, Namespaces: []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}}
	}
	if len(iso.Limits) < 3 {
		t.Errorf("limits %q", iso.Limits)
	}
	iso.Limits = nil
	if d := cmp.Diff(want, iso); d != "" {
		t.Errorf("isolation (-want +got):\n%s", d)
	}
}

func (s *suite) limits(t *testing.T) {
	limited := func(l engine.Limits) func(*engine.Step) { return func(st *engine.Step) { st.Limits = l } }
	t.Run("time", func(t *testing.T) {
		start := time.Now()
		o := s.run(t, limited(engine.Limits{Time: 500 * time.Millisecond}), "spin")
		wantCode(t, o.err, "step-time")
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("it took %s to stop", d)
		}
	})
	t.Run("time of a child that holds the output", func(t *testing.T) {
		wantCode(t, s.run(t, limited(engine.Limits{Time: 500 * time.Millisecond}), "sleep", "60").err, "step-time")
	})
	t.Run("log", func(t *testing.T) {
		o := s.ok(t, limited(engine.Limits{Log: 10_000}), "spew", "20000")
		if len(o.log) > 10_200 || !strings.Contains(o.log, "log limit") {
			t.Errorf("the log has %d bytes and ends with %q", len(o.log), o.log[max(0, len(o.log)-100):])
		}
		if !bytes.Contains(o.Tail, []byte("19999\n")) {
			t.Error("the tail is not the end of the output")
		}
	})
	t.Run("output", func(t *testing.T) {
		wantCode(t, s.run(t, limited(engine.Limits{Output: 20 << 20}), "fill", "/out", "60").err, "step-output")
	})
	t.Run("output of a step that ends by itself", func(t *testing.T) {
		wantCode(t, s.run(t, limited(engine.Limits{Output: 1000}), "write", "/out/x", strings.Repeat("x", 1<<16)).err, "step-output")
	})
	t.Run("output in /tmp", func(t *testing.T) {
		wantCode(t, s.run(t, limited(engine.Limits{Output: 20 << 20}), "fill", "/tmp", "60").err, "step-output")
	})
	t.Run("output within the limit", func(t *testing.T) {
		s.ok(t, limited(engine.Limits{Output: 100 << 20}), "fill-one", "/out/x", "20")
	})
}

func (s *suite) refusals(t *testing.T) {
	for _, tc := range []struct {
		name, code string
		with       func(*engine.Step)
	}{
		{"no command", "step-argv", func(st *engine.Step) { st.Argv = nil }},
		{"a command that looks like an option", "step-argv", func(st *engine.Step) { st.Argv[0] = "--bind" }},
		{"a command that is not there", "step-command", func(st *engine.Step) { st.Argv[0] = "/probe/none" }},
		{"a command that is not in PATH", "step-command", func(st *engine.Step) { st.Argv[0] = "no-such-program" }},
		{"a variable with =", "step-env", func(st *engine.Step) { st.Env = map[string]string{"A=B": "C"} }},
		{"a relative working directory", "step-dir", func(st *engine.Step) { st.Dir = "out" }},
		{"a negative limit", "step-limits", func(st *engine.Step) { st.Limits.Memory = -1 }},
		{"a read-only mount without materials", "step-mount-without-material", func(st *engine.Step) { st.Mounts[0].Materials = nil }},
		{"a relative target", "step-mount-target", func(st *engine.Step) { st.Mounts[1].Target = "out" }},
		{"a target that is not clean", "step-mount-target", func(st *engine.Step) { st.Mounts[1].Target = "/out/../x" }},
		{"the root as a target", "step-mount-target", func(st *engine.Step) { st.Mounts[1].Target = "/" }},
		{"a target below /proc", "step-mount-target", func(st *engine.Step) { st.Mounts[1].Target = "/proc/sys" }},
		{"/dev as a target", "step-mount-target", func(st *engine.Step) { st.Mounts[1].Target = "/dev" }},
		{"a target below /tmp", "step-mount-target", func(st *engine.Step) { st.Mounts[1].Target = "/tmp/out" }},
		{"a target with a newline", "step-mount-target", func(st *engine.Step) { st.Mounts[1].Target = "/o\nut" }},
		{"a relative host path", "step-mount-host", func(st *engine.Step) { st.Mounts[1].Host = "out" }},
		{"a host path that is not there", "step-mount-host", func(st *engine.Step) { st.Mounts[1].Host += "/none" }},
		{"the same target twice", "step-mount-duplicate", func(st *engine.Step) { st.Mounts[1].Target = st.Mounts[0].Target }},
		{"a target inside another", "step-mount-nested", func(st *engine.Step) { st.Mounts[1].Target = st.Mounts[0].Target + "/out" }},
		{"a writable material", "step-mount-overlap", func(st *engine.Step) { st.Mounts[1].Host = st.Mounts[0].Host }},
		{"a material inside an output", "step-mount-overlap", func(st *engine.Step) { st.Mounts[1].Host = filepath.Dir(st.Mounts[0].Host) }},
	} {
		t.Run(tc.name, func(t *testing.T) { wantCode(t, s.run(t, tc.with, "exit", "0").err, tc.code) })
	}
}
