package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// untested are the codes that no test names, each with the reason. One that a test names has to leave this list.
var untested = map[string]string{
	"fetch-changed":       "owed: needs somebody who writes to the module cache while the go command runs",
	"module-zip-invalid":  "owed: needs a proxy whose zip of a published module is none",
	"sign-off-unreadable": "stands for errors without a code, and reading a sign-off is not known to give one",
	"store-too-many":      "needs a bucket of a million objects",
	"sumdb-unverified":    "stands for answers of the go command that are not known",
}

var (
	words    = regexp.MustCompile(`[a-z0-9]+(?:-[a-z0-9]+)*`)
	consoles = regexp.MustCompile("(?s)```console.*?```")
)

// TestEveryCodeIsTested holds that a test, a session or a tested page names each code with which Sello refuses.
func TestEveryCodeIsTested(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	codes, err := collect(root, "internal", "verify")
	if err != nil {
		t.Fatal(err)
	}
	named, err := namedInTests(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		if !named[code] && untested[code] == "" {
			t.Errorf("no test, session or tested page names %s: let its gate refuse", code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(untested)) {
		if named[code] || codes[code] == nil {
			t.Errorf("%s is tested, or no code any more: remove it from untested", code)
		}
	}
}

// TestNamedInTests: only what a test says counts, in a string, a session, a console block or by a constant.
func TestNamedInTests(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"a/a.go":                       "package a\n\nconst codeA = \"by-constant\"\nconst codeB = \"not-by-constant\"\n\nvar x = \"not-in-source\"\n",
		"a/a_test.go":                  "package a\n\n// not-in-comment\nvar y = \"in-a-string, longer-than-a-code\"\n\nvar z = codeA\n",
		"a/more.go":                    "package a\n\nconst CodeC = \"by-other-room\"\n",
		"b/b_test.go":                  "package b\n\nvar z = codeB\n\nvar y = a.CodeC\n",
		"c/ctest/c.go":                 "package ctest\n\nvar y = \"in-a-suite\"\n",
		"cmd/sello/testdata/x/y.txt":   "stderr 'in-a-session'\n",
		"internal/gate/gen/x_test.go":  "package main\n\nvar y = \"not-in-here\"\n",
		"docs/page.md":                 "not-in-prose\n\n```console\n$ x [in-a-console]\n```\n",
		"docs/errors.md":               "```console\nnot-in-the-list\n```\n",
		"docs/reference/more/other.md": "```go\nnot-in-go\n```\n",
	} {
		full := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	named, err := namedInTests(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"by-constant", "by-other-room", "in-a-string", "in-a-suite", "in-a-session", "in-a-console"} {
		if !named[code] {
			t.Errorf("%s is not found", code)
		}
	}
	for _, code := range []string{"not-by-constant", "not-in-source", "not-in-comment", "not-in-here", "not-in-prose", "not-in-the-list", "not-in-go", "longer-than"} {
		if named[code] {
			t.Errorf("%s counts", code)
		}
	}
}

// namedInTests gives the words that tests say, and the values of constants that tests name. Words are as
// long as they go: a code in a longer one does not count.
func namedInTests(root string) (map[string]bool, error) {
	named := map[string]bool{}
	say := func(text string) {
		for _, word := range words.FindAllString(text, -1) {
			named[word] = true
		}
	}
	constants, used := map[string]map[string]string{}, map[string]map[string]bool{} // by folder
	elsewhere := map[string]bool{}                                                  // room.Name, as tests of other folders name constants
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name, dir := filepath.ToSlash(rel), filepath.Dir(path)
		switch {
		case d.IsDir() && (d.Name() == ".git" || name == "internal/gate/gen"):
			return fs.SkipDir
		case d.IsDir() || !d.Type().IsRegular():
			return nil
		case strings.HasPrefix(name, "cmd/sello/testdata/"):
			text, err := os.ReadFile(path)
			say(string(text))
			return err
		case strings.HasPrefix(name, "docs/") && strings.HasSuffix(name, ".md") && name != "docs/errors.md":
			text, err := os.ReadFile(path)
			say(strings.Join(consoles.FindAllString(string(text), -1), "\n"))
			return err
		case !strings.HasSuffix(name, ".go") || strings.Contains(name, "/testdata/"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(dir, "test") {
			constants[dir] = constantsOf(file, constants[dir])
			return nil
		}
		if used[dir] == nil {
			used[dir] = map[string]bool{}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					say(text)
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok {
					elsewhere[x.Name+"."+n.Sel.Name] = true
				}
			case *ast.Ident:
				used[dir][n.Name] = true
			}
			return true
		})
		return nil
	})
	for dir, all := range constants {
		for name, value := range all {
			if used[dir][name] || elsewhere[filepath.Base(dir)+"."+name] {
				named[value] = true
			}
		}
	}
	return named, err
}

// constantsOf adds the constants of a file that are texts.
func constantsOf(file *ast.File, to map[string]string) map[string]string {
	if to == nil {
		to = map[string]string{}
	}
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, spec := range decl.Specs {
			s := spec.(*ast.ValueSpec)
			for i, v := range s.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					to[s.Names[i].Name], _ = strconv.Unquote(lit.Value)
				}
			}
		}
	}
	return to
}
