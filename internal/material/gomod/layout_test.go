package gomod_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/material/goproxytest"
)

func TestReplacementInTheSource(t *testing.T) {
	w := newWorld(t, modB)
	m := w.modules(w.request(w.source(map[string]string{
		"tool/go.mod":  "module example.test/tool\n\ngo 1.21\n\nrequire example.test/a v1.2.0\n\nrequire example.test/Upper/b v1.0.0 // indirect\n\nreplace example.test/a => ../a\n",
		"tool/go.sum":  goSum(t, modB),
		"tool/main.go": "package main\n\nimport \"example.test/a\"\n\nfunc main() { println(a.A) }\n",
		"a/go.mod":     modA.GoMod(),
		"a/a.go":       modA.Files["a.go"],
	}), func(r *gomod.ModulesRequest) { r.Dir = "tool" }))
	if diff := cmp.Diff([]string{"example.test/Upper/b@v1.0.0"}, names(m.Materials)); diff != "" {
		t.Errorf("materials:\n%s", diff)
	}
	if m.Programs["linux/amd64"][0].BinaryName != "tool" {
		t.Errorf("programs: %v", m.Programs)
	}
}

func TestReplacementByAModule(t *testing.T) {
	fork := goproxytest.Module{Path: "example.test/fork", Version: "v0.0.0-20240102030405-0123456789ab", Files: map[string]string{
		"go.mod": modA.GoMod(), "a.go": modA.Files["a.go"],
	}}
	w := newWorld(t, modA, modB, fork)
	m := w.modules(w.request(w.source(with(app(t), map[string]string{
		"go.mod": app(t)["go.mod"] + "\nreplace example.test/a v1.2.0 => example.test/fork " + fork.Version + "\n",
		"go.sum": goSum(t, fork, modB),
	}))))
	if diff := cmp.Diff([]string{"example.test/Upper/b@v1.0.0", "example.test/fork@" + fork.Version}, names(m.Materials)); diff != "" {
		t.Fatalf("materials:\n%s", diff)
	}
	if got := m.Materials[1].Annotations["replaces"]; got != "example.test/a@v1.2.0" {
		t.Errorf("replaces: %q", got)
	}
}

// workspace is two modules, one of which uses the other, and a third that the workspace does not use.
func workspace(t *testing.T) map[string]string {
	return map[string]string{
		"go.work":      "go 1.22\n\nuse (\n\t./tool\n\t./a\n)\n",
		"go.work.sum":  goSum(t, modA),
		"tool/go.mod":  "module example.test/tool\n\ngo 1.22\n\nrequire example.test/a v1.2.0\n",
		"tool/main.go": "package main\n\nimport \"example.test/a\"\n\nfunc main() { println(a.A) }\n",
		"a/go.mod":     strings.Replace(modA.GoMod(), "1.21", "1.22", 1),
		"a/go.sum":     goSum(t, modB),
		"a/a.go":       modA.Files["a.go"],
		"other/go.mod": "module example.test/other\n\ngo 1.22\n\nrequire example.test/Upper/b v1.0.0\n",
		"other/go.sum": goSum(t, modB),
		"other/m.go":   "package main\n\nimport \"example.test/Upper/b\"\n\nfunc main() { println(b.B) }\n",
	}
}

