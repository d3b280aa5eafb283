package scaffold

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

const mainFile = "package main\n\nfunc main() {}\n"

// tree writes files, with mainFile for those that are "".
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "My Repo")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			text = mainFile
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// detect finds, and holds that what is proposed is accepted.
func detect(t *testing.T, dir string, o Options) (Found, string) {
	t.Helper()
	f, err := Detect(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	text := string(f.SelloYAML())
	if _, err := definition.Parse("sello.yaml", f.SelloYAML()); err != nil {
		t.Fatalf("the proposal is refused: %v\n%s", err, text)
	}
	return f, text
}

func TestOneProgramAtTheRoot(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"go.mod": "module example.org/tools/hello\n\ngo 1.22\n", "main.go": "package main\n\nvar version = \"dev\"\n\nfunc main() { println(version) }\n",
		"main_test.go": "package main\n\nvar commit string\n", "internal/x/x.go": "package x\n",
	})
	_, got := detect(t, dir, Options{Remote: "git@github.com:acme/hello.git", Branch: "main", GoVersion: "go1.26.8"})
	want := `# yaml-language-server: $schema=https://github.com/sello-release/sello/raw/main/schema/sello.schema.json
# How hello is built and released. sello check reads it, sello plan shows what comes out, defaults and all.
project: hello
source: https://github.com/acme/hello
builds:
  - go:
      packages: [.]
      platforms: [linux/amd64, linux/arm64, darwin/amd64, darwin/arm64, windows/amd64]
      toolchain: go1.26.8
      ldflags: -X main.version={{ .Version }}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestProgramsAreChosen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"root and cmd": {map[string]string{"main.go": "", "cmd/a/main.go": "", "cmd/b/main.go": "", "other/main.go": "", "lib/lib.go": "package lib"}, []string{".", "./cmd/a", "./cmd/b"}},
		"cmd with helpers": {map[string]string{"cmd/a/main.go": "", "cmd/a/internal/gen/main.go": "", "cmd/a/testdata/main.go": "", "cmd/internal/x/main.go": "", "cmd/deep/er/main.go": ""},
			[]string{"./cmd/a", "./cmd/deep/er"}},
		"elsewhere": {map[string]string{"server/main.go": "", "apps/client/main.go": "", "examples/x/main.go": "", "example/main.go": "", "test/main.go": "", "hack/main.go": "",
			"tools/main.go": "", "scripts/main.go": "", "internal/gen/main.go": "", "vendor/x/main.go": "", "_x/main.go": "", ".x/main.go": "", "server/testdata/main.go": ""},
			[]string{"./apps/client", "./server"}},
		"generators are not programs": {map[string]string{"lib.go": "package lib", "gen.go": "//go:build ignore\n\n" + mainFile, "gen2.go": "// +build ignore\n\n" + mainFile, "cmd/a/main.go": ""}, []string{"./cmd/a"}},
		"programs for one system":     {map[string]string{"cmd/a/main_windows.go": "", "cmd/b/main.go": "//go:build !windows\n\n" + mainFile, "cmd/c/main_plan9.go": ""}, []string{"./cmd/a", "./cmd/b"}},
		"broken files":                {map[string]string{"cmd/a/main.go": "", "cmd/b/main.go": "not Go at all", "cmd/a/bad.go": "package"}, []string{"./cmd/a"}},
		"tests alone":                 {map[string]string{"cmd/a/main.go": "", "cmd/b/main_test.go": ""}, []string{"./cmd/a"}},
		"many": {map[string]string{"main.go": "", "cmd/a/main.go": "", "cmd/b/main.go": "", "cmd/c/main.go": "", "cmd/d/main.go": "", "cmd/e/main.go": "", "cmd/f/main.go": ""},
			[]string{".", "./cmd/..."}},
		"many, with helpers": {map[string]string{"cmd/x/internal/main.go": "", "cmd/a/main.go": "", "cmd/b/main.go": "", "cmd/c/main.go": "", "cmd/d/main.go": "", "cmd/e/main.go": "", "cmd/f/main.go": ""},
			[]string{"./cmd/a", "./cmd/b", "./cmd/c", "./cmd/d", "./cmd/e", "./cmd/f"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.files["go.mod"] = "module example.org/x\n\ngo 1.25.1\n"
			f, _ := detect(t, tree(t, test.files), Options{Remote: "https://example.org/x"})
			if len(f.Builds) != 1 {
				t.Fatalf("%d builds", len(f.Builds))
			}
			if diff := cmp.Diff(test.want, f.Builds[0].Packages); diff != "" {
				t.Error(diff)
			}
			if f.Builds[0].Toolchain != "go1.25.1" {
				t.Errorf("toolchain %s", f.Builds[0].Toolchain)
			}
		})
	}
}

func TestSeveralModules(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"go.mod": "module example.org/suite\n\ngo 1.24\n\ntoolchain go1.27.0\n", "cmd/suite/main.go": "",
		"agent/go.mod": "module example.org/suite/agent\n\ngo 1.24\n", "agent/main.go": "package main\n\nvar (\n\tVersion, GitCommit string\n\tBuildDate = \"\"\n)\n\nfunc main() {}\n",
		"a/cli/go.mod": "module example.org/suite/a/cli\n", "a/cli/main.go": "",
		"b/cli/go.mod": "module example.org/suite/b/cli\n", "b/cli/cmd/other/main.go": "",
		"tools/go.mod": "module example.org/suite/tools\n", "tools/main.go": "",
		"lib/go.mod": "module example.org/suite/lib\n", "lib/lib.go": "package lib\n",
	})
	_, got := detect(t, dir, Options{Remote: "ssh://git@git.example.org:2222/team/suite.git", Branch: "trunk", GoVersion: "go1.26.8"})
	const platforms = "      platforms: [linux/amd64, linux/arm64, darwin/amd64, darwin/arm64, windows/amd64]\n"
	want := `# yaml-language-server: $schema=https://github.com/sello-release/sello/raw/main/schema/sello.schema.json
