package definition_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/strictyaml"
)

const withImage = minimal + `images:
  - name: registry.example/team/age
`

func TestImageDefaults(t *testing.T) {
	t.Parallel()
	d, err := definition.Parse("sello.yaml", []byte(withImage))
	if err != nil {
		t.Fatal(err)
	}
	want := []definition.Image{{
		Name: "registry.example/team/age", Repositories: []string{"registry.example/team/age"}, Build: "age", Base: "scratch",
		Platforms: []string{"linux/amd64", "linux/arm64"}, User: "65532:65532", Tags: []string{"{{ .Version }}"},
	}}
	if diff := cmp.Diff(want, d.WithDefaults().Images); diff != "" {
		t.Error(diff)
	}
}

func TestWholeImage(t *testing.T) {
	t.Parallel()
	text := minimal + `images:
  - name: age
    repositories: [registry.example/age, "localhost:5000/mirror/age"]
    staging: registry.example/staging/age
    build: age
    base: registry.example/static@` + digest + `
    platforms: [linux/arm64]
    files: [{from: LICENSE*, to: /licenses/}, {from: etc, to: /}]
    entrypoint: [/usr/bin/age]
    command: [--version]
    user: "0"
    working-dir: /work
    env: {MODE: "{{ .Version }}"}
    labels: {maintainer: nobody}
    annotations: {org.opencontainers.image.licenses: Apache-2.0}
    tags: ["{{ .Version }}", "build-{{ .ShortCommit }}"]
    markers: true
`
	d, err := definition.Parse("sello.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	i := d.WithDefaults().Images[0]
	if got := i.MovingTags("v1.4.2", "stable"); !cmp.Equal(got, []string{"v1.4", "v1", "latest"}) {
		t.Errorf("moving tags %v", got)
	}
	if got := i.MovingTags("v1.4.2-rc.1", "candidate"); got != nil {
		t.Errorf("a candidate moves %v", got)
	}
	if i.ShortName() != "age" || i.User != "0" {
		t.Errorf("%+v", i)
	}
}

// imageRefusals edit the definition with one image: "old => new", or a line of the image.
var imageRefusals = map[string]struct{ edit, code, says string }{
	"empty list":            {"\n  - name: registry.example/team/age =>  []", "definition-image", ""},
	"name with upper case":  {"team/age => team/Age", "definition-image-name", "write registry.example/team/age"},
	"name with a tag":       {"team/age => team/age:v1", "definition-image-name", ""},
	"name with a digest":    {"team/age => team/age@" + digest, "definition-image-name", ""},
	"no repository":         {"registry.example/team/age => age", "definition-repository-missing", "repositories: [registry.example/age]"},
	"repository with tag":   {"repositories: [registry.example/age:v1]", "definition-image-repository", "write registry.example/age"},
	"repository without":    {"repositories: [library/age]", "definition-image-repository", ""},
	"repository twice":      {"repositories: [registry.example/a, registry.example/a]", "definition-duplicate", ""},
	"staged where it is":    {"staging: registry.example/team/age", "definition-bucket-overlap", ""},
	"base by tag":           {"base: registry.example/static:latest", "definition-image-base", "sello pin"},
	"base by short digest":  {"base: registry.example/static@sha256:abc", "definition-image-base", ""},
	"base without registry": {"base: static@" + digest, "definition-image-base", ""},
	"unknown build":         {"build: aeg", "definition-unknown-build", `did you mean "age"`},
	"foreign platform":      {"platforms: [linux/s390x]", "definition-platform", ""},
	"platform twice":        {"platforms: [linux/amd64, linux/amd64]", "definition-duplicate", ""},
	"file outside":          {"files: [{from: ../x, to: /x}]", "definition-path", ""},
	"file to a relative":    {"files: [{from: x, to: x}]", "definition-path", ""},
	"file to outside":       {"files: [{from: x, to: /a/../../x}]", "definition-path", ""},
	"user by name":          {"user: nobody", "definition-image-user", "write the number"},
	"relative working dir":  {"working-dir: x", "definition-path", ""},
	"no entrypoint":         {"entrypoint: []", "definition-image", ""},
	"bad env":               {"env: {A-B: x}", "definition-image", ""},
	"env, unknown value":    {"env: {A: '{{ .Foo }}'}", "definition-template", ""},
	"own annotation":        {"annotations: {org.opencontainers.image.source: x}", "definition-image", "Sello writes"},
	"tag that never moves":  {"tags: [latest]", "definition-image-tag", "markers: true"},
	"malformed tag":         {"tags: ['a/{{ .Version }}']", "definition-image-tag", ""},
	"tag twice":             {"tags: ['{{ .Version }}', '{{.Version}}']", "definition-duplicate", ""},
	"one repository":        {"build: age\n  - {name: other, repositories: [registry.example/team/age]}", "definition-duplicate", "a repository of its own"},
	"same short name":       {"build: age\n  - {name: other.example/age}", "definition-duplicate", ""},
}

func TestImageRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range imageRefusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusedEdit(t, withImage, "    ", test.edit, test.code, test.says)
		})
	}
}

// refusedEdit parses a definition with a line added to its end, indented, or with "old => new" replaced in it, and wants it to be
// refused with a code that begins like code, and says something.
func refusedEdit(t *testing.T, good, indent, edit, code, says string) {
	t.Helper()
	text := good + indent + edit + "\n"
	if old, with, ok := strings.Cut(edit, " => "); ok {
		text = strings.Replace(good, old, with, 1)
		if text == good {
			t.Fatalf("nothing to edit: %q", old)
		}
	}
	_, err := definition.Parse("sello.yaml", []byte(text))
	var errs strictyaml.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("error is %v, want an Errors", err)
	}
	for _, r := range errs {
		if strings.HasPrefix(r.Code, code) && strings.Contains(r.Error()+r.Fix, says) {
			return
		}
	}
	t.Errorf("want %s that says %q; got %v", code, says, err)
}
