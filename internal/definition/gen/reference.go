package main

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/provenance"
	"github.com/sello-release/sello/internal/trust"
)

var defaultText = regexp.MustCompile(`Default: (.*)\.$`)

// defaultOf takes the default out of a comment: what stands between "Default: " and the comment's end.
func defaultOf(comment string) string {
	if m := defaultText.FindStringSubmatch(comment); m != nil {
		return m[1]
	}
	return ""
}

// section of the reference: one type.
type section struct {
	title string
	typ   reflect.Type
	open  string // the lines around its keys, so that the block is YAML as it stands in the file
	depth int    // how deep its keys are indented, in steps of two spaces
}

// page is one file's part of the reference.
type page struct {
	title    string
	intro    string
	schema   string
	sections []section
}

func pages() []page {
	return []page{
		{"sello.yaml", "How a project is built. It stands at the root of the source and is read from the commit that is released.", "sello", []section{
			{"The file", reflect.TypeFor[definition.Definition](), "", 0},
			{"builds", reflect.TypeFor[definition.Build](), "builds:\n  -\n", 2},
			{"builds: go", reflect.TypeFor[definition.Go](), "builds:\n  - go:\n", 3},
			{"builds: run", reflect.TypeFor[definition.Run](), "builds:\n  - run:\n", 3},
			{"archives", reflect.TypeFor[definition.Archive](), "archives:\n  -\n", 2},
			{"images", reflect.TypeFor[definition.Image](), "images:\n  -\n", 2},
			{"images: files", reflect.TypeFor[definition.ImageFile](), "images:\n  - files:\n      -\n", 4},
			{"policy", reflect.TypeFor[definition.Policy](), "policy:\n", 1},
			{"policy: sign-offs", reflect.TypeFor[definition.SignOffs](), "policy:\n  sign-offs:\n", 2},
			{"policy: inputs", reflect.TypeFor[definition.InputRule](), "policy:\n  inputs:\n    -\n", 3},
			{"tag", reflect.TypeFor[definition.Tag](), "tag:\n", 1},
		}},
		{"releases/&lt;version&gt;.yaml", "What is released. `sello propose` writes it, people review it, `sello stage` adds the stage digest.", "release", []section{
			{"The file", reflect.TypeFor[definition.Release](), "", 0},
		}},
		{"trust.yaml", "Whose signatures count. `sello init` writes it, `sello key` changes it; whoever verifies a release needs it.", "trust", []section{
			{"The file", reflect.TypeFor[trust.Trust](), "", 0},
			{"identities", reflect.TypeFor[trust.Identity](), "identities:\n  first-manager:\n", 2},
			{"roles", reflect.TypeFor[trust.Role](), "roles:\n  manager:\n", 2},
			{"builders", reflect.TypeFor[trust.Builder](), "builders:\n  -\n", 2},
			{"witnesses", reflect.TypeFor[trust.Witnesses](), "witnesses:\n", 1},
			{"witnesses: keys", reflect.TypeFor[trust.Witness](), "witnesses:\n  keys:\n    -\n", 3},
		}},
		{"dependencies.yaml", "Which dependencies a release may have; [dependency-policy.md](../dependency-policy.md) shows it at work.", "dependencies", []section{
			{"The file", reflect.TypeFor[deps.Policy](), "", 0},
			{"licenses", reflect.TypeFor[deps.Licenses](), "licenses:\n", 1},
			{"modules", reflect.TypeFor[deps.Modules](), "modules:\n", 1},
			{"modules: deny", reflect.TypeFor[deps.Denied](), "modules:\n  deny:\n    -\n", 3},
			{"sources", reflect.TypeFor[deps.Sources](), "sources:\n", 1},
			{"quarantine", reflect.TypeFor[deps.Quarantine](), "quarantine:\n", 1},
			{"approvals", reflect.TypeFor[deps.Approvals](), "approvals:\n", 1},
		}},
		{"dependencies/&lt;name&gt;.yaml", "What a release manager approves. `sello deps approve` writes it, with a signature beside it.", "approval", []section{
			{"The file", reflect.TypeFor[deps.Approval](), "", 0},
			{"modules", reflect.TypeFor[deps.ApprovedModule](), "modules:\n  -\n", 2},
		}},
		{"policy.yaml", "What provenance by other builders has to say before you use a file: `sello verify FILE --provenance B --policy policy.yaml`. It may have any name.", "policy", []section{
			{"The file", reflect.TypeFor[provenance.Policy](), "", 0},
			{"signers", reflect.TypeFor[provenance.Signer](), "signers:\n  generator:\n", 2},
			{"builders", reflect.TypeFor[provenance.Builder](), "builders:\n  -\n", 2},
			{"expect", reflect.TypeFor[provenance.Expect](), "expect:\n", 1},
			{"expect: predicates", reflect.TypeFor[provenance.Predicate](), "expect:\n  predicates:\n    -\n", 3},
			{"checks", reflect.TypeFor[provenance.Checks](), "checks:\n", 1},
			{"summaries", reflect.TypeFor[provenance.Summary](), "summaries:\n  -\n", 2},
		}},
	}
}