func TestWorkspace(t *testing.T) {
	w := newWorld(t, modA, modB)
	// A workspace above the source is none of the project's.
	outer := tempDir(t)
	source := filepath.Join(outer, "source")
	write(t, outer, map[string]string{"go.work": "go 1.22\n\nuse ./nowhere\n", "go.mod": "module outer\n"})
	write(t, source, workspace(t))
	if err := os.Remove(filepath.Join(source, "go.work.sum")); err != nil {
		t.Fatal(err)
	}
	inTool := func(r *gomod.ModulesRequest) { r.Dir = "tool" }
	w.refused(w.request(source, inTool), "module-not-in-gosum")
	write(t, source, map[string]string{"go.work.sum": strings.ReplaceAll(goSum(t, modB), "example.test/Upper/b v1.0.0", "example.test/a v1.2.0")})
	w.refused(w.request(source, inTool), "module-sum-mismatch")
	write(t, source, workspace(t))
	before := tree(t, outer)
	for dir, want := range map[string]string{"tool": "go.work", "other": "off"} {
		m := w.modules(w.request(source, func(r *gomod.ModulesRequest) { r.Dir = dir }))
		if m.GoWork != want {
			t.Errorf("%s: workspace %q, want %q", dir, m.GoWork, want)
		}
		read := []string{"example.test/Upper/b@v1.0.0"}
		if want != "off" {
			read = append(read, "example.test/a@v1.2.0/go.mod") // the workspace has another a; its go.mod file is read all the same
		}
		if diff := cmp.Diff(read, names(m.Materials)); diff != "" {
			t.Errorf("%s: materials:\n%s", dir, diff)
		}
	}
	// The definition may ask for the module alone: then its own go.mod and go.sum count.
	alone := func(r *gomod.ModulesRequest) { r.Dir, r.NoWorkspace = "tool", true }
	w.refused(w.request(source, alone), "module-not-in-gosum")
	root := w.modules(w.request(source, func(r *gomod.ModulesRequest) { r.Targets[0].Packages = []string{"./tool/..."} }))
	if root.GoWork != "go.work" || len(root.Programs["linux/amd64"]) != 1 {
		t.Errorf("from the root of the workspace: %+v", root)
	}
	if diff := cmp.Diff(before, tree(t, outer)); diff != "" {
		t.Errorf("the source was written to:\n%s", diff)
	}
}

// vendorSource makes a vendor folder with the go command.
func vendorSource(t *testing.T, w *world, files map[string]string, verb string) string {
	t.Helper()
	dir := w.source(files)
	tc := machineToolchain(t)
	cmd := exec.Command(filepath.Join(tc.Root, "bin", "go"), verb, "vendor")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-modcacherw", "GOPROXY="+w.server.URL, "GOSUMDB=off", "GOMODCACHE="+tempDir(t), "GOTOOLCHAIN=local", "GOPRIVATE=", "GONOPROXY=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s vendor: %v\n%s", verb, err, out)
	}
	return dir
}

func TestVendored(t *testing.T) {
	w := newWorld(t, modA, modB)
	source := vendorSource(t, w, app(t), "mod")
	before := tree(t, source)
	m := w.modules(w.request(source))
	if !m.Vendored || m.Cache != "" || len(m.Materials) != 0 {
		t.Errorf("a vendored build reads nothing but the source: %+v", m)
	}
	if diff := cmp.Diff([]string{"example.test/Upper/b@v1.0.0", "example.test/a@v1.2.0"}, names(m.VendorChecked)); diff != "" {
		t.Errorf("compared with:\n%s", diff)
	}
	if m.VendorChecked[0].Annotations["use"] != "vendor-check" || len(m.Graph) != 2 || len(m.Programs["linux/amd64"]) != 1 {
		t.Errorf("got %+v", m)
	}
	if diff := cmp.Diff(before, tree(t, source)); diff != "" {
		t.Errorf("the source was written to:\n%s", diff)
	}
}

func TestVendorRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		code, actual string
		spoil        map[string]string
		remove       string
	}{
		"changed file":        {"vendor-mismatch", "vendor/example.test/a/a.go (changed)", map[string]string{"vendor/example.test/a/a.go": modA.Files["a.go"] + "\nfunc init() {}\n"}, ""},
		"extra file":          {"vendor-mismatch", "vendor/example.test/a/x.go (not of any module)", map[string]string{"vendor/example.test/a/x.go": "package a\n"}, ""},
		"missing file":        {"vendor-mismatch", "vendor/example.test/Upper/b/b.go (missing)", map[string]string{"vendor/example.test/Upper/b/c.go": "package b\n\nconst B = \"x\"\n"}, "vendor/example.test/Upper/b/b.go"},
		"inconsistent go.mod": {"vendor-mismatch", "", map[string]string{"go.mod": strings.Replace(app(t)["go.mod"], "v1.2.0", "v1.3.0", 1)}, ""},
		"go.sum of other":     {"module-sum-mismatch", "", map[string]string{"go.sum": goSum(t, another(modA), modB)}, ""},
		"no go.sum":           {"module-not-in-gosum", "", map[string]string{"go.sum": ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, modA, modB)
			source := vendorSource(t, w, app(t), "mod")
			write(t, source, tc.spoil)
			if tc.remove != "" {
				if err := os.Remove(filepath.Join(source, tc.remove)); err != nil {
					t.Fatal(err)
				}
			}
			before := tree(t, source)
			r := w.refused(w.request(source), tc.code)
			if !strings.Contains(r.Actual, tc.actual) {
				t.Errorf("differences: %q, want %q", r.Actual, tc.actual)
			}
			if diff := cmp.Diff(before, tree(t, source)); diff != "" {
				t.Errorf("the source was written to:\n%s", diff)
			}
		})
	}
}

