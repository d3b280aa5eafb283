package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/provenance"
	"github.com/sello-release/sello/internal/strictyaml"
	"github.com/sello-release/sello/internal/trust"
)

const root = "../../.."

// What is committed is what the types say today.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 7 {
		t.Errorf("%d files are generated, want 7", len(files))
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(strings.ReplaceAll(string(got), "\r\n", "\n"), string(want)); diff != "" {
			t.Errorf("%s is not current; run go generate ./...\n%s", name, diff)
		}
	}
}

func TestRunWritesEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range sources {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"schema/sello.schema.json", "schema/release.schema.json", "schema/trust.schema.json", "schema/dependencies.schema.json", "schema/approval.schema.json", "schema/policy.schema.json", "docs/reference/definition.md"} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	if err := run(t.TempDir()); err == nil {
		t.Error("a folder without sources passed")
	}
}

var block = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every block of the reference is what the decoder takes, but for the keys that other blocks show.
func TestReferenceBlocksDecode(t *testing.T) {
	t.Parallel()
	c, err := readComments(root)
	if err != nil {
		t.Fatal(err)
	}
	text := string(reference(c))
	blocks := 0
	for _, p := range pages() {
		into := map[string]any{"sello": &definition.Definition{}, "release": &definition.Release{}, "trust": &trust.Trust{}, "dependencies": &deps.Policy{}, "approval": &deps.Approval{}, "policy": &provenance.Policy{}}[p.schema]
		blocks += len(p.sections)
		at := strings.Index(text, "\n## "+p.title)
		for i, m := range block.FindAllStringSubmatch(text[at:], len(p.sections)) {
			_, err := strictyaml.Decode(p.sections[i].title, []byte(m[1]), into)
			var errs strictyaml.Errors
			if err != nil && !errors.As(err, &errs) {
				t.Fatal(err)
			}
			for _, e := range errs {
				if e.Code != "yaml-missing-key" {
					t.Errorf("%v\n%s", e, m[1])
				}
			}
		}
	}
	if n := len(block.FindAllString(text, -1)); n != blocks {
		t.Errorf("the reference has %d blocks, want %d", n, blocks)
	}
}

// Nothing that a user can write goes without a description.
func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	c, err := readComments(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages() {
		for _, s := range p.sections {
			for i := range s.typ.NumField() {
				f := s.typ.Field(i)
				if f.IsExported() && c.lookUp(s.typ, f.Name) == "" {
					t.Errorf("%s.%s has no comment", s.typ, f.Name)
				}
			}
		}
	}
}