// reference writes docs/reference/definition.md.
func reference(c comments) []byte {
	var b bytes.Buffer
	b.WriteString(`# Reference: the files you write

<!-- Written by go generate ./... from the types in internal/definition, internal/trust, internal/deps and internal/provenance. Do not edit. -->

Each block shows all keys of one section, with their type and their default, or an example where there is no default.
Keys that are not marked *required* can be left out; ` + "`sello plan`" + ` shows what that gives.

The files are read strictly: an unknown key, a wrong type, a duplicate, an anchor, an alias or a tag is an error with
line and column. Text is what was written: ` + "`1.20`" + ` and ` + "`on`" + ` stay as they are where text is wanted. A bool is ` + "`true`" + `
or ` + "`false`" + ` and nothing else. A key without a value is an error; leave the key out.
`)
	templates(&b)
	for _, p := range pages() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\nIts JSON schema: `sello schema %s`, or [schema/%[3]s.schema.json](../../schema/%[3]s.schema.json).\n", p.title, p.intro, p.schema)
		for _, s := range p.sections {
			s.write(&b, c)
		}
	}
	return b.Bytes()
}

func templates(b *bytes.Buffer) {
	b.WriteString("\n## Templates\n\nWhere a key says *templates: allowed*, `{{ .Name }}` stands for one of these values. There is nothing else: no functions, no conditions.\n\n| value | example |\n|---|---|\n")
	example := map[string]string{
		"Version": "`v1.4.2`, with its v", "Commit": "`5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5`", "ShortCommit": "`5471f1c1a2d4`",
		"CommitTime": "`2026-11-20T09:30:00Z`; not in names of files, because of its colons", "Project": "`age`", "OS": "`linux`", "Arch": "`amd64`",
		"Variant": "`v7`; empty for most platforms",
	}
	for _, name := range definition.ValueNames {
		fmt.Fprintf(b, "| `{{ .%s }}` | %s |\n", name, example[name])
	}
}

func (s section) write(b *bytes.Buffer, c comments) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n```yaml\n%s", s.title, c.lookUp(s.typ, ""), s.open)
	indent := strings.Repeat("  ", s.depth)
	first := true
	for i := range s.typ.NumField() {
		f := s.typ.Field(i)
		key, options, ok := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || key == "" {
			continue
		}
		if !first {
			b.WriteString("\n")
		}
		first = false
		comment := c.lookUp(s.typ, f.Name)
		for _, line := range wrap(describe(comment, f, !ok || !strings.Contains(options, "omitempty")), 110-len(indent)) {
			fmt.Fprintf(b, "%s# %s\n", indent, line)
		}
		fmt.Fprintf(b, "%s%s: %s\n", indent, key, shown(comment, f))
	}
	b.WriteString("```\n")
}

// describe gives the comment's sentences and a line with type, default and marks.
func describe(comment string, f reflect.StructField, required bool) []string {
	text := strings.TrimSpace(defaultText.ReplaceAllString(comment, ""))
	templated := strings.Contains(text, "Templates allowed")
	text = regexp.MustCompile(` ?Templates allowed( in values)?\.`).ReplaceAllString(text, "")
	marks := []string{"Type: " + typeName(f)}
	switch d := defaultOf(comment); {
	case required:
		marks = append(marks, "required")
	case d != "":
		marks = append(marks, "default: "+d)
	}
	if templated {
		marks = append(marks, "templates: allowed")
	}
	return []string{text, strings.Join(marks, " · ")}
}

func typeName(f reflect.StructField) string {
	t := f.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if enum := enumOf(f); len(enum) > 0 {
		words := strings.Join(enum, " or ")
		if t.Kind() == reflect.Slice {
			return "list of " + words
		}
		return words
	}
	switch t.Kind() {
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "list of mappings, below"
		}
		return "list of text"
	case reflect.Map:
		if t.Elem().Kind() == reflect.Struct {
			return "mappings by name, below"
		}
		return "mapping of text"
	case reflect.Struct:
		return "mapping, below"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "whole number"
	}
	if t == reflect.TypeFor[trust.Date]() {
		return "day"
	}
	return "text"
}

func enumOf(f reflect.StructField) []string {
	var words []string
	for _, k := range strings.Split(f.Tag.Get("jsonschema"), ",") {
		if w, ok := strings.CutPrefix(k, "enum="); ok {
			words = append(words, w)
		}
	}
	return words
}

// shown is the value in the block: the example, or the default, or the shape of what comes.
func shown(comment string, f reflect.StructField) string {
	if e := f.Tag.Get("example"); e != "" {
		return e
	}
	d, _, _ := strings.Cut(defaultOf(comment), ", with")
	d, _, _ = strings.Cut(d, ", always")
	d, _, _ = strings.Cut(d, ", or")
	d, _, _ = strings.Cut(d, "], ")
	if strings.HasPrefix(d, "[") && !strings.HasSuffix(d, "]") {
		d += "]"
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct:
		return "{} # see below"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return "[] # see below"
	case f.Name == "Key":
		return "|\n      -----BEGIN PUBLIC KEY-----\n      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE…\n      -----END PUBLIC KEY-----"
	case f.Name == "Previous":
		return "sha256:" + strings.Repeat("0", 64)
	case d == "":
		return `""`
	}
	return d
}

// wrap breaks paragraphs into lines.
func wrap(paragraphs []string, width int) []string {
	var out []string
	for _, p := range paragraphs {
		line := ""
		for _, w := range strings.Fields(p) {
			if line != "" && len(line)+1+len(w) > width {
				out, line = append(out, line), ""
			}
			line = strings.TrimPrefix(line+" "+w, " ")
		}
		if line != "" {
			out = append(out, line)
		}
	}
	return out
}
