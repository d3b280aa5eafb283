package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
)

type part struct {
	Name string            `yaml:"name"`
	Tags []string          `yaml:"tags,omitempty"`
	Env  map[string]string `yaml:"env,omitempty"`
}

type file struct {
	Project string          `yaml:"project"`
	Version string          `yaml:"version,omitempty"`
	Count   int             `yaml:"count,omitempty"`
	Flag    *bool           `yaml:"source-archive,omitempty"`
	Parts   []part          `yaml:"parts,omitempty"`
	One     *part           `yaml:"one,omitempty"`
	Named   map[string]part `yaml:"named,omitempty"`
	hidden  string
}

func TestDecodeTakesWhatWasWritten(t *testing.T) {
	t.Parallel()
	const text = "\uFEFF# a comment with a joiner: \u200d\r\n" + `
project: on
version: 1.20
count: 12
source-archive: false
parts:
  - name: "0"
    tags: [yes, 1e3, 2026-11-20, 'null', 0x1F]
    env: {CGO_ENABLED: 0, GOX: "", on: true}
  - name: >-
      two
      words
one: {name: x}
named:
  a.b: {name: "tab\tand\nline"}
`
	var got file
	doc, err := Decode("f.yaml", []byte(text), &got)
	if err != nil {
		t.Fatal(err)
	}
	no := false
	want := file{
		Project: "on", Version: "1.20", Count: 12, Flag: &no,
		Parts: []part{
			{Name: "0", Tags: []string{"yes", "1e3", "2026-11-20", "null", "0x1F"},
				Env: map[string]string{"CGO_ENABLED": "0", "GOX": "", "on": "true"}},
			{Name: "two words"},
		},
		One:   &part{Name: "x"},
		Named: map[string]part{"a.b": {Name: "tab\tand\nline"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(file{})); diff != "" {
		t.Error(diff)
	}
	places := map[string]string{
		"version": "f.yaml:4:10", "parts[0].tags[2]": "f.yaml:9:22", "parts[0].env.on": "f.yaml:10:40",
		"named.a.b.name": "f.yaml:16:15", "parts[1].env.GOFLAGS": "f.yaml:11:5", "nowhere": "f.yaml:3:1",
	}
	for path, want := range places {
		if got := doc.Where(path); got != want {
			t.Errorf("Where(%s) = %s, want %s", path, got, want)
		}
	}
	if !doc.Has("parts[1]") || doc.Has("parts[2]") {
		t.Error("Has does not know which parts are there")
	}
}

func TestDecodeRefusesDepth(t *testing.T) {
	t.Parallel()
	for depth, deep := range map[int]bool{MaxDepth - 1: false, MaxDepth + 1: true, 100 * MaxDepth: true} {
		var out struct {
			Project string `yaml:"project"`
		}
		_, err := Decode("f", []byte("project: "+strings.Repeat("[", depth)+strings.Repeat("]", depth)), &out)
		if got := err != nil && strings.Contains(err.Error(), "[yaml-depth]"); got != deep {
			t.Errorf("%d levels: %v", depth, err)
		}
	}
}

func TestDecodeRefusesByName(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, where, code string }{
		"unknown key":             {"project: a\nprjct: b\n", "f:2:1", "yaml-unknown-key"},
		"unknown key below":       {"project: a\nparts: [{name: a, tag: [b]}]", "f:2:19", "yaml-unknown-key"},
		"unexported field":        {"project: a\nhidden: x", "f:2:1", "yaml-unknown-key"},
		"missing key":             {"version: v1", "f:1:1", "yaml-missing-key"},
		"missing key below":       {"project: a\nparts:\n  - tags: [x]\n", "f:3:5", "yaml-missing-key"},
		"list for text":           {"project: [a]", "f:1:10", "yaml-type"},
		"text for a list":         {"project: a\nparts:\n- {name: a, tags: netgo}", "f:3:19", "yaml-type"},
		"text for a mapping":      {"project: a\none: two", "f:2:6", "yaml-type"},
		"list for a mapping":      {"project: a\nnamed: []", "f:2:8", "yaml-type"},
		"text at the root":        {"project", "f:1:1", "yaml-type"},
		"list at the root":        {"- project", "f:1:1", "yaml-type"},
		"yes for a bool":          {"project: a\nsource-archive: yes", "f:2:17", "yaml-type"},
		"quoted bool":             {"project: a\nsource-archive: 'true'", "f:2:17", "yaml-type"},
		"quoted number":           {"project: a\ncount: '1'", "f:2:8", "yaml-type"},
		"octal number":            {"project: a\ncount: 017", "f:2:8", "yaml-type"},
		"number with underscores": {"project: a\ncount: 1_000", "f:2:8", "yaml-type"},
		"fraction":                {"project: a\ncount: 1.5", "f:2:8", "yaml-type"},
		"number out of range":     {"project: a\ncount: 99999999999999999999", "f:2:8", "yaml-type"},
		"no value":                {"project: a\nversion:\n", "f:2:9", "yaml-no-value"},
		"null":                    {"project: ~\n", "f:1:10", "yaml-no-value"},
		"null in a list":          {"project: a\nparts:\n  -\n", "f:3:4", "yaml-no-value"},
		"duplicate key":           {"project: a\nproject: b\n", "f:2:1", "yaml-duplicate-key"},
		"duplicate quoted key":    {"project: a\n\"project\": b\n", "f:2:1", "yaml-duplicate-key"},
		"duplicate map key":       {"project: a\nnamed: {x: {name: a}, x: {name: b}}", "f:2:23", "yaml-duplicate-key"},
		"anchor":                  {"project: &a b\n", "f:1:10", "yaml-alias"},
		"alias":                   {"project: &a b\nversion: *a\n", "f:1:10", "yaml-alias"},
		"alias to itself":         {"project: a\nnamed: &x {y: *x}", "f:2:8", "yaml-alias"},
		"merge key":               {"project: a\none: {<<: {name: b}}", "f:2:7", "yaml-alias"},
		"binary tag":              {"project: !!binary YQ==\n", "f:1:10", "yaml-tag"},
		"own tag":                 {"project: !python/object a\n", "f:1:10", "yaml-tag"},
		"tagged null":             {"project: !!null a\n", "f:1:10", "yaml-tag"},
		"mapping as a key":        {"project: a\n? {a: b}\n: c\n", "f:2:3", "yaml-type"},
		"empty key":               {"project: a\n'': c\n", "f:2:1", "yaml-type"},
		"two documents":           {"project: a\n---\nproject: b\n", "f:2:1", "yaml-documents"},
		"empty second document":   {"project: a\n---\n", "f:2:1", "yaml-documents"},
		"deep":                    {"project: a\nversion: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "f:2:10", "yaml-type"},
		"deep, unknown":           {"project: a\nzzzzzz: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "f:2:1", "yaml-unknown-key"},
		"deep list":               {strings.Repeat("[", 40) + strings.Repeat("]", 40), "f:1:1", "yaml-type"},
		"deeper than the parser":  {strings.Repeat("[", 500_000), "f:1:1", "yaml-syntax"},
		"large":                   {"project: a\n#" + strings.Repeat(" ", MaxSize), "f", "yaml-size"},
		"many values":             {"zzzz: [" + strings.Repeat("a,", MaxNodes) + "]\nproject: a", "f:1:40002", "yaml-size"},
		"many duplicates":         {strings.Repeat("a: b\n", MaxNodes+1), "f:2:1", "yaml-duplicate-key"},
		"long key":                {strings.Repeat("k", 200) + ": a", "f:1:1", "yaml-size"},
		"not UTF-8":               {"project: \xff", "f:1:10", "yaml-encoding"},
		"NUL":                     {"project: a\x00", "f:1:11", "yaml-encoding"},
		"escape":                  {"project: a\n# \x1b[31m", "f:2:3", "yaml-encoding"},
		"carriage return":         {"# innocent\rproject: a\n", "f:1:11", "yaml-encoding"},
		"line separator":          {"# innocent\u2028project: a\n", "f:1:11", "yaml-encoding"},
		"bidirectional override":  {"project: a # \u202e", "f:1:14", "yaml-encoding"},
		"escaped control":         {`project: "a\x1b"`, "f:1:10", "yaml-encoding"},
		"zero width in a value":   {"project: a\u200bb", "f:1:10", "yaml-encoding"},
		"empty":                   {"", "f", "yaml-empty"},
		"only comments":           {"# nothing\n", "f", "yaml-empty"},
		"only a document start":   {"---\n", "f", "yaml-empty"},
		"unclosed quote":          {"project: a\nversion: \"b\n", "f:2:1", "yaml-syntax"},
		"tab indentation":         {"project: a\nparts:\n\t- name: b\n", "f:3:1", "yaml-syntax"},
		"UTF-16":                  {"\xff\xfep\x00:\x00", "f:1:1", "yaml-encoding"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			var into file
			_, err := Decode("f", []byte(test.text), &into)
			var errs Errors
			if !errors.As(err, &errs) {
				t.Fatalf("error is %v, want an Errors", err)
			}
			first := errs[0]
			if first.Code != test.code || first.Where != test.where || first.Class != gate.Usage {
				t.Errorf("first refusal is %v; want %s at %s", first, test.code, test.where)
			}
			if gate.Code(err) != test.code {
				t.Errorf("gate.Code = %s", gate.Code(err))
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestDecodeReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	const text = `
porject: a
count: many
parts:
  - nmae: x
    tags: netgo
  - name: y
    name: z
one: *missing-is-fine
`
	var into file
	_, err := Decode("f", []byte(strings.ReplaceAll(text, "*missing-is-fine", "!!str x")), &into)
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatal(err)
	}
	var got []string
	for _, r := range errs {
		got = append(got, r.Where+" "+r.Code+" "+r.Fix)
	}
	want := []string{
		`f:2:1 yaml-unknown-key did you mean "project"?`,
		`f:3:8 yaml-type `,
		`f:5:5 yaml-unknown-key did you mean "name"?`,
		`f:6:11 yaml-type write it as a list: [netgo]`,
		`f:8:5 yaml-duplicate-key remove one of them`,
		`f:9:6 yaml-tag remove the tag; quote the value if it is text`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(want) {
		t.Errorf("Error has %d lines, want %d", n, len(want))
	}
}

func TestRefuseKeepsConsequencesBack(t *testing.T) {
	t.Parallel()
	var into file
	doc, err := Decode("f", []byte("project: [x]\nversion: v1\nparts: [{name: [1]}, {name: b}]\n"), &into)
	if err == nil {
		t.Fatal("accepted")
	}
	doc.Refuse("project", gate.Refusal{Code: "consequence"})
	doc.Refuse("parts[0].name", gate.Refusal{Code: "consequence"})
	doc.Refuse("parts[1].name", gate.Refusal{Code: "cause"})
	doc.Refuse("version", gate.Refusal{Code: "cause"})
	var got []string
	for _, e := range doc.Err().(Errors) {
		got = append(got, e.Where+" "+e.Code)
	}
	want := []string{"f:1:10 yaml-type", "f:2:10 cause", "f:3:16 yaml-type", "f:3:29 cause"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("project: a\nparts:\n")
	for range 1000 {
		b.WriteString("- {x: 1}\n")
	}
	var into file
	_, err := Decode("f", []byte(b.String()), &into)
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != MaxErrors+1 || errs[MaxErrors].Code != "yaml-too-many-errors" {
		t.Errorf("got %d refusals", len(errs))
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"project", "source", "builds", "archives", "sign-offs", "go", "name"}
	for word, want := range map[string]string{
		"porject": "project", "signoffs": "sign-offs", "sign_off": "sign-offs", "Build": "builds", "archive": "archives",
		"sources": "source", "platforms": "", "x": "", "": "", "nam": "name", strings.Repeat("a", 1000): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDecodeNeedsAStruct(t *testing.T) {
	t.Parallel()
	for _, into := range []any{nil, file{}, new(string), (*file)(nil)} {
		if _, err := Decode("f", []byte("project: a"), into); err == nil {
			t.Errorf("decoded into %T", into)
		}
	}
}
