package sbom_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/stage"
)

// goCommand runs the Go command with the user's proxy and caches.
func goCommand(t testing.TB, dir string, env []string, args ...string) string {
	t.Helper()
	goPath, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the Go command is not installed")
	}
	cmd := exec.Command(goPath, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=")
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, stderr.String())
	}
	return stdout.String()
}

// openProgram reads a program from disk, with its digests.
func openProgram(t testing.TB, path, name, platform string) sbom.Input {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := sbom.ReadBinary(f)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := digest.File(path)
	if err != nil {
		t.Fatal(err)
	}
	return sbom.Input{Name: name, Sums: sums, Kind: stage.KindBinary, Platform: platform, Binaries: []sbom.Binary{*b}}
}

// listed are the modules that `go version -m` prints, as "path version h1".
func listed(t testing.TB, path string) []string {
	t.Helper()
	var modules []string
	for line := range strings.Lines(goCommand(t, "", nil, "version", "-m", path)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && (fields[0] == "mod" || fields[0] == "dep" || fields[0] == "=>") {
			if fields[0] == "mod" && len(fields) > 2 && fields[2] == "(devel)" {
				fields[2] = meta.Version
			}
			modules = append(modules, strings.Join(fields[1:], " "))
		}
	}
	return modules
}

// described are the modules of a document, in the same form.
func described(t testing.TB, doc []byte) []string {
	t.Helper()
	var modules []string
	for _, p := range read(t, doc).Packages {
		id := string(p.PackageSPDXIdentifier)
		if !strings.HasPrefix(id, "Module-") && !strings.HasPrefix(id, "Main-") && !strings.HasPrefix(id, "Replaced-") {
			continue
		}
		module := strings.TrimSpace(p.PackageName + " " + p.PackageVersion)
		if h1 := reference(p, "dirHash"); h1 != "" {
			module += " " + h1
		}
		modules = append(modules, module)
	}
	return modules
}

func reference(p *spdx.Package, kind string) string {
	for _, r := range p.PackageExternalReferences {
		if r.RefType == kind {
			return r.Locator
		}
	}
	return ""
}

