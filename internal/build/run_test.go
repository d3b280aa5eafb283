package build_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

const runDefinition = `project: tool
source: https://git.example/tool
builds:
  - name: tool
    run:
      command: [make, "VERSION={{ .Version }}", "{{ .OS }}-{{ .Arch }}{{ .Variant }}"]
      root: registry.example/debian@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      platforms: [linux/amd64, linux/arm/v7]
      dir: src
      env: {FLAGS: "-D{{ .Commit }}"}
      outputs: [tool]
`

func runPlan(t *testing.T) *build.Plan {
	t.Helper()
	d, err := definition.Parse("sello.yaml", []byte(runDefinition))
	if err != nil {
		t.Fatal(err)
	}
	p, err := build.New(d, "v1.0.0", "0123456789012345678901234567890123456789", time.Unix(1_700_000_000, 5))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRunStep(t *testing.T) {
	t.Parallel()
	p := runPlan(t)
	if len(p.Compiles) != 2 || p.Compiles[1].Name() != "build/tool/linux/arm/v7" {
		t.Fatalf("compiles %+v", p.Compiles)
	}
	root := engine.Root{Host: "/cache/root", Materials: []material.Material{{Name: "root manifest"}}}
	source := []material.Material{{Name: "source"}}
	s := build.RunStep(p.Compiles[1], build.RunInputs{Root: root, Work: "/work", Source: source})
	want := engine.Step{
		Name: "build/tool/linux/arm/v7", Argv: []string{"make", "VERSION=v1.0.0", "linux-armv7"}, Dir: "/src/src", Root: &root,
		Env: map[string]string{
			"FLAGS": "-D0123456789012345678901234567890123456789", "HOME": "/tmp/home", "LC_ALL": "C", "TZ": "UTC",
			"PATH":         "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"SELLO_COMMIT": "0123456789012345678901234567890123456789", "SELLO_VERSION": "v1.0.0", "SOURCE_DATE_EPOCH": "1700000000",
			"TARGETOS": "linux", "TARGETARCH": "arm", "TARGETVARIANT": "v7",
		},
		Mounts: []engine.Mount{{Host: "/work", Target: "/src", Writable: true, Materials: source}},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("step (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]material.Material{{Name: "root manifest"}, {Name: "source"}}, s.Materials()); d != "" {
		t.Errorf("materials (-want +got):\n%s", d)
	}
}

// TestRunPlansDoNotShareMemory holds that one platform's words are not another's.
func TestRunPlansDoNotShareMemory(t *testing.T) {
	t.Parallel()
	p := runPlan(t)
	if got := p.Compiles[0].Run.Command[2]; got != "linux-amd64" {
		t.Errorf("the first platform runs with %s", got)
	}
	if got := p.Compiles[0].Run.Env["TARGETVARIANT"]; got != "" {
		t.Errorf("the first platform has the variant %s", got)
	}
	if got := p.Definition.Builds[0].Run.Env["TARGETOS"]; got != "" {
		t.Error("the definition was changed")
	}
}

func TestRunIsPackedForItsPlatforms(t *testing.T) {
	t.Parallel()
	p := runPlan(t)
	if len(p.Archives) != 2 || p.Archives[0].Name != "tool_v1.0.0_linux_amd64.tar.gz" || p.Archives[1].Name != "tool_v1.0.0_linux_armv7.tar.gz" {
		t.Errorf("archives %+v", p.Archives)
	}
	if only := p.Only(definition.Platform{OS: "linux", Arch: "amd64"}); len(only.Compiles) != 1 || len(only.Archives) != 1 {
		t.Errorf("narrowed to %+v", only)
	}
	if got := build.FilePath(definition.Platform{OS: "linux", Arch: "arm", Variant: "v7"}, "doc/x.1"); got != "share/linux/arm/v7/doc/x.1" {
		t.Errorf("a file stands at %s", got)
	}
	d, err := definition.Parse("sello.yaml", []byte(runDefinition))
	if err != nil {
		t.Fatal(err)
	}
	d.Builds[0].Run.Command = []string{"{{ .Foo }}"}
	if _, err := build.New(d, "v1.0.0", "x", time.Now()); gate.Code(err) != "definition-template" {
		t.Errorf("%v", err)
	}
}

// TestArchivesOfOneName: the second would replace the first. That two names are one can depend on the version alone.
func TestArchivesOfOneName(t *testing.T) {
	t.Parallel()
	for second, code := range map[string]string{"tool-v1.0.0": "archive-name-collision", "Tool-V1.0.0": "archive-name-collision", "tool-v1.0.1": ""} {
		d, err := definition.Parse("sello.yaml", []byte(runDefinition+"  - name: other\n    go: {packages: [.], platforms: [linux/amd64]}\n"+
			"archives:\n  - {builds: [tool], name: \"tool-{{ .Version }}-{{ .OS }}-{{ .Arch }}{{ .Variant }}\"}\n  - {builds: [other], name: \""+second+"-{{ .OS }}-{{ .Arch }}\"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := build.New(d, "v1.0.0", "0123456789012345678901234567890123456789", time.Unix(1_700_000_000, 0)); gate.Code(err) != code || code == "" && err != nil {
			t.Errorf("%s: %v, want %q", second, err, code)
		}
	}
}
