package definition_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	v := definition.Values{Project: "age", Version: "v1.2.3", Commit: commit, ShortCommit: commit[:12], CommitTime: "2026-11-20T09:30:00Z", OS: "linux", Arch: "arm", Variant: "v7"}
	for template, want := range map[string]string{
		"":     "",
		"text": "text",
		"{{.Project}}_{{ .Version }}_{{  .OS  }}_{{ .Arch}}{{.Variant }}": "age_v1.2.3_linux_armv7",
		"-X main.c={{ .Commit }} -X main.s={{ .ShortCommit }}":            "-X main.c=" + commit + " -X main.s=5471f1c1a2d4",
		"{{ .CommitTime }}": "2026-11-20T09:30:00Z",
		"{ .Version }":      "{ .Version }",
		"$(Version) %s":     "$(Version) %s",
	} {
		if got, err := definition.Expand(template, v); err != nil || got != want {
			t.Errorf("Expand(%q) = %q, %v; want %q", template, got, err, want)
		}
	}
	// Values are not templates.
	if got, err := definition.Expand("{{ .Version }}", definition.Values{Version: "{{ .Commit }}"}); err != nil || got != "{{ .Commit }}" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestExpandRefuses(t *testing.T) {
	t.Parallel()
	for _, template := range []string{
		"{{", "}}", "{{ }}", "{{ Version }}", "{{ .version }}", "{{ .Version", ".Version }}", "{{{ .Version }}}", "{{- .Version -}}", "{{ . }}",
		"{{ .Values.Version }}", "{{ $.Version }}", "{{/* x */}}", "{{ .Version .Commit }}", "{{ \"x\" }}", "{{ .Ver\nsion }}", "{{ .{{ .Version }} }}",
	} {
		_, err := definition.Expand(template, definition.Values{})
		if gate.Code(err) != "definition-template" || !strings.Contains(err.Error(), "{{ .ShortCommit }}") {
			t.Errorf("Expand(%q): %v", template, err)
		}
	}
}

func TestSafeName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"age_v1.2.3_linux_amd64", "a", "A+b-c.d", "_x", "console", "com10"} {
		if err := definition.SafeName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", ".", "..", ".x", "-x", "a/b", `a\b`, "a b", "a\n", "a:b", "x.", "con", "NUL.txt", "com1", "ü", strings.Repeat("a", 201), "a*", "a\x00"} {
		if gate.Code(definition.SafeName(name)) != "definition-file-name" {
			t.Errorf("%q is not refused", name)
		}
	}
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		"linux/amd64":              {"GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v1"},
		"linux/amd64/v3":           {"GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v3"},
		"linux/arm":                {"GOOS": "linux", "GOARCH": "arm", "GOARM": "7"},
		"linux/arm/v5":             {"GOOS": "linux", "GOARCH": "arm", "GOARM": "5"},
		"darwin/arm64":             {"GOOS": "darwin", "GOARCH": "arm64", "GOARM64": "v8.0"},
		"linux/arm64/v9.5":         {"GOOS": "linux", "GOARCH": "arm64", "GOARM64": "v9.5"},
		"windows/386/softfloat":    {"GOOS": "windows", "GOARCH": "386", "GO386": "softfloat"},
		"linux/mips64le/softfloat": {"GOOS": "linux", "GOARCH": "mips64le", "GOMIPS64": "softfloat"},
		"linux/mipsle":             {"GOOS": "linux", "GOARCH": "mipsle", "GOMIPS": "hardfloat"},
		"linux/ppc64le/power10":    {"GOOS": "linux", "GOARCH": "ppc64le", "GOPPC64": "power10"},
		"linux/riscv64":            {"GOOS": "linux", "GOARCH": "riscv64", "GORISCV64": "rva20u64"},
		"wasip1/wasm":              {"GOOS": "wasip1", "GOARCH": "wasm"},
		"linux/s390x":              {"GOOS": "linux", "GOARCH": "s390x"},
	} {
		p, err := definition.ParsePlatform(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(want, p.Env()); diff != "" || p.String() != text {
			t.Errorf("%s (%s): %s", text, p, diff)
		}
	}
	for _, text := range []string{"", "linux", "linux/", "/amd64", "linux/amd64/", "linux/amd64/v1/x", "Linux/amd64", "linux/x86", "linux/arm64/v8", "plan9/s390x", "linux/amd64 "} {
		if _, err := definition.ParsePlatform(text); gate.Code(err) != "definition-platform" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whatever the Go command here can build without cgo is a platform.
func TestPlatformsAreThoseOfTheGoCommand(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "tool", "dist", "list").Output()
	if err != nil {
		t.Skipf("the go command does not list its platforms here: %v", err)
	}
	for _, p := range strings.Fields(string(out)) {
		if _, err := definition.ParsePlatform(p); err != nil && gate.Code(err) != "definition-platform-cgo" {
			t.Error(err)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"{{ .Version }}", "a{{.OS}}b", "{{", "}}{{", "{{{{ .OS }}}}", "{{ .OS | x }}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, template string) {
		out, err := definition.Expand(template, definition.Values{})
		if err == nil && strings.Contains(out, "{{") && !strings.Contains(template, "{{.") && !strings.Contains(template, "{{ ") {
			t.Errorf("%q gave %q", template, out)
		}
		if name, err := definition.ExpandName(template, definition.Values{Version: "v1"}); err == nil && definition.SafeName(name) != nil {
			t.Errorf("unsafe name %q", name)
		}
	})
}