func read(t testing.TB, doc []byte) *spdx.Document {
	t.Helper()
	d, err := spdxjson.Read(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var sortLines = cmp.Transformer("sorted", func(lines []string) map[string]int {
	m := map[string]int{}
	for _, l := range lines {
		m[l]++
	}
	return m
})

func TestModulesAreThoseOfGoVersion(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"linux/amd64", "windows/amd64", "darwin/arm64"} {
		for _, ldflags := range []string{"", "-s -w"} {
			t.Run(platform+ldflags, func(t *testing.T) {
				t.Parallel()
				goos, goarch, _ := strings.Cut(platform, "/")
				out := filepath.Join(t.TempDir(), "program")
				goCommand(t, "", []string{"GOOS=" + goos, "GOARCH=" + goarch}, "build", "-trimpath", "-buildvcs=false", "-ldflags="+ldflags, "-o", out, "./testdata/program")
				doc, err := inArtifact(meta, openProgram(t, out, "program", platform), nil)
				if err != nil {
					t.Fatal(err)
				}
				want := listed(t, out)
				if len(want) < 4 {
					t.Fatalf("the test program has too few modules: %v", want)
				}
				if diff := cmp.Diff(want, described(t, doc), sortLines); diff != "" {
					t.Errorf("modules (-go version +document):\n%s", diff)
				}
				valid(t, doc)
			})
		}
	}
}

// TestReplacedModules builds against a replaced module, and one that is replaced by a folder.
func TestReplacedModules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": `module example.com/main
go 1.26.0
require (
	example.com/fork v1.2.3
	example.com/local v0.1.0
)
replace example.com/fork => github.com/inconshreveable/mousetrap v1.1.0
replace example.com/local => ./local
`,
		"main.go":      "package main\nimport (\"example.com/fork\"; \"example.com/local\")\nfunc main() { println(mousetrap.StartedByExplorer(), local.X) }\n",
		"local/go.mod": "module example.com/local\ngo 1.26.0\n",
		"local/x.go":   "package local\nvar X = 1\n",
		"go.sum":       sumsOf(t, "github.com/inconshreveable/mousetrap"),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "program")
	goCommand(t, dir, nil, "build", "-buildvcs=false", "-o", out, ".")
	graph := sbom.Graph{"example.com/main": {"example.com/fork@v1.2.3", "example.com/local@v0.1.0", "example.com/gone@v1.0.0"}}
	doc, err := inArtifact(meta, openProgram(t, out, "program", "linux/amd64"), graph)
	if err != nil {
		t.Fatal(err)
	}
	valid(t, doc)
	if diff := cmp.Diff(listed(t, out), described(t, doc), sortLines); diff != "" {
		t.Errorf("modules (-go version +document):\n%s", diff)
	}
	got := relations(t, doc)
	for _, want := range []string{
		"github.com/inconshreveable/mousetrap VARIANT_OF example.com/fork",
		"./local VARIANT_OF example.com/local",
		"program CONTAINS github.com/inconshreveable/mousetrap",
		"program CONTAINS ./local",
		"example.com/main DEPENDS_ON github.com/inconshreveable/mousetrap",
		"example.com/main DEPENDS_ON ./local",
	} {
		if !got[want] {
			t.Errorf("no %q", want)
		}
	}
	for _, wrong := range []string{"program CONTAINS example.com/fork", "example.com/main DEPENDS_ON example.com/gone"} {
		if got[wrong] {
			t.Errorf("found %q", wrong)
		}
	}
}

// sumsOf gives this repository's go.sum lines of a module.
func sumsOf(t *testing.T, module string) string {
	t.Helper()
	root := strings.TrimSpace(goCommand(t, "", nil, "env", "GOMOD"))
	all, err := os.ReadFile(filepath.Join(filepath.Dir(root), "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	var sums strings.Builder
	for line := range strings.Lines(string(all)) {
		if strings.HasPrefix(line, module+" ") {
			sums.WriteString(line)
		}
	}
	return sums.String()
}

// relations gives a document's relationships as "name KIND name".
func relations(t testing.TB, doc []byte) map[string]bool {
	t.Helper()
	d := read(t, doc)
	names := map[string]string{"DOCUMENT": "DOCUMENT"}
	for _, p := range d.Packages {
		names[string(p.PackageSPDXIdentifier)] = p.PackageName
	}
	for _, f := range d.Files {
		names[string(f.FileSPDXIdentifier)] = f.FileName
	}
	found := map[string]bool{}
	for _, r := range d.Relationships {
		found[names[string(r.RefA.ElementRefID)]+" "+r.Relationship+" "+names[string(r.RefB.ElementRefID)]] = true
	}
	return found
}

func TestVersionsAndPurls(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "program")
	goCommand(t, "", nil, "build", "-trimpath", "-buildvcs=false", "-o", out, "./testdata/program")
	doc, err := inArtifact(meta, openProgram(t, out, "bin/linux/amd64/program", "linux/amd64"), nil)
	if err != nil {
		t.Fatal(err)
	}
	goVersion := strings.TrimPrefix(strings.Fields(goCommand(t, "", nil, "env", "GOVERSION"))[0], "go")
	purls := map[string]string{}
	for _, p := range read(t, doc).Packages {
		purls[p.PackageName] = reference(p, "purl")
	}
	for name, want := range map[string]string{
		"stdlib":                         "pkg:golang/stdlib@" + goVersion,
		"toolchain":                      "pkg:golang/toolchain@" + goVersion,
		"github.com/sello-release/sello": "pkg:golang/github.com/sello-release/sello@v1.4.2",
		"bin/linux/amd64/program":        "pkg:golang/github.com/sello-release/sello@v1.4.2#internal/sbom/testdata/program",
		"program source":                 "",
	} {
		if purls[name] != want {
			t.Errorf("purl of %s is %q, want %q", name, purls[name], want)
		}
	}
	if !json.Valid(doc) {
		t.Error("not JSON")
	}
}
