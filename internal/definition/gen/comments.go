package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
)

// sources are the files whose types are described.
var sources = []string{"internal/definition/types.go", "internal/trust/trust.go", "internal/deps/policy.go", "internal/deps/approval.go", "internal/provenance/policy.go"}

// comments of types ("definition.Go") and of their fields ("definition.Go.Packages").
type comments map[string]string

func readComments(root string) (comments, error) {
	c := comments{}
	for _, name := range sources {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(name)), nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read comments: %w", err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				c.addType(f.Name.Name, s.(*ast.TypeSpec), g.Doc)
			}
		}
	}
	return c, nil
}

func (c comments) addType(pkg string, t *ast.TypeSpec, doc *ast.CommentGroup) {
	name := pkg + "." + t.Name.Name
	c[name] = oneLine(doc)
	s, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		for _, n := range f.Names {
			c[name+"."+n.Name] = speakOfKey(oneLine(f.Doc), n.Name, f.Tag)
		}
	}
}

// speakOfKey puts the YAML key in the place of the Go name that a comment starts with.
func speakOfKey(comment, goName string, tag *ast.BasicLit) string {
	rest, ok := strings.CutPrefix(comment, goName+" ")
	if !ok || tag == nil {
		return comment
	}
	key, _, _ := strings.Cut(reflect.StructTag(strings.Trim(tag.Value, "`")).Get("yaml"), ",")
	if strings.EqualFold(key, goName) || key == "" {
		return comment
	}
	return key + " " + rest
}

func oneLine(g *ast.CommentGroup) string { return strings.Join(strings.Fields(g.Text()), " ") }

// lookUp is a jsonschema.Reflector's LookupComment.
func (c comments) lookUp(t reflect.Type, field string) string {
	pkg := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
	name := pkg + "." + t.Name()
	if field != "" {
		name += "." + field
	}
	return c[name]
}
