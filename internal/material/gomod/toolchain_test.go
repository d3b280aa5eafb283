package gomod_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/material/goproxytest"
)

func dead(rw http.ResponseWriter, _ *http.Request) bool {
	rw.WriteHeader(http.StatusTeapot)
	return true
}

// fakeToolchain is a toolchain module with the files that matter here.
func fakeToolchain(version string) goproxytest.Module {
	return goproxytest.Module{Path: "golang.org/toolchain", Version: "v0.0.1-" + version + "." + runtime.GOOS + "-" + runtime.GOARCH, Files: map[string]string{
		"go.mod": "module golang.org/toolchain\n", "VERSION": version + "\n", "bin/go": "#!/bin/sh\n", "pkg/tool/x_y/compile": "#!/bin/sh\n",
		"src/_go.mod": "module std\n", "src/cmd/_go.mod": "module cmd\n", "src/fmt/print.go": "package fmt\n", "lib/wasm/go_js_wasm_exec": "#!/bin/sh\n",
	}}
}

func TestToolchain(t *testing.T) {
	w := newWorld(t, fakeToolchain("go1.99.1"))
	ctx := context.Background()
	get := func() material.Toolchain {
		t.Helper()
		tc, err := w.fetcher().Toolchain(ctx, "go1.99.1")
		if err != nil {
			t.Fatal(err)
		}
		return tc
	}
	cold := get()
	m := cold.Material
	if m.Name != "toolchain" || m.URI != "pkg:golang/golang.org/toolchain@"+fakeToolchain("go1.99.1").Version || m.Annotations["sumdb"] != "verified" ||
		len(m.Digest["sha256"]) != 64 || len(m.Digest["dirHash"]) != 64 || m.DownloadLocation == "" {
		t.Errorf("material: %+v", m)
	}
	for file, mode := range map[string]os.FileMode{"bin/go": 0o555, "pkg/tool/x_y/compile": 0o555, "lib/wasm/go_js_wasm_exec": 0o555, "src/go.mod": 0o444, "src/cmd/go.mod": 0o444} {
		info, err := os.Stat(filepath.Join(cold.Root, file))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != mode {
			t.Errorf("%s: mode %v, want %v", file, info.Mode(), mode)
		}
	}
	// From now on nothing may be asked for.
	w.server.Hook(dead)
	for name, spoil := range map[string]func(root string) error{
		"nothing":             func(string) error { return nil },
		"changed file":        func(root string) error { return overwrite(filepath.Join(root, "src/fmt/print.go"), "package evil\n") },
		"extra file":          func(root string) error { return os.WriteFile(filepath.Join(root, "src/fmt/evil.go"), nil, 0o644) },
		"changed go.mod twin": func(root string) error { return overwrite(filepath.Join(root, "src/go.mod"), "module evil\n") },
		"missing go.mod":      func(root string) error { return os.Remove(filepath.Join(root, "src/go.mod")) },
		"link":                func(root string) error { return os.Symlink("/etc", filepath.Join(root, "src/etc")) },
		"missing file":        func(root string) error { return os.Remove(filepath.Join(root, "VERSION")) },
		"not executable":      func(root string) error { return os.Chmod(filepath.Join(root, "bin/go"), 0o444) },
		"missing folder":      os.RemoveAll,
	} {
		if name == "not executable" && runtime.GOOS == "windows" {
			continue
		}
		if err := spoil(cold.Root); err != nil {
			t.Fatal(err)
		}
		if again := get(); again.Root != cold.Root {
			t.Errorf("%s: %s", name, again.Root)
		}
		for file, want := range map[string]string{"VERSION": "go1.99.1\n", "src/fmt/print.go": "package fmt\n", "src/go.mod": "module std\n"} {
			if data, err := os.ReadFile(filepath.Join(cold.Root, file)); err != nil || string(data) != want {
				t.Errorf("%s: %s holds %q, %v", name, file, data, err)
			}
		}
		for _, extra := range []string{"src/fmt/evil.go", "src/etc"} {
			if _, err := os.Lstat(filepath.Join(cold.Root, extra)); err == nil {
				t.Errorf("%s: %s is still there", name, extra)
			}
		}
	}
}

