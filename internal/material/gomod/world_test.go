package gomod_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/material/goproxy"
	"github.com/sello-release/sello/internal/material/goproxytest"
)

// world is a proxy, a checksum database, a user and a cache, all of them the test's own.
type world struct {
	t      *testing.T
	server *goproxytest.Server
	cache  string
	env    map[string]string
	limits goproxy.Limits

	mu    sync.Mutex
	lines []string // progress
}

func newWorld(t *testing.T, mods ...goproxytest.Module) *world {
	t.Helper()
	t.Parallel()
	return anotherWorld(t, mods...)
}

// anotherWorld is a second one in the same test. (A checksum database never changes its mind, so lies need a new one.)
func anotherWorld(t *testing.T, mods ...goproxytest.Module) *world {
	t.Helper()
	s := goproxytest.New(t, mods...)
	home := tempDir(t)
	write(t, home, map[string]string{".config/go/telemetry/mode": "off"}) // or a process stays behind that writes there
	return &world{
		t: t, server: s, cache: tempDir(t),
		env: map[string]string{
			"PATH": os.Getenv("PATH"), "HOME": home, "GOENV": "off", "GOPROXY": s.URL, "GOSUMDB": s.GOSUMDB,
			"SYSTEMROOT": os.Getenv("SYSTEMROOT"),
		},
		limits: goproxy.Limits{Attempts: 2, Backoff: time.Millisecond, First: 10 * time.Second, Idle: 10 * time.Second},
	}
}

// tempDir also removes read-only folders.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gomod-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (w *world) fetcher(change ...func(*gomod.Options)) *gomod.Fetcher {
	w.t.Helper()
	o := gomod.Options{CacheDir: w.cache, Limits: w.limits, Progress: func(s string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.lines = append(w.lines, s)
	}}
	for name, value := range w.env {
		o.Env = append(o.Env, name+"="+value)
	}
	for _, c := range change {
		c(&o)
	}
	f, err := gomod.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// source writes a tree.
func (w *world) source(files map[string]string) string {
	w.t.Helper()
	dir := tempDir(w.t)
	write(w.t, dir, files)
	return dir
}

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var machine = sync.OnceValues(func() (material.Toolchain, error) {
	out, err := exec.Command("go", "env", "-json", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return material.Toolchain{}, err
	}
	var env struct{ GOROOT, GOVERSION string }
	err = json.Unmarshal(out, &env)
	return material.Toolchain{Version: env.GOVERSION, Root: env.GOROOT}, err
})

func machineToolchain(t testing.TB) material.Toolchain {
	t.Helper()
	tc, err := machine()
	if err != nil {
		t.Skipf("the go command of this machine cannot be used: %v", err)
	}
	return tc
}

var linux = material.Target{Name: "linux/amd64", Env: map[string]string{"GOOS": "linux", "GOARCH": "amd64"}, Packages: []string{"./..."}}

// request asks for a source's programs on linux/amd64.
func (w *world) request(source string, change ...func(*gomod.ModulesRequest)) gomod.ModulesRequest {
	w.t.Helper()
	r := gomod.ModulesRequest{Toolchain: machineToolchain(w.t), Source: source, Dir: ".", Targets: []material.Target{linux}, Work: tempDir(w.t)}
	for _, c := range change {
		c(&r)
	}
	return r
}

func (w *world) modules(r gomod.ModulesRequest) material.Modules {
	w.t.Helper()
	m, err := w.fetcher().Modules(context.Background(), r)
	if err != nil {
		w.t.Fatalf("modules: %v", err)
	}
	return m
}

// refused runs a request that must be refused with code.
func (w *world) refused(r gomod.ModulesRequest, code string) *gate.Refusal {
	w.t.Helper()
	_, err := w.fetcher().Modules(context.Background(), r)
	return wantCode(w.t, err, code)
}

func wantCode(t testing.TB, err error, code string) *gate.Refusal {
	t.Helper()
	if got := gate.Code(err); got != code {
		t.Fatalf("code: want %s, got %q: %v", code, got, err)
	}
	return asRefusal(err)
}

// names gives the names of materials.
func names(ms []material.Material) []string {
	out := []string{}
	for _, m := range ms {
		out = append(out, m.Name)
	}
	return out
}

// tree lists the regular files below dir.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	out := []string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		out = append(out, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// Modules that the tests build with: app needs a, a needs b, and c only takes part in version selection.
var (
	modB = goproxytest.Module{Path: "example.test/Upper/b", Version: "v1.0.0", Files: map[string]string{
		"b.go": "package b\n\nconst B = \"b\"\n",
	}}
	modA = goproxytest.Module{Path: "example.test/a", Version: "v1.2.0", Files: map[string]string{
		"go.mod": "module example.test/a\n\ngo 1.21\n\nrequire example.test/Upper/b v1.0.0\n",
		"a.go":   "package a\n\nimport \"example.test/Upper/b\"\n\nconst A = \"a\" + b.B\n",
	}}
	modExtra = goproxytest.Module{Path: "example.test/extra", Version: "v0.1.0", Files: map[string]string{
		"extra.go": "package extra\n\nconst Extra = 1\n",
	}}
)

// app is a program that needs a and b.
func app(t testing.TB, mods ...goproxytest.Module) map[string]string {
	t.Helper()
	return map[string]string{
		"go.mod":          "module example.test/app/v3\n\ngo 1.21\n\nrequire (\n\texample.test/a v1.2.0\n\texample.test/Upper/b v1.0.0 // indirect\n)\n",
		"go.sum":          goSum(t, append([]goproxytest.Module{modA, modB}, mods...)...),
		"cmd/app/main.go": "package main\n\nimport \"example.test/a\"\n\nfunc main() { println(a.A) }\n",
		"lib/lib.go":      "package lib\n",
	}
}

func goSum(t testing.TB, mods ...goproxytest.Module) string {
	t.Helper()
	var b strings.Builder
	for _, m := range mods {
		lines, err := m.GoSum()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(lines)
	}
	return b.String()
}

func with(files map[string]string, more map[string]string) map[string]string {
	out := maps.Clone(files)
	maps.Copy(out, more)
	return out
}

// another is a module with the same path and version and other files.
func another(m goproxytest.Module) goproxytest.Module {
	m.Files = with(m.Files, map[string]string{"evil.go": "package " + filepath.Base(m.Path) + "\n"})
	return m
}

func needGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil || runtime.GOOS == "windows" {
		t.Skip("git is not installed")
	}
}
