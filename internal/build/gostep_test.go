package build_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

// The compiler's threads can change its output, so a step gives it one a package, and packages side by side. That is asked of
// the go command itself: it says which flags it gives to the compiler.
func TestOneThreadAPackage(t *testing.T) {
	goPath, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.test/hello\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		env     map[string]string
		threads bool
	}{
		"the step's own setting":  {nil, false},
		"a definition's, of four": {map[string]string{"GOMAXPROCS": "4"}, true},
		"a definition's, of one":  {map[string]string{"GOMAXPROCS": "1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			step, err := build.GoStep(build.Compile{Build: "hello", Platform: definition.Platform{OS: "linux", Arch: "amd64"}, Go: definition.Go{Env: c.env}},
				build.GoInputs{Source: engine.Mount{Host: dir}, Programs: []material.Program{{ImportPath: "example.test/hello", BinaryName: "hello"}}, Out: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if side := slices.ContainsFunc(step.Argv, func(a string) bool { return strings.HasPrefix(a, "-p=") }); side != (c.env == nil) {
				t.Errorf("packages side by side, said by the step: %v, of %q", side, step.Argv)
			}
			cmd := exec.Command(goPath, slices.Concat([]string{"build", "-n", "-a"}, step.Argv[2:])...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOCACHE="+t.TempDir(), "GOMAXPROCS="+step.Env["GOMAXPROCS"])
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			compiles, threads := 0, 0
			for line := range strings.Lines(string(out)) {
				if !strings.Contains(line, "/compile -o ") {
					continue
				}
				compiles++
				if strings.Contains(line, " -c=") {
					threads++
				}
			}
			if compiles == 0 || (threads > 0) != c.threads {
				t.Errorf("%d of %d packages would be compiled on several threads", threads, compiles)
			}
		})
	}
}

// TestProgramsOfOneName: one binary would overwrite the other.
func TestProgramsOfOneName(t *testing.T) {
	t.Parallel()
	in := build.GoInputs{Source: engine.Mount{Host: t.TempDir()}, Out: t.TempDir(), Programs: []material.Program{
		{ImportPath: "example.test/a/hello", BinaryName: "hello"}, {ImportPath: "example.test/b/hello", BinaryName: "hello"}}}
	if _, err := build.GoStep(build.Compile{Build: "hello"}, in); gate.Code(err) != "binary-name-collision" {
		t.Error(err)
	}
}