func overwrite(path, text string) error {
	if err := os.Chmod(path, 0o644); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func TestToolchainRefusals(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, fakeToolchain("go1.99.1"), fakeToolchain("go1.99.2"))
	get := func(version string, change ...func(*gomod.Options)) error {
		_, err := w.fetcher(change...).Toolchain(ctx, version)
		return err
	}
	lines := goSum(t, fakeToolchain("go1.99.2"))
	w.server.Claim("golang.org/toolchain", fakeToolchain("go1.99.2").Version, lines)
	w.server.Add(t, another(fakeToolchain("go1.99.2")))
	wantCode(t, get("go1.99.2"), "sumdb-mismatch")
	wantCode(t, get("go1.99.7"), "toolchain-not-found")
	wantCode(t, get("1.99.1"), "toolchain-invalid")
	w.env["GONOSUMDB"] = "golang.org/toolchain"
	wantCode(t, get("go1.99.2"), "sumdb-mismatch")
	w.env["GOSUMDB"] = "off"
	wantCode(t, get("go1.99.1"), "toolchain-unverified")
	if got := tree(t, filepath.Join(w.cache, "toolchains")); len(got) != 0 {
		t.Errorf("a refused toolchain was unpacked: %v", got)
	}
	exempt := func(o *gomod.Options) { o.ExemptToolchain = true }
	for range 2 {
		tc, err := w.fetcher(exempt).Toolchain(ctx, "go1.99.1")
		if err != nil {
			t.Fatal(err)
		}
		if tc.Material.Annotations["sumdb"] != "exempt" {
			t.Errorf("the exemption is not recorded: %v", tc.Material.Annotations)
		}
	}
	wantCode(t, get("go1.99.1"), "toolchain-unverified")
}

func TestLocalToolchain(t *testing.T) {
	w := newWorld(t)
	goroot := w.source(map[string]string{"VERSION": "go1.99.0\n", "bin/go": "x"})
	w.env["GOROOT"] = goroot
	tc, err := w.fetcher().Toolchain(context.Background(), gomod.Local)
	if err != nil {
		t.Fatal(err)
	}
	if tc.Root != goroot || len(tc.Material.Digest["dirHash"]) != 64 || tc.Material.Annotations["origin"] != "machine" {
		t.Errorf("got %+v", tc)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(goroot, "link")); err != nil {
		t.Skip(err)
	}
	_, err = w.fetcher().Toolchain(context.Background(), gomod.Local)
	wantCode(t, err, "toolchain-local-unusable")
}

func TestNoGoCommand(t *testing.T) {
	w := newWorld(t)
	_, err := w.fetcher(func(o *gomod.Options) { o.Go = "/nonexistent/go" }).Toolchain(context.Background(), "go1.99.1")
	wantCode(t, err, "go-missing")
}

func TestToolchainFor(t *testing.T) {
	for name, tc := range map[string]struct{ gomod, wanted, want, code string }{
		"toolchain line":             {"go 1.24\ntoolchain go1.26.8\n", "", "go1.26.8", ""},
		"go line, three numbers":     {"go 1.24.3\n", "", "go1.24.3", ""},
		"go line, two numbers":       {"go 1.24\n", "", "go1.24.0", ""},
		"go line, candidate":         {"go 1.24rc1\n", "", "go1.24rc1", ""},
		"toolchain below go line":    {"go 1.26.3\ntoolchain go1.24.0\n", "", "go1.26.3", ""},
		"toolchain default":          {"go 1.24\ntoolchain default\n", "", "go1.24.0", ""},
		"definition wins":            {"go 1.24\ntoolchain go1.26.8\n", "go1.25.1", "go1.25.1", ""},
		"definition, old module":     {"go 1.13\n", "go1.25.1", "go1.25.1", ""},
		"definition without go line": {"", "go1.25.1", "go1.25.1", ""},
		"machine":                    {"go 1.24\n", "local", "local", ""},
		"old go line":                {"go 1.20\n", "", "", "toolchain-unspecified"},
		"no go line":                 {"", "", "", "toolchain-unspecified"},
		"definition too old":         {"go 1.25\n", "go1.24.9", "", "toolchain-too-old"},
		"release candidate too old":  {"go 1.25.0\n", "go1.25rc2", "", "toolchain-too-old"},
		"without go":                 {"go 1.25\n", "1.25.1", "", "toolchain-invalid"},
		"language":                   {"go 1.25\n", "go1.25", "", "toolchain-invalid"},
		"suffix":                     {"go 1.25\n", "go1.25.1-corp", "", "toolchain-invalid"},
		"path":                       {"go 1.25\n", "go1.25.1/../../x", "", "toolchain-invalid"},
		"not a go.mod":               {"modul (\n", "", "", "gomod-invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := gomod.ToolchainFor([]byte("module example.test/m\n"+tc.gomod), tc.wanted)
			if tc.code != "" {
				if r := wantCode(t, err, tc.code); r.Fix == "" {
					t.Error("no fix")
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}
