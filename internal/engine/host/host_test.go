package host_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/engine/bubblewrap"
	"github.com/sello-release/sello/internal/engine/enginetest"
	"github.com/sello-release/sello/internal/engine/host"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) engine.Engine { return host.New(host.Options{Scratch: t.TempDir()}) }, enginetest.Expect{})
}

func TestNothingIsLeft(t *testing.T) {
	scratch := t.TempDir()
	step := enginetest.ProbeStep(enginetest.Probe(t), t.TempDir(), "mkdir-locked", "/tmp")
	if res, err := host.New(host.Options{Scratch: scratch}).Run(t.Context(), step); err != nil || res.ExitCode != 0 {
		t.Fatalf("exit code %d, %v: %s", res.ExitCode, err, res.Tail)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left in scratch: %v, %v", left, err)
	}
}

func TestDirectoryOutsideOfMounts(t *testing.T) {
	step := enginetest.ProbeStep(enginetest.Probe(t), t.TempDir(), "pwd")
	step.Dir = "/elsewhere"
	if _, err := host.New(host.Options{Scratch: t.TempDir()}).Run(t.Context(), step); gate.Code(err) != "step-dir" {
		t.Errorf("error %v", err)
	}
}

func TestCommandFromStepsPath(t *testing.T) {
	step := enginetest.ProbeStep(enginetest.Probe(t), t.TempDir(), "env")
	step.Argv[0] = strings.TrimPrefix(step.Argv[0], "/probe/")
	step.Env = map[string]string{"PATH": "/probe"}
	if res, err := host.New(host.Options{Scratch: t.TempDir()}).Run(t.Context(), step); err != nil || res.ExitCode != 0 {
		t.Errorf("exit code %d, %v: %s", res.ExitCode, err, res.Tail)
	}
}

// TestSameBytes compiles a program on the host and in a sandbox: with -trimpath the bytes are the same.
func TestSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the runtime twice")
	}
	sandbox := bubblewrap.New(bubblewrap.Options{Scratch: t.TempDir()})
	if err := sandbox.Check(t.Context()); err != nil {
		t.Skipf("there is no sandbox to compare with: %v", err)
	}
	src := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.org/hello\n\ngo 1.21\n",
		"main.go": "package main\n\nvar Version = \"none\"\n\nfunc main() { println(\"hello\", Version) }\n",
	} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	inSandbox := compile(t, sandbox, src)
	onHost := compile(t, host.New(host.Options{Scratch: t.TempDir()}), src)
	if inSandbox != onHost {
		t.Errorf("the sandbox made %s, the host %s", inSandbox, onHost)
	}
}

// compile gives the digest of the program that the module in src compiles to.
func compile(t *testing.T, e engine.Engine, src string) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	pin := func(name string) []material.Material {
		return []material.Material{{Name: name, Digest: map[string]string{"sha256": strings.Repeat("0", 64)}}}
	}
	out := t.TempDir()
	var log bytes.Buffer
	res, err := e.Run(t.Context(), engine.Step{
		Name: "build hello " + runtime.GOOS, Dir: "/src", Log: &log,
		Argv: []string{"/toolchain/bin/go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-X main.Version=v1", "-o", "/out/", "./..."},
		Env: map[string]string{"GOROOT": "/toolchain", "GOCACHE": "/tmp/cache", "GOPATH": "/tmp/go", "HOME": "/tmp", "PATH": "/toolchain/bin", "GOPROXY": "off", "GOENV": "off",
			"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTELEMETRY": "off"},
		Mounts: []engine.Mount{
			{Host: strings.TrimSpace(string(root)), Target: "/toolchain", Materials: pin("toolchain")},
			{Host: src, Target: "/src", Materials: pin("source")},
			{Host: out, Target: "/out", Writable: true},
		},
	})
	if err != nil || res.ExitCode != 0 {
		t.Fatalf("%s: exit code %d, error %v:\n%s", e.Info().Name, res.ExitCode, err, log.Bytes())
	}
	t.Logf("%s: %s, %s of processor time", e.Info().Name, res.Finished.Sub(res.Started), res.CPU)
	outputs, err := engine.Collect(t.Context(), out, engine.CollectLimits{})
	if err != nil || len(outputs) != 1 {
		t.Fatalf("outputs %+v, error %v", outputs, err)
	}
	if sums, err := digest.File(filepath.Join(out, outputs[0].Path)); err != nil || sums != outputs[0].Sums {
		t.Errorf("Collect says %+v, the file is %+v, error %v", outputs[0].Sums, sums, err)
	}
	return outputs[0].SHA256
}

// A sandboxed step in another process removes folders that look like its own (sello-step-) and that nobody has locked.
func TestScratchIsNotSweptByAnotherEngine(t *testing.T) {
	sh := "/bin/sh"
	if _, err := os.Stat(sh); err != nil {
		t.Skip("no shell here")
	}
	r, err := host.New(host.Options{Scratch: t.TempDir()}).Run(t.Context(), engine.Step{Name: "look", Argv: []string{sh, "-c", "pwd"}})
	if err != nil || !strings.Contains(string(r.Tail), "sello-host-") {
		t.Errorf("the step's scratch folder is %s, %v", r.Tail, err)
	}
}
