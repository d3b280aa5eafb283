// Gen writes docs/errors.md: every code with which Sello refuses, from the sources themselves.
//
// A code stands in a gate.Refusal literal, or is an argument of a function of the same package that makes one;
// the sentence that follows it is what it means.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var codeForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)

func main() {
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	codes := map[string]entry{}
	for _, dir := range []string{"internal", "verify"} {
		if err := collect(*root, dir, codes); err != nil {
			log.Fatal(err)
		}
	}
	var b strings.Builder
	b.WriteString("# Codes of refusals\n\nGenerated from the sources by `make generate`. A code is never reused for another meaning. " +
		"Each refusal prints what was expected, what was found, where, and a fix; exit codes are 2 (usage or definition), 3 (refused), 4 (waiting), 5 (not reproducible) and 1 (failed).\n\n| code | meaning | room |\n|---|---|---|\n")
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		fmt.Fprintf(&b, "| <a id=\"%s\"></a>`%s` | %s | %s |\n", code, code, strings.ReplaceAll(cmp.Or(codes[code].what, "the message says what, by what was found"), "|", "\\|"), codes[code].room)
	}
	if err := os.WriteFile(filepath.Join(*root, "docs", "errors.md"), []byte(b.String()), 0o644); err != nil {
		log.Fatal(err)
	}
}

// entry is what is known about a code.
type entry struct{ what, room string }

func collect(root, dir string, codes map[string]entry) error {
	return filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test"+string(filepath.Separator)) {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				fromLiteral(n, filepath.ToSlash(rel), codes)
			case *ast.CallExpr:
				fromCall(n, filepath.ToSlash(rel), codes)
			}
			return true
		})
		return nil
	})
}

// fromLiteral reads Refusal{Code: "…", What: "…"}.
func fromLiteral(lit *ast.CompositeLit, room string, codes map[string]entry) {
	var code, what string
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch key, _ := kv.Key.(*ast.Ident); {
		case key == nil:
		case key.Name == "Code":
			code = text(kv.Value)
		case key.Name == "What":
			what = text(kv.Value)
		}
	}
	if codeForm.MatchString(code) {
		keep(codes, code, entry{what, room})
	}
}

// fromCall reads refuse("code", …, "what it means", …): a code and, among the arguments after it, a sentence.
func fromCall(call *ast.CallExpr, room string, codes map[string]entry) {
	for i := range call.Args {
		code := text(call.Args[i])
		if !codeForm.MatchString(code) {
			continue
		}
		for _, later := range call.Args[i+1:] {
			if what := text(later); strings.Contains(what, " ") && !strings.ContainsAny(what[:1], "-/%") {
				keep(codes, code, entry{what, room})
				break
			}
		}
	}
}

func keep(codes map[string]entry, code string, e entry) {
	old, known := codes[code]
	if !known || (old.what == "" && e.what != "") || (e.what != "" && cmp.Less(e.room+e.what, old.room+old.what)) {
		codes[code] = e
	}
}

// text gives the constant text of an expression: a literal, the literals of a sum, or a format with its verbs left out.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return strings.TrimSpace(regexp.MustCompile(`%[.0-9]*[a-z]`).ReplaceAllString(s, "…"))
		}
	case *ast.BinaryExpr:
		l, r := text(e.X), text(e.Y)
		return strings.TrimSpace(cmp.Or(l, "…") + " " + cmp.Or(r, "…"))
	case *ast.CallExpr:
		if len(e.Args) > 0 {
			return text(e.Args[0])
		}
	}
	return ""
}
