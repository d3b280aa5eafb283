package enginetest

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/material"
)

// root tries steps with a root of their own, which an engine gives, or refuses by name.
func (s *suite) root(t *testing.T) {
	if !s.expect.Isolated {
		wantCode(t, s.run(t, s.rooted(t), "exit", "0").err, "step-root-unsupported")
		if s.fresh(t).Info().Roots {
			t.Error("the engine says that it can give a step a root")
		}
		return
	}
	if !s.fresh(t).Info().Roots {
		t.Error("the engine does not say that it can give a step a root")
	}
	t.Run("the step sees it", s.rootSeen)
	t.Run("the step cannot change it", s.rootReadOnly)
	t.Run("the step can change its copy", func(t *testing.T) {
		o := s.ok(t, s.rooted(t), "write", "/out/x", "y")
		if b, err := os.ReadFile(filepath.Join(o.out, "x")); string(b) != "y" {
			t.Errorf("the copy holds %q, %v", b, err)
		}
	})
	t.Run("isolation", func(t *testing.T) {
		o := s.ok(t, s.rooted(t), "exit", "0")
		if o.Isolation.Network != "none" || o.Isolation.Root != "mounts-only" || !o.Isolation.Seccomp {
			t.Errorf("isolation %+v", o.Isolation)
		}
	})
	t.Run("network", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, to := range []string{l.Addr().String(), "192.0.2.1:80"} {
			s.denied(t, s.rooted(t), "tcp", to)
		}
	})
	t.Run("refusals", s.rootRefusals)
}

// rooted gives a step the probe in a root, in place of a mount.
func (s *suite) rooted(t *testing.T) func(*engine.Step) {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr/bin", "etc", "tmp", "proc", "out"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"etc/passwd", "tmp/hidden", "proc/hidden", "out/hidden", "top"} {
		if err := os.WriteFile(filepath.Join(root, file), []byte("of the root"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for at, to := range map[string]string{"bin": "usr/bin", "odd": "../../../etc"} {
		if err := os.Symlink(to, filepath.Join(root, at)); err != nil {
			t.Skipf("this system has no symlinks: %v", err)
		}
	}
	copyProbe(t, filepath.Join(s.probe, probeName()), filepath.Join(root, "usr/bin", probeName()))
	return func(st *engine.Step) {
		st.Argv[0] = "/bin/" + probeName()
		st.Root = &engine.Root{Host: root, Materials: []material.Material{{Name: "root", Digest: map[string]string{"sha256": strings.Repeat("0", 64)}}}}
		st.Mounts = st.Mounts[1:]
	}
}

func copyProbe(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) rootSeen(t *testing.T) {
	o := s.ok(t, s.rooted(t), "list", "/")
	if want := "bin\ndev\netc\nodd\nout\nproc\ntmp\ntop\nusr\n"; o.log != want {
		t.Errorf("the root holds:\n%swant:\n%s", o.log, want)
	}
	for _, file := range []string{"/etc/passwd", "/top", "/odd/passwd"} {
		if o := s.ok(t, s.rooted(t), "read", file); o.log != "of the root\n" {
			t.Errorf("%s holds %q", file, o.log)
		}
	}
	for _, dir := range []string{"/tmp", "/out"} {
		if o := s.ok(t, s.rooted(t), "list", dir); o.log != "" {
			t.Errorf("%s is the root's: %q", dir, o.log)
		}
	}
	s.denied(t, s.rooted(t), "read", "/proc/hidden")
	step := s.rooted(t)
	s.ok(t, func(st *engine.Step) {
		step(st)
		st.Argv[0], st.Env = probeName(), map[string]string{"PATH": "/nowhere:/bin"}
	}, "exit", "0")
}

func (s *suite) rootReadOnly(t *testing.T) {
	with := s.rooted(t)
	for _, path := range []string{"/x", "/usr/x", "/bin/x", "/etc/passwd", "/top", "/odd/x", "/proc/x", "/dev/x"} {
		s.denied(t, with, "write", path, "x")
	}
}

// denied runs the probe and expects it to be refused by the system.
func (s *suite) denied(t *testing.T, with func(*engine.Step), args ...string) {
	t.Helper()
	if o := s.run(t, with, args...); o.err != nil || o.ExitCode != 10 {
		t.Errorf("probe %q: exit code %d, error %v, want it to be denied: %s", args, o.ExitCode, o.err, o.log)
	}
}

func (s *suite) rootRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, code string
		with       func(*testing.T, *engine.Step)
	}{
		{"without materials", "step-mount-without-material", func(_ *testing.T, st *engine.Step) { st.Root.Materials = nil }},
		{"relative", "step-mount-host", func(_ *testing.T, st *engine.Step) { st.Root.Host = "root" }},
		{"not there", "step-mount-host", func(_ *testing.T, st *engine.Step) { st.Root.Host += "/none" }},
		{"a file", "step-mount-host", func(_ *testing.T, st *engine.Step) { st.Root.Host += "/top" }},
		{"writable through a mount", "step-mount-overlap", func(_ *testing.T, st *engine.Step) { st.Mounts[0].Host = st.Root.Host + "/etc" }},
		{"mounts below its top", "step-mount-target", func(_ *testing.T, st *engine.Step) { st.Mounts[0].Target = "/usr/out" }},
		{"too much at its top", "step-root", func(t *testing.T, st *engine.Step) {
			for i := range 300 {
				if err := os.WriteFile(filepath.Join(st.Root.Host, fmt.Sprint("file", i)), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"a command that it does not have", "step-command", func(_ *testing.T, st *engine.Step) { st.Argv[0] = "/bin/none" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			with := s.rooted(t)
			o := s.run(t, func(st *engine.Step) { with(st); tc.with(t, st) }, "exit", "0")
			wantCode(t, o.err, tc.code)
		})
	}
}
