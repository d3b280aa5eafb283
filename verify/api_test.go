package verify_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Nothing that programs downstream see is of a package that they cannot import.
func TestPublicAPI(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{".", "bucket"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
				publicIn(t, dir+"/"+name)
			}
		}
	}
}

func publicIn(t *testing.T, name string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	internal := map[string]bool{} // names of imported packages
	for _, i := range file.Imports {
		if path, _ := strconv.Unquote(i.Path.Value); strings.Contains(path, "/internal/") {
			internal[path[strings.LastIndexByte(path, '/')+1:]] = true
		}
	}
	shown := func(n ast.Node, what string) {
		ast.Inspect(n, func(n ast.Node) bool {
			if f, ok := n.(*ast.Field); ok && len(f.Names) > 0 && !f.Names[0].IsExported() && strings.HasPrefix(what, "type ") {
				return false // a field that nobody sees
			}
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && internal[x.Name] {
					t.Errorf("%s: %s is of %s.%s, which nobody else can import", fset.Position(s.Pos()), what, x.Name, s.Sel.Name)
				}
			}
			return true
		})
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || receives(d)) {
				shown(d.Type, "func "+d.Name.Name)
				if d.Doc.Text() == "" {
					t.Errorf("%s: func %s has no comment", fset.Position(d.Pos()), d.Name.Name)
				}
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() {
					shown(ts.Type, "type "+ts.Name.Name)
					if d.Doc.Text() == "" && ts.Doc.Text() == "" {
						t.Errorf("%s: type %s has no comment", fset.Position(ts.Pos()), ts.Name.Name)
					}
				}
			}
		}
	}
}

// receives reports whether a method's type is exported.
func receives(d *ast.FuncDecl) bool {
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}
