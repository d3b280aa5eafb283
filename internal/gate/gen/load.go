package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pkg is what is known of one package by its syntax alone.
type pkg struct {
	room      string // folder below the root, with slashes
	name      string
	files     []*ast.File
	functions []*function
	named     map[*ast.FuncLit]*function // closures that have a name
	callers   map[string][]call          // by the name of what is called
	values    map[string]ast.Expr        // constants and variables
	structs   map[string][]string        // names of fields, in order
	literals  []literal
}

// function is a function, a method, or a closure that a variable holds.
type function struct {
	name     string
	outer    *function
	params   map[string]int
	body     *ast.BlockStmt
	assigned map[string][]assignment
	returns  [][]ast.Expr
}

// assignment is what a variable gets: expr, or result number index of the call expr.
type assignment struct {
	expr  ast.Expr
	index int
}

// literal is a struct literal with its fields by name.
type literal struct {
	fields map[string]ast.Expr
	in     *function
}

// load parses the packages below dirs, without tests.
func load(fset *token.FileSet, root string, dirs ...string) (map[string]*pkg, error) {
	out := map[string]*pkg{}
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if n := d.Name(); n == "testdata" || n == "gen" || strings.HasSuffix(n, "test") {
					return fs.SkipDir
				}
				return nil
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			file, err := parser.ParseFile(fset, path, text, 0)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			room := filepath.ToSlash(rel)
			if out[room] == nil {
				out[room] = newPkg(room, file.Name.Name)
			}
			out[room].files = append(out[room].files, file)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, p := range out {
		p.read()
	}
	return out, nil
}

func newPkg(room, name string) *pkg {
	return &pkg{room: room, name: name, named: map[*ast.FuncLit]*function{}, callers: map[string][]call{}, values: map[string]ast.Expr{}, structs: map[string][]string{}}
}

// read takes in types first: literals without names of fields need them.
func (p *pkg) read() {
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok {
				if t, ok := s.Type.(*ast.StructType); ok {
					p.structs[s.Name.Name] = fieldNames(t.Fields)
				}
			}
			return true
		})
	}
	for _, file := range p.files {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Body != nil {
					p.function(d.Name.Name, d.Type, d.Body, nil)
				}
			case *ast.GenDecl:
				p.variables(d)
			}
		}
	}
}

func (p *pkg) variables(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		s, ok := spec.(*ast.ValueSpec)
		for i := 0; ok && i < len(s.Names) && i < len(s.Values); i++ {
			p.values[s.Names[i].Name] = s.Values[i]
			p.inspect(s.Values[i], nil)
		}
	}
}

// function reads one function and the closures in it that have names.
func (p *pkg) function(name string, t *ast.FuncType, body *ast.BlockStmt, outer *function) *function {
	fn := &function{name: name, outer: outer, params: map[string]int{}, body: body, assigned: map[string][]assignment{}}
	for i, n := range fieldNames(t.Params) {
		fn.params[n] = i
	}
	p.functions = append(p.functions, fn)
	p.inspect(body, fn)
	return fn
}

// inspect collects assignments, calls, returns and literals of one function, or of a variable of the package.
func (p *pkg) inspect(root ast.Node, fn *function) {
	depth := 0 // of closures without a name: what they return is not what fn returns
	var stack []ast.Node
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil {
			if _, ok := stack[len(stack)-1].(*ast.FuncLit); ok {
				depth--
			}
			stack = stack[:len(stack)-1]
			return true
		}
		switch n := n.(type) {
		case *ast.FuncLit:
			if p.named[n] != nil {
				return false
			}
			depth++
		case *ast.AssignStmt:
			p.assign(fn, n.Lhs, n.Rhs)
		case *ast.ValueSpec:
			lhs := make([]ast.Expr, len(n.Names))
			for i, name := range n.Names {
				lhs[i] = name
			}
			p.assign(fn, lhs, n.Values)
		case *ast.RangeStmt:
			if fn != nil && nameOf(n.Value) != "" {
				fn.assigned[nameOf(n.Value)] = append(fn.assigned[nameOf(n.Value)], assignment{expr: n.X})
			}
		case *ast.ReturnStmt:
			if fn != nil && depth == 0 {
				fn.returns = append(fn.returns, n.Results)
			}
		case *ast.CallExpr:
			if name := nameOf(n.Fun); name != "" {
				p.callers[name] = append(p.callers[name], call{by: fn, args: n.Args})
			}
		case *ast.CompositeLit:
			p.literal(n, "", fn)
		}
		stack = append(stack, n)
		return true
	})
}

func (p *pkg) assign(fn *function, lhs, rhs []ast.Expr) {
	for i, l := range lhs {
		name := nameOf(l)
		if _, ok := l.(*ast.Ident); !ok || fn == nil {
			continue
		}
		switch {
		case len(rhs) == len(lhs):
			if lit, ok := rhs[i].(*ast.FuncLit); ok {
				p.named[lit] = p.function(name, lit.Type, lit.Body, fn)
				continue
			}
			fn.assigned[name] = append(fn.assigned[name], assignment{expr: rhs[i]})
		case len(rhs) == 1:
			fn.assigned[name] = append(fn.assigned[name], assignment{expr: rhs[0], index: i})
		}
	}
}

// literal keeps a struct literal; typeName is that of the slice or map around it that let it leave its own out.
func (p *pkg) literal(lit *ast.CompositeLit, typeName string, fn *function) {
	elem := ""
	switch t := lit.Type.(type) {
	case *ast.ArrayType:
		elem = nameOf(t.Elt)
	case *ast.MapType:
		elem = nameOf(t.Value)
	case nil:
	default:
		typeName = nameOf(t)
	}
	if lit.Type == nil && typeName == "" {
		return // it is seen through what is around it
	}
	l := literal{fields: map[string]ast.Expr{}, in: fn}
	for i, e := range lit.Elts {
		kv, isKeyed := e.(*ast.KeyValueExpr)
		if isKeyed {
			e = kv.Value
		}
		if inner, ok := e.(*ast.CompositeLit); ok && inner.Type == nil && elem != "" {
			p.literal(inner, elem, fn)
		}
		switch names := p.structs[typeName]; {
		case isKeyed && elem == "" && nameOf(kv.Key) != "":
			l.fields[nameOf(kv.Key)] = e
		case !isKeyed && i < len(names):
			l.fields[names[i]] = e
		}
	}
	if len(l.fields) > 0 {
		p.literals = append(p.literals, l)
	}
}

func fieldNames(list *ast.FieldList) []string {
	var out []string
	for _, f := range list.List {
		for _, n := range f.Names {
			out = append(out, n.Name)
		}
		if len(f.Names) == 0 {
			out = append(out, nameOf(f.Type))
		}
	}
	return slices.Clip(out)
}