func TestVendoredWorkspace(t *testing.T) {
	w := newWorld(t, modA, modB)
	source := vendorSource(t, w, workspace(t), "work")
	request := w.request(source, func(r *gomod.ModulesRequest) { r.Dir = "tool" })
	m := w.modules(request)
	if !m.Vendored || m.GoWork != "go.work" || len(m.VendorChecked) != 2 {
		t.Errorf("got %+v", m)
	}
	write(t, source, map[string]string{"vendor/example.test/Upper/b/b.go": "package b\n\nconst B = \"evil\"\n"})
	w.refused(request, "vendor-mismatch")
}

func TestDirectFromVersionControl(t *testing.T) {
	needGit(t)
	w := newWorld(t, modB)
	repo := w.source(map[string]string{"go.mod": "module example.test/repo.git\n\ngo 1.21\n", "r.go": "package repo\n\nconst R = 1\n"})
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-q", "-m", "first"}, {"tag", "v1.0.0"}} {
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.test"}, args...)...)
		cmd.Dir = repo
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write(t, w.env["HOME"], map[string]string{".gitconfig": "[url \"file://" + repo + "\"]\n\tinsteadOf = https://example.test/repo\n[safe]\n\tdirectory = *\n"})
	published := goproxytest.Module{Path: "example.test/repo.git", Version: "v1.0.0", Files: map[string]string{
		"go.mod": "module example.test/repo.git\n\ngo 1.21\n", "r.go": "package repo\n\nconst R = 1\n",
	}}
	files := map[string]string{
		"go.mod":  "module example.test/app\n\ngo 1.21\n\nrequire (\n\texample.test/repo.git v1.0.0\n\texample.test/Upper/b v1.0.0\n)\n",
		"go.sum":  goSum(t, published, modB),
		"main.go": "package main\n\nimport (\n\tb \"example.test/Upper/b\"\n\trepo \"example.test/repo.git\"\n)\n\nfunc main() { println(repo.R, b.B) }\n",
	}
	w.env["GOPRIVATE"] = "example.test/repo.git"
	w.env["GIT_ALLOW_PROTOCOL"] = "file:https"
	m := w.modules(w.request(w.source(files)))
	if len(m.Materials) != 2 || m.Materials[1].DownloadLocation != "direct" || m.Materials[1].Annotations["sumdb"] != "exempt" {
		t.Errorf("materials: %+v", m.Materials)
	}
	for _, path := range w.server.Requests() {
		if strings.Contains(path, "repo.git") {
			t.Errorf("a private module was asked of the proxy: %s", path)
		}
	}
	// Going on without the repository: the store has it.
	if err := os.RemoveAll(repo); err != nil {
		t.Fatal(err)
	}
	w.modules(w.request(w.source(files)))
}

