package definition_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/definition"
)

const runRoot = "registry.example/debian@" + digest

const withRun = `project: age
source: https://github.com/FiloSottile/age
builds:
  - run:
      command: [make, tool]
      root: ` + runRoot + `
      outputs: [tool]
`

func TestRunDefaults(t *testing.T) {
	t.Parallel()
	d, err := definition.Parse("sello.yaml", []byte(withRun))
	if err != nil {
		t.Fatal(err)
	}
	full := d.WithDefaults()
	want := []definition.Build{{Name: "age", Run: &definition.Run{
		Command: []string{"make", "tool"}, Root: runRoot, Outputs: []string{"tool"}, Dir: ".", Inputs: []string{"**"}, Platforms: []string{"linux/amd64"},
		Env: map[string]string{"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}}}
	if diff := cmp.Diff(want, full.Builds); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(full, full.WithDefaults()); diff != "" {
		t.Errorf("defaults of defaults differ: %s", diff)
	}
	if got := full.ArchivePlatforms(full.Archives[0]); len(got) != 1 || got[0].String() != "linux/amd64" {
		t.Errorf("the archive is for %v", got)
	}
	full.Builds[0].Run.Env["PATH"], full.Builds[0].Run.Command[0], full.Builds[0].Run.Platforms[0] = "x", "x", "x"
	if d.Builds[0].Run.Command[0] != "make" || strings.Contains(definition.DefaultRunEnv["PATH"], "x") || definition.DefaultRunPlatforms[0] != "linux/amd64" {
		t.Error("the copy shares memory")
	}
}

func TestWholeRun(t *testing.T) {
	t.Parallel()
	text := withRun + `      platforms: [linux/arm64, windows/amd64]
      inputs: [src/**, Makefile, "lib/[a-c]*.h"]
      dir: ./src/
      env: {CFLAGS: "-O2 -DV={{ .Version }}", PATH: /opt/bin, LC_ALL: C.UTF-8}
  - name: other
    go: {packages: [.], platforms: [linux/arm64]}
images:
  - {name: registry.example/age, build: age}
`
	d, err := definition.Parse("sello.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	full := d.WithDefaults()
	if r := full.Builds[0].Run; r.Dir != "src" || r.Env["PATH"] != "/opt/bin" || r.Env["TZ"] != "UTC" {
		t.Errorf("%+v", r)
	}
	if got := full.Images[0].Platforms; !cmp.Equal(got, []string{"linux/arm64"}) {
		t.Errorf("the image is for %v", got)
	}
}

// runRefusals edit the definition with one command: "old => new", or a line of run.
var runRefusals = map[string]struct{ edit, code, says string }{
	"two builders":           {"  - run: =>   - go: {packages: [.]}\n    run:", "definition-builder", "two builds"},
	"no command":             {"      command: [make, tool]\n => ", "yaml-missing-key", "command"},
	"empty command":          {"[make, tool] => []", "definition-command", "write [make, tool]"},
	"command as an option":   {"[make, tool] => [--bind, /, /]", "definition-command", ""},
	"command without name":   {`[make, tool] => [""]`, "definition-command", ""},
	"command by a template":  {"[make, tool] => ['{{ .Version }}']", "definition-command", ""},
	"command for a shell":    {"[make, tool] => [make tool]", "definition-command", "write [make, tool], or [sh"},
	"argument with NUL":      {`[make, tool] => [make, "a\0b"]`, "yaml-encoding", ""},
	"argument too long":      {"[make, tool] => [make, " + strings.Repeat("x", 5000) + "]", "definition-command", ""},
	"argument, bad template": {"[make, tool] => [make, '{{ .Env.X }}']", "definition-template", ""},
	"no root":                {"      root: " + runRoot + "\n => ", "yaml-missing-key", "root"},
	"root by tag":            {runRoot + " => registry.example/debian:12", "definition-image-base", "sello pin"},
	"root by short digest":   {runRoot + " => registry.example/debian@sha256:abc", "definition-image-base", ""},
	"root without registry":  {runRoot + " => debian@" + digest, "definition-image-base", ""},
	"root from scratch":      {runRoot + " => scratch", "definition-image-base", "name an image"},
	"no platforms":           {"platforms: []", "definition-platform", ""},
	"unknown platform":       {"platforms: [linux/amd46]", "definition-platform", `did you mean "linux/amd64"`},
	"platform twice":         {"platforms: [linux/amd64, linux/amd64]", "definition-duplicate", ""},
	"no inputs":              {"inputs: []", "definition-path", ""},
	"input outside":          {"inputs: [../x]", "definition-path", ""},
	"input absolute":         {"inputs: [/etc/**]", "definition-path", ""},
	"input, bad pattern":     {"inputs: ['a/[']", "definition-path", ""},
	"input, stars in a name": {"inputs: [a**]", "definition-path", "whole name"},
	"input twice":            {"inputs: [a, a]", "definition-duplicate", ""},
	"dir outside":            {"dir: ..", "definition-path", ""},
	"dir absolute":           {"dir: /src", "definition-path", ""},
	"no outputs":             {"      outputs: [tool]\n => ", "yaml-missing-key", "outputs"},
	"empty outputs":          {"outputs: [tool] => outputs: []", "definition-path", ""},
	"output outside":         {"outputs: [tool] => outputs: [../tool]", "definition-path", ""},
	"output of everything":   {"outputs: [tool] => outputs: [.]", "definition-path", ""},
	"output twice":           {"outputs: [tool] => outputs: [tool, tool]", "definition-duplicate", ""},
	"own variable":           {"env: {SOURCE_DATE_EPOCH: 1}", "definition-env", "remove it"},
	"home":                   {"env: {HOME: /root}", "definition-env", ""},
	"variable with a dash":   {"env: {A-B: x}", "definition-env", ""},
	"variable, bad template": {"env: {A: '{{ .Foo }}'}", "definition-template", ""},
	"variable with NUL":      {`env: {A: "a\0b"}`, "yaml-encoding", ""},
	"many inputs":            {"inputs: [" + strings.Repeat("a,", 257) + "]", "definition-size", ""},
	"of a published module":  {"https://github.com/FiloSottile/age => pkg:golang/filippo.io/age@v1.2.1", "definition-builder", "go:"},
	"unknown key":            {"shell: bash", "yaml-unknown-key", ""},
}

func TestRunRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range runRefusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusedEdit(t, withRun, "      ", test.edit, test.code, test.says)
		})
	}
}