# How suite is built and released. sello check reads it, sello plan shows what comes out, defaults and all.
project: suite
source: https://git.example.org/team/suite
branch: trunk
builds:
  - name: suite
    go:
      packages: [./cmd/suite]
` + platforms + `      toolchain: go1.27.0
  - name: a-cli
    go:
      dir: a/cli
      packages: [.]
` + platforms + `      toolchain: go1.26.8
  - name: agent
    go:
      dir: agent
      packages: [.]
` + platforms + `      toolchain: go1.26.8
      ldflags: -X main.Version={{ .Version }} -X main.GitCommit={{ .Commit }} -X main.BuildDate={{ .CommitTime }}
  - name: b-cli
    go:
      dir: b/cli
      packages: [./cmd/other]
` + platforms + `      toolchain: go1.26.8
archives: # one for each build
  - {name: "suite_{{ .Version }}_{{ .OS }}_{{ .Arch }}", builds: [suite]}
  - {name: "a-cli_{{ .Version }}_{{ .OS }}_{{ .Arch }}", builds: [a-cli]}
  - {name: "agent_{{ .Version }}_{{ .OS }}_{{ .Arch }}", builds: [agent]}
  - {name: "b-cli_{{ .Version }}_{{ .OS }}_{{ .Arch }}", builds: [b-cli]}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStampsOnlyWhatIsMadeForIt(t *testing.T) {
	t.Parallel()
	f, _ := detect(t, tree(t, map[string]string{"go.mod": "module example.org/x\n", "main.go": `package main

var Version = "1.4.2"

var (
	commit       = "unknown"
	date         = now()
	buildDate    int
	other        = "dev"
	git_revision string
)

const version = "dev"

func now() string { var revision = "x"; return revision }

func main() {}
`, "helper.go": "package main\n\nvar buildTime string\n"}), Options{Remote: "https://example.org/x"})
	if got, want := f.Builds[0].LDFlags, "-X main.commit={{ .Commit }} -X main.buildTime={{ .CommitTime }}"; got != want {
		t.Errorf("ldflags %q, want %q", got, want)
	}
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "Version in main.go says 1.4.2") {
		t.Errorf("warnings %q", f.Warnings)
	}
}