func TestPublishedModule(t *testing.T) {
	program := goproxytest.Module{Path: "example.test/Prog/v2", Version: "v2.1.0", Files: map[string]string{
		"go.mod":       "module example.test/Prog/v2\n\ngo 1.21\n\nrequire example.test/a v1.2.0\n\nrequire example.test/Upper/b v1.0.0 // indirect\n",
		"main.go":      "package main\n\nimport \"example.test/a\"\n\nfunc main() { println(a.A) }\n",
		"cmd/x/x.go":   "package main\n\nfunc main() {}\n",
		"lib/lib.go":   "package lib\n\nimport _ \"example.test/extra\"\n",
		"lib/other.go": "package lib\n",
	}}
	w := newWorld(t, modA, modB, modExtra, program)
	ctx, work := context.Background(), tempDir(t)
	src, err := w.fetcher().Module(ctx, program.Path, program.Version, work)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(goSum(t, program), src.H1) || string(src.GoMod) != program.GoMod() || src.Material.Annotations["sumdb"] != "verified" {
		t.Errorf("got %+v", src)
	}
	if diff := cmp.Diff([]string{"cmd/x/x.go", "go.mod", "lib/lib.go", "lib/other.go", "main.go"}, tree(t, src.Dir)); diff != "" {
		t.Errorf("files:\n%s", diff)
	}
	request := w.request("", func(r *gomod.ModulesRequest) {
		r.Published, r.Work = &src, work
		r.Targets[0].Packages = []string{".", "./cmd/..."}
	})
	m := w.modules(request)
	if diff := cmp.Diff([]string{"example.test/Prog/v2@v2.1.0", "example.test/Upper/b@v1.0.0", "example.test/a@v1.2.0"}, names(m.Materials)); diff != "" {
		t.Errorf("materials:\n%s", diff)
	}
	programs := m.Programs["linux/amd64"]
	if len(programs) != 2 || programs[0].BinaryName != "Prog" || programs[1].BinaryName != "x" {
		t.Errorf("programs: %v", programs)
	}
	dir := filepath.Join(m.Cache, "cache", "download", "example.test", "!prog", "v2", "@v")
	if diff := cmp.Diff([]string{"list", "v2.1.0.info", "v2.1.0.mod", "v2.1.0.ziphash"}, tree(t, dir)); diff != "" {
		t.Errorf("what go install asks for:\n%s", diff)
	}
	w.server.Hook(dead)
	if _, err := w.fetcher().Module(ctx, program.Path, program.Version, work); err != nil {
		t.Errorf("a warm cache needs no network: %v", err)
	}
	w.modules(request)
	request.Targets[0].Packages = []string{"example.test/other"}
	w.refused(request, "target-invalid")

	// A package that the module does not hold: no matter what the proxy says of modules that might.
	w.server.Hook(func(rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(http.StatusForbidden); return true })
	for _, missing := range []string{"./cmd/nothing", "./lib/other"} {
		request.Targets[0].Packages = []string{".", missing}
		if r := w.refused(request, "module-package-missing"); r.Class != gate.Usage || !strings.Contains(r.What, strings.TrimPrefix(missing, ".")) {
			t.Errorf("%s: %v", missing, r)
		}
	}
}

func TestPublishedModuleRefusals(t *testing.T) {
	replacing := goproxytest.Module{Path: "example.test/replacing", Version: "v1.0.0", Files: map[string]string{
		"go.mod": "module example.test/replacing\n\ngo 1.21\n\nreplace example.test/a => ./a\n", "m.go": "package main\n\nfunc main() {}\n",
	}}
	w := newWorld(t, modA, modB, replacing)
	w.server.Claim(modB.Path, modB.Version, goSum(t, another(modB)))
	ctx, f := context.Background(), w.fetcher()
	module := func(path, version string) error {
		_, err := f.Module(ctx, path, version, tempDir(t))
		return err
	}
	wantCode(t, module(modA.Path, "latest"), "module-version-inexact")
	wantCode(t, module(modA.Path, "v1"), "module-version-inexact")
	wantCode(t, module("../x", "v1.0.0"), "module-version-inexact")
	wantCode(t, module(modA.Path, "v1.9.9"), "module-not-found")
	wantCode(t, module(modB.Path, modB.Version), "sumdb-mismatch")
	src, err := f.Module(ctx, replacing.Path, replacing.Version, tempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	w.refused(w.request("", func(r *gomod.ModulesRequest) { r.Published = &src }), "module-not-installable")
}
