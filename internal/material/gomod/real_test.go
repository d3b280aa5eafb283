package gomod_test

import (
	"context"
	"debug/buildinfo"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/gomod"
)

// realFetcher uses the user's own settings, and skips when their proxy does not answer.
func realFetcher(t *testing.T) *gomod.Fetcher {
	t.Helper()
	f, err := gomod.New(gomod.Options{CacheDir: tempDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func skipWithoutNetwork(t *testing.T, err error) {
	t.Helper()
	switch code := gate.Code(err); code {
	case "fetch-proxy-unreachable", "fetch-timeout", "fetch-off", "sumdb-unreachable", "fetch-denied", "go-missing":
		t.Skipf("the user's GOPROXY cannot be used here (%s): %v", code, err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRealModules(t *testing.T) {
	if testing.Short() {
		t.Skip("uses the network")
	}
	t.Parallel()
	source := tempDir(t)
	write(t, source, map[string]string{
		"go.mod":  "module example.test/hello\n\ngo 1.21\n\nrequire rsc.io/quote v1.5.2\n\nrequire (\n\tgolang.org/x/text v0.0.0-20170915032832-14c0d48ead0c // indirect\n\trsc.io/sampler v1.3.0 // indirect\n)\n",
		"main.go": "package main\n\nimport \"rsc.io/quote\"\n\nfunc main() { println(quote.Hello()) }\n",
		"go.sum": `golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c h1:qgOY6WgZOaTkIIMiVjBQcw93ERBE4m30iBm00nkL0i8=
golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c/go.mod h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=
rsc.io/quote v1.5.2 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=
rsc.io/quote v1.5.2/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=
rsc.io/sampler v1.3.0 h1:7uVkIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=
rsc.io/sampler v1.3.0/go.mod h1:T1hPZKmBbMNahiBKFy5HrXp6adAjACjK9JXDnKaTXpA=
`,
	})
	f, tc := realFetcher(t), machineToolchain(t)
	m, err := f.Modules(context.Background(), gomod.ModulesRequest{Toolchain: tc, Source: source, Dir: ".", Work: tempDir(t), Targets: []material.Target{linux}})
	skipWithoutNetwork(t, err)
	if len(m.Materials) != 3 || len(m.Graph) != 3 {
		t.Errorf("got %+v", m)
	}
	box := sandbox{cache: m.Cache, source: source, env: material.BuildEnv(false, false), toolchain: tc.Root}
	got := box.run(t, nil, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", "/out/", "example.test/hello")
	if len(got) != 1 || got["hello"] == "" {
		t.Errorf("built %v", got)
	}
}

// TestSandboxedInstall is the experiment that Modules.Cache of a published module
// rests on: with nothing but that folder and the toolchain, without a network, `go install
// path@version` gives the same bytes as an ordinary `go install` with a network.
//
// What is needed was found by taking files away until it failed: for every module its .mod file
// (version selection), and for those that are compiled .ziphash (the sums in the build
// information) and the unpacked files; for the module itself also @v/list (its versions, to
// look for a deprecation notice in the latest) and .info. Zips, locks and the checksum database's files are not.
func TestSandboxedInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("uses the network, and compiles")
	}
	inside, outside := tempDir(t), tempDir(t) // compile caches: the standard library is compiled once on each side
	for name, tc := range map[string]struct {
		path, version, pattern string
		platforms              []string
	}{
		"one program, two platforms": {"golang.org/x/tools", "v0.35.0", "./cmd/stringer", []string{"linux/amd64", "windows/arm64"}},
		"pseudo-version":             {"golang.org/x/example/hello", "v0.0.0-20240205180059-32022caedd6a", "./...", []string{"linux/amd64"}},
		"upper case":                 {"github.com/BurntSushi/toml", "v1.5.0", "./cmd/tomlv", []string{"linux/amd64"}},
		"major version":              {"mvdan.cc/sh/v3", "v3.8.0", "./cmd/shfmt", []string{"linux/amd64"}},
		"many dependencies":          {"golang.org/x/tools/gopls", "v0.20.0", ".", []string{"linux/amd64"}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "many dependencies" && os.Getenv("SELLO_TEST_LARGE") == "" {
				t.Skip("compiles gopls twice; set SELLO_TEST_LARGE=1")
			}
			installAndCompare(t, tc.path, tc.version, tc.pattern, tc.platforms, inside, outside)
		})
	}
}

func installAndCompare(t *testing.T, path, version, pattern string, platforms []string, inside, outside string) {
	ctx, work := context.Background(), tempDir(t)
	f, tc := realFetcher(t), machineToolchain(t)
	src, err := f.Module(ctx, path, version, work)
	skipWithoutNetwork(t, err)
	var targets []material.Target
	for _, p := range platforms {
		goos, goarch, _ := strings.Cut(p, "/")
		targets = append(targets, material.Target{Name: p, Env: map[string]string{"GOOS": goos, "GOARCH": goarch}, Packages: []string{pattern}})
	}
	m, err := f.Modules(ctx, gomod.ModulesRequest{Toolchain: tc, Published: &src, Targets: targets, Work: work})
	if err != nil {
		t.Fatal(err)
	}
	box := sandbox{cache: m.Cache, env: material.BuildEnv(false, true), toolchain: tc.Root, gocache: inside}
	plain := tempDir(t)
	for _, target := range targets {
		var args []string
		for _, p := range m.Programs[target.Name] {
			args = append(args, p.ImportPath+"@"+version)
		}
		args = append([]string{"install", "-trimpath", "-buildvcs=false", "-p=" + strconv.Itoa(runtime.NumCPU()), "--"}, args...)
		got := box.run(t, target.Env, args...)
		want := plainInstall(t, tc, plain, outside, target.Env, args)
		if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
			t.Errorf("%s: the bytes differ from those of go install:\n%s", target.Name, diff)
		}
	}
}

// plainInstall runs go install as a user would who wants the same bytes, and gives the SHA-256 of what it leaves.
func plainInstall(t *testing.T, tc material.Toolchain, dir, gocache string, env map[string]string, args []string) map[string]string {
	t.Helper()
	out := filepath.Join(dir, "gopath-"+env["GOOS"]+env["GOARCH"])
	cmd := exec.Command(filepath.Join(tc.Root, "bin", "go"), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPATH="+out, "GOMODCACHE="+filepath.Join(dir, "mod"), "GOCACHE="+gocache, "GOFLAGS=-modcacherw",
		"GOTOOLCHAIN=local", "CGO_ENABLED=0", "GOBIN=", "GOMAXPROCS=1")
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go install: %v\n%s", err, text)
	}
	return binaries(t, filepath.Join(out, "bin"))
}

// binaries gives the main module's line and the bytes of what was built, by path.
func binaries(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range tree(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		info, err := buildinfo.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.ToSlash(name)] = info.Main.Path + "@" + info.Main.Version + " " + info.Main.Sum + " " + digest.Bytes(data)
	}
	return out
}

// sandbox runs the go command with nothing but the folders that a build step mounts.
type sandbox struct {
	cache, source, toolchain, gocache string
	env                               map[string]string
}

func (b sandbox) run(t *testing.T, target map[string]string, args ...string) map[string]string {
	t.Helper()
	bwrap, err := exec.LookPath("bwrap")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("bubblewrap is not installed: the build cannot be cut off from the network")
	}
	out := tempDir(t)
	cmd := []string{"--unshare-all", "--die-with-parent", "--clearenv", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
		"--ro-bind", b.toolchain, "/toolchain", "--ro-bind", b.cache, material.ModulesPath, "--bind", out, "/out", "--chdir", "/tmp"}
	if b.source != "" {
		cmd = append(cmd, "--ro-bind", b.source, "/src", "--chdir", "/src")
	}
	if b.gocache != "" {
		cmd = append(cmd, "--bind", b.gocache, "/tmp/cache")
	}
	env := map[string]string{"PATH": "/toolchain/bin", "HOME": "/tmp/home", "GOROOT": "/toolchain", "GOCACHE": "/tmp/cache", "GOPATH": "/out", "CGO_ENABLED": "0", "TMPDIR": "/tmp",
		"GOMAXPROCS": "1"} // one thread a package, as in a step: the compiler's output can depend on them
	maps.Copy(env, b.env)
	maps.Copy(env, target)
	for _, k := range slices.Sorted(maps.Keys(env)) {
		cmd = append(cmd, "--setenv", k, env[k])
	}
	cmd = append(append(cmd, "--", "/toolchain/bin/go"), args...)
	c := exec.Command(bwrap, cmd...)
	c.WaitDelay = time.Second
	if text, err := c.CombinedOutput(); err != nil {
		if strings.Contains(string(text), "bwrap:") {
			t.Skipf("bubblewrap cannot be used here: %s", text)
		}
		t.Fatalf("go %s: %v\n%s", args[0], err, text)
	}
	if args[0] == "install" {
		return binaries(t, filepath.Join(out, "bin"))
	}
	return binaries(t, out)
}