func TestCgoIsNoted(t *testing.T) {
	t.Parallel()
	f, _ := detect(t, tree(t, map[string]string{"go.mod": "module example.org/x\n", "cmd/a/main.go": "", "cmd/b/main.go": "package main\n\nimport \"C\"\n\nfunc main() {}\n"}),
		Options{Remote: "https://example.org/x"})
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], `cmd/b imports "C"`) {
		t.Errorf("warnings %q", f.Warnings)
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ module, remote, source, project string }{
		"https":                {"x", "https://github.com/a/b.git", "https://github.com/a/b", "b"},
		"https, no ending":     {"x", "https://github.com/a/b/", "https://github.com/a/b", "b"},
		"https with a token":   {"x", "https://user:token@github.com/a/b.git", "https://github.com/a/b", "b"},
		"https with a port":    {"x", "https://git.example.org:8443/a/b", "https://git.example.org:8443/a/b", "b"},
		"http":                 {"x", "http://git.example.org/a/b", "https://git.example.org/a/b", "b"},
		"scp form":             {"x", "git@github.com:a/b.git", "https://github.com/a/b", "b"},
		"scp form, no user":    {"x", "github.com:a/b", "https://github.com/a/b", "b"},
		"scp form, absolute":   {"x", "git@git.example.org:/a/b.git", "https://git.example.org/a/b", "b"},
		"ssh":                  {"x", "ssh://git@github.com/a/b.git", "https://github.com/a/b", "b"},
		"ssh with a port":      {"x", "ssh://git@git.example.org:2222/a/b", "https://git.example.org/a/b", "b"},
		"git":                  {"x", "git://git.example.org/a/b.git", "https://git.example.org/a/b", "b"},
		"upper case":           {"x", "https://GitHub.com/FiloSottile/Mk.Cert", "https://github.com/FiloSottile/Mk.Cert", "mk.cert"},
		"module of a forge":    {"github.com/a/b/v3", "", "https://github.com/a/b", "b"},
		"module in a folder":   {"github.com/a/b/sub/v2", "", "https://github.com/a/b", "b"},
		"module elsewhere":     {"filippo.io/age", "", "https://filippo.io/age", "age"},
		"remote is a folder":   {"github.com/a/b", "/srv/git/b.git", "https://github.com/a/b", "b"},
		"remote is relative":   {"github.com/a/b", "../b.git", "https://github.com/a/b", "b"},
		"remote is a file URL": {"github.com/a/b", "file:///srv/git/b.git", "https://github.com/a/b", "b"},
		"Windows folder":       {"github.com/a/b", `C:\src\b`, "https://github.com/a/b", "b"},
		"strange name":         {"x", "https://example.org/a/-Uber~Tool-", "https://example.org/a/-Uber~Tool-", "uber-tool"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, map[string]string{"go.mod": "module " + test.module + "\n", "main.go": ""})
			f, _ := detect(t, dir, Options{Remote: test.remote})
			if f.Source != test.source || f.Project != test.project {
				t.Errorf("source %s, project %s", f.Source, f.Project)
			}
			if guessed := fromRemote(test.remote) == ""; guessed != (len(f.Warnings) == 1) {
				t.Errorf("warnings %q", f.Warnings)
			}
		})
	}
}

func TestToolchains(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ local, goLine, toolchain, want string }{
		{"go1.26.8", "1.22", "", "go1.26.8"}, {"go1.22.1", "1.26", "", "go1.26.0"}, {"go1.22.1", "1.22", "go1.26.3", "go1.26.3"},
		{"go1.26.8-X:jsonv2", "1.22", "", "go1.26.8"}, {"go1.26.8 X:jsonv2", "", "", "go1.26.8"}, {"go1.27rc1", "1.26.0", "", "go1.27rc1"}, {"", "1.23", "", "go1.23.0"},
		{"devel go1.27-abcdef", "1.24.2", "", "go1.24.2"}, {"", "", "", "local"}, {"", "1.19", "", "local"}, {"go1.26.8", "1.16", "default", "go1.26.8"},
	} {
		if got := toolchain(test.local, module{goVersion: test.goLine, toolchain: test.toolchain}); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestDetectRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		code  string
	}{
		"no module":       {map[string]string{"main.go": ""}, "init-no-module"},
		"module vendored": {map[string]string{"vendor/x/go.mod": "module x\n", "vendor/x/main.go": ""}, "init-no-module"},
		"no program":      {map[string]string{"go.mod": "module example.org/x\n", "x.go": "package x\n"}, "init-no-program"},
		"only examples":   {map[string]string{"go.mod": "module example.org/x\n", "examples/a/main.go": ""}, "init-no-program"},
		"no source":       {map[string]string{"go.mod": "module x\n", "main.go": ""}, "init-no-source"},
		"broken module":   {map[string]string{"go.mod": "modul x\n", "main.go": ""}, "init-no-module"},
	} {
		if _, err := Detect(context.Background(), tree(t, test.files), Options{}); gate.Code(err) != test.code {
			t.Errorf("%s: got %v, want %s", name, err, test.code)
		}
	}
	dir := tree(t, map[string]string{"go.mod": "module x\n", "main.go": ""})
	if _, err := Detect(context.Background(), dir, Options{Remote: "file://u:hunter2@h/x"}); gate.Code(err) != "init-no-source" || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	if f, err := Detect(context.Background(), dir, Options{Source: "https://example.org/y"}); err != nil || f.Source != "https://example.org/y" || f.Project != "y" {
		t.Errorf("got %+v, %v", f, err)
	}
	if _, err := Detect(context.Background(), filepath.Join(dir, "gone"), Options{}); err == nil {
		t.Error("a folder that is not there passed")
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Detect(cancelled, dir, Options{Source: "https://example.org/y"}); err == nil {
		t.Error("went on after it was cancelled")
	}
}

