package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ways is a package that gives codes in all the ways that the generator follows.
const ways = `package room

import "example.org/gate"

const declared = "by-constant"

type row struct {
	code, what string
}

var table = map[bool]string{true: "by-map", false: "by-map-too"}

func literal() error { return &gate.Refusal{Code: "by-literal", What: "one thing", Fix: "do this"} }

func constant() error { return &gate.Refusal{Code: declared, What: "a" + " sum"} }

func outer(code string) error { return inner(code, "given") }

func inner(code, what string) error { return &gate.Refusal{Code: code, What: what} }

func callers() { outer("by-two-calls"); inner("by-one-call", "said here") }

func changed(r *gate.Refusal) { r.Code, r.What = "by-assignment", "changed" }

func fields() error {
	rows := []row{{"by-field", "in a row"}, {code: "by-key"}}
	for _, r := range rows {
		return &gate.Refusal{Code: r.code, What: r.what}
	}
	return &gate.Refusal{Code: table[true]}
}

func closure() {
	refuse := func(code string) error { return &gate.Refusal{Code: code, What: "closed"} }
	refuse("by-closure")
}

func local(x bool) error {
	code := "by-variable"
	if x {
		code = "by-second-value"
	}
	return &gate.Refusal{Code: code}
}

func result() (string, error) { return "by-result", nil }

func called() error {
	code, _ := result()
	return &gate.Refusal{Code: code}
}

func list() []gate.Refusal { return []gate.Refusal{{Code: "by-list", What: "in a list"}} }

func copied(r *gate.Refusal) error { return &gate.Refusal{Code: r.Code, What: r.What} }

func noise() { run("ls-remote", "not a code") }
`

func TestCodesAreFollowedToTheirConstants(t *testing.T) {
	codes, err := collect(write(t, ways), "internal")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"by-assignment", "by-closure", "by-constant", "by-field", "by-key", "by-list", "by-literal", "by-map", "by-map-too",
		"by-one-call", "by-result", "by-second-value", "by-two-calls", "by-variable"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(codes))); diff != "" {
		t.Error(diff)
	}
	for code, what := range map[string]string{
		"by-literal": "one thing", "by-constant": "a sum", "by-two-calls": "given", "by-one-call": "said here",
		"by-assignment": "changed", "by-field": "in a row", "by-closure": "closed", "by-list": "in a list",
	} {
		if got := only(codes[code], func(f found) string { return f.what }); got != what {
			t.Errorf("%s means %q, expected %q", code, got, what)
		}
	}
}

func TestCodesThatCannotBeFollowedAreErrors(t *testing.T) {
	for name, body := range map[string]string{
		"composed at run time": `func f(x string) error { return &gate.Refusal{Code: "a-" + x} }`,
		"not kebab-case":       `func f() error { return &gate.Refusal{Code: "Not_A_Code"} }`,
		"not followed":         `func f() error { return &gate.Refusal{Code: other.Thing()} }`,
	} {
		_, err := collect(write(t, "package room\n"+body), "internal")
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryCodeNeedsATextAndEveryTextACode(t *testing.T) {
	codes := map[string][]found{"a-b": {{code: "a-b", what: "told", fix: "mend it", room: "x"}}, "c-d": {{code: "c-d", room: "x"}}}
	page, fixes, err := render(codes, map[string]text{"c-d": {"means | this", "do <that>"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{"`a-b` | told | mend it | x |\n", "`c-d` | means \\| this | do &lt;that> | x |\n"} {
		if !strings.Contains(string(page), row) {
			t.Errorf("the page lacks %q:\n%s", row, page)
		}
	}
	if want := "case \"c-d\":\n\t\treturn \"do <that>\"\n"; !strings.Contains(string(fixes), want) {
		t.Errorf("the fixes lack %q:\n%s", want, fixes)
	}
	for want, texts := range map[string]map[string]text{
		"say what c-d means":      {},
		"do \"\"":                 {"c-d": {means: "this"}},
		"nothing refuses with e-": {"c-d": {"this", "that"}, "e-f": {"this", "that"}},
	} {
		if _, _, err := render(codes, texts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q, found %v", want, err)
		}
	}
}

// TestErrorsPageIsCurrent holds docs/errors.md to the sources of this checkout.
func TestErrorsPageIsCurrent(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	codes, err := collect(root, "internal", "verify")
	if err != nil {
		t.Fatal(err)
	}
	want, fixes, err := render(codes, texts)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(root, "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(have), "\n"), strings.Split(string(want), "\n")); diff != "" {
		t.Errorf("docs/errors.md is not current: run make generate\n%s", diff)
	}
	if have, err := os.ReadFile(filepath.Join(root, "internal", "gate", "fixes.go")); err != nil || string(have) != string(fixes) {
		t.Errorf("internal/gate/fixes.go is not current: run make generate (%v)", err)
	}
	for _, code := range []string{"sandbox-userns", "sandbox-apparmor", "output-symlink", "isolation-missing", "trust-source-mismatch", "source-shallow", "archive-bad-link"} {
		if codes[code] == nil {
			t.Errorf("%s is not found", code)
		}
	}
}

func write(t *testing.T, source string) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "internal", "room")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "room.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}