// What a release cannot have is left out with a note, so that what is proposed can be checked and built.
func TestProgramsThatCannotBeReleased(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
		notes []string
	}{
		"a folder that no import path can name": {map[string]string{"go.mod": "module example.org/x\n", "cmd/hé llo/main.go": "", "cmd/a/main.go": ""},
			[]string{"./cmd/a"}, []string{"cmd/hé llo", "'é'"}},
		"one name at the root and in cmd": {map[string]string{"go.mod": "module example.org/x\n", "main.go": "", "cmd/x/main.go": "", "cmd/y/main.go": ""},
			[]string{".", "./cmd/y"}, []string{"cmd/x was left out", "the name x"}},
		"one name with a major version": {map[string]string{"go.mod": "module example.org/x/v2\n", "main.go": "", "cmd/X/main.go": ""},
			[]string{"."}, []string{"cmd/X was left out"}},
		"one name in two folders, and many": {map[string]string{"go.mod": "module example.org/z\n", "cmd/1/a/main.go": "", "cmd/2/a/main.go": "", "cmd/b/main.go": "", "cmd/c/main.go": "", "cmd/d/main.go": "", "cmd/e/main.go": "", "cmd/f/main.go": ""},
			[]string{"./cmd/1/a", "./cmd/b", "./cmd/c", "./cmd/d", "./cmd/e", "./cmd/f"}, []string{"cmd/2/a was left out"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _ := detect(t, tree(t, test.files), Options{Source: "https://example.org/x"})
			if diff := cmp.Diff(test.want, f.Builds[0].Packages); diff != "" || len(f.Builds) != 1 {
				t.Error(diff)
			}
			for _, note := range test.notes {
				if !strings.Contains(strings.Join(f.Warnings, "\n"), note) {
					t.Errorf("%q is not in %q", note, f.Warnings)
				}
			}
		})
	}
	f, _ := detect(t, tree(t, map[string]string{"go.mod": "module example.org/x\n", "main.go": "", "b/go.mod": "module example.org/b/x\n", "b/main.go": "", "c/go.mod": "module example.org/c\n", "c/main.go": ""}), Options{Source: "https://example.org/x"})
	if len(f.Builds) != 2 || len(f.Warnings) != 2 || !strings.Contains(f.Warnings[1], "2 Go modules") {
		t.Errorf("%+v", f)
	}
	if _, err := Detect(context.Background(), tree(t, map[string]string{"go.mod": "module example.org/x\n", "cmd/ä/main.go": ""}), Options{Source: "https://example.org/x"}); gate.Code(err) != "init-no-program" || !strings.Contains(err.Error(), "'ä'") {
		t.Errorf("%v", err)
	}
}

// A published module needs no source here.
func TestPublishedModule(t *testing.T) {
	t.Parallel()
	f, text := detect(t, tree(t, nil), Options{Source: "pkg:golang/rsc.io/2fa@v1.2.0", Remote: "git@example.org:team/packages.git", Branch: "main", GoVersion: "go1.26.8"})
	if f.Project != "2fa" || len(f.Warnings) != 1 || !strings.Contains(text, "source: pkg:golang/rsc.io/2fa@v1.2.0\nrepository: https://example.org/team/packages\n") {
		t.Errorf("%+v\n%s", f, text)
	}
	f, _ = detect(t, tree(t, map[string]string{"go.mod": "module example.org/x\n", "cmd/a/main.go": ""}), Options{Source: "pkg:golang/example.org/x"})
	if f.Builds[0].Packages[0] != "./cmd/a" {
		t.Errorf("the module is here: %+v", f)
	}
}

// Nothing outside the root is read, and links are not followed.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"cmd/evil/main.go": "", "go.mod": "module evil\n"})
	dir := tree(t, map[string]string{"go.mod": "module example.org/x\n", "cmd/a/main.go": ""})
	for link, to := range map[string]string{"cmd/evil": filepath.Join(outside, "cmd", "evil"), "loop": dir, "cmd/a/linked.go": filepath.Join(outside, "cmd", "evil", "main.go")} {
		if err := os.Symlink(to, filepath.Join(dir, filepath.FromSlash(link))); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	f, _ := detect(t, dir, Options{Source: "https://example.org/x"})
	if diff := cmp.Diff([]string{"./cmd/a"}, f.Builds[0].Packages); diff != "" || len(f.Builds) != 1 {
		t.Error(diff)
	}
}
