package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var codeForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// found is one place at which a code is given to a refusal. What and Fix are "" where they are composed at run time.
type found struct {
	code, what, fix string
	room            string
	pos             token.Position
}

// call is a function with the arguments that one caller gives it.
type call struct {
	by   *function
	args []ast.Expr
}

// value is an expression and the function in which it stands; nil for a variable of the package.
type value struct {
	expr ast.Expr
	in   *function
}

// site is a refusal on its way from where it is made to where its code stands: callers fill in the parameters
// of the functions that they call, literals fill in fields.
type site struct {
	code, what, fix value
	calls           map[*function]call
	fields          map[string]value
	path            []ast.Expr // what was followed to get here
}

const maxDepth = 8 // of texts that are put together

// finder follows codes through one package.
type finder struct {
	*pkg
	all  map[string]*pkg // by package name, for constants of others
	fset *token.FileSet
	out  []found
	errs []error
}

// refusals visits every gate.Refusal that the package makes or changes.
func (f *finder) refusals() {
	for _, fn := range f.functions {
		ast.Inspect(fn.body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return n.Body == fn.body || f.named[n] == nil // a named one is visited as a function of its own
			case *ast.CompositeLit:
				l := keyed(n)
				if l["Code"] != nil && (isRefusal(n.Type) || n.Type == nil && l["What"] != nil) { // the type may stand around a list
					f.follow(site{code: value{l["Code"], fn}, what: value{l["What"], fn}, fix: value{l["Fix"], fn}})
				}
			case *ast.AssignStmt:
				f.assigned(fn, n)
			}
			return true
		})
	}
}

// assigned reads r.Code, r.What = "…", "…"; a fix may be set in a statement of its own, which is not looked for.
func (f *finder) assigned(fn *function, n *ast.AssignStmt) {
	if len(n.Lhs) != len(n.Rhs) {
		return
	}
	s := site{}
	for i, l := range n.Lhs {
		sel, ok := l.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		switch sel.Sel.Name {
		case "Code":
			s.code = value{n.Rhs[i], fn}
		case "What":
			s.what = value{n.Rhs[i], fn}
		case "Fix":
			s.fix = value{n.Rhs[i], fn}
		}
	}
	if s.code.expr != nil {
		f.follow(s)
	}
}

// follow finds what the code of s can be.
func (f *finder) follow(s site) {
	if slices.Contains(s.path, s.code.expr) {
		return // around a loop
	}
	s.path = append(slices.Clip(s.path), s.code.expr)
	switch e := s.code.expr.(type) {
	case *ast.BasicLit:
		f.keep(s, e)
	case *ast.ParenExpr:
		s.code.expr = e.X
		f.follow(s)
	case *ast.Ident:
		f.followName(s, e.Name)
	case *ast.SelectorExpr:
		f.followSelector(s, e)
	case *ast.CallExpr:
		f.followCall(s, e, 0)
	case *ast.IndexExpr:
		f.followName(s, nameOf(e.X))
	case *ast.CompositeLit:
		for _, v := range e.Elts {
			if kv, ok := v.(*ast.KeyValueExpr); ok {
				v = kv.Value
			}
			s.code.expr = v
			f.follow(s)
		}
	default:
		f.fail(s, "is composed at run time: declare a constant for each code")
	}
}

// followName follows a parameter to all callers, a variable to all that is assigned to it, a constant to its value.
func (f *finder) followName(s site, name string) {
	fn := s.code.in
	if fn == nil {
		f.followPackage(s, name)
		return
	}
	if i, ok := fn.params[name]; ok {
		if c, bound := s.calls[fn]; bound {
			s.code = value{c.args[i], c.by}
			f.follow(s)
			return
		}
		for _, c := range f.callers[fn.name] {
			if len(c.args) != len(fn.params) || c.by == fn {
				continue
			}
			s := s
			s.calls = maps.Clone(s.calls)
			if s.calls == nil {
				s.calls = map[*function]call{}
			}
			s.calls[fn] = c
			s.code = value{c.args[i], c.by}
			f.follow(s)
		}
		return
	}
	local := fn.assigned[name]
	for _, a := range local {
		s := s
		s.code.expr = a.expr
		if c, ok := a.expr.(*ast.CallExpr); ok {
			f.followCall(s, c, a.index)
			continue
		}
		f.follow(s)
	}
	if len(local) == 0 {
		if fn.outer != nil {
			s.code.in = fn.outer
			f.followName(s, name)
			return
		}
		f.followPackage(s, name)
	}
}

func (f *finder) followPackage(s site, name string) {
	v, ok := f.values[name]
	if !ok {
		f.fail(s, fmt.Sprintf("comes from %s, which is not followed", name))
		return
	}
	s.code = value{v, nil}
	f.follow(s)
}

// followSelector follows a field to all literals that set it, and other packages' constants. A field called Code
// is a copy of one that is found where it was made.
func (f *finder) followSelector(s site, e *ast.SelectorExpr) {
	if e.Sel.Name == "Code" {
		return
	}
	if other := f.all[nameOf(e.X)]; other != nil && other.values[e.Sel.Name] != nil {
		g := *f
		g.pkg = other
		before := len(g.out)
		s.code = value{other.values[e.Sel.Name], nil}
		g.follow(s)
		for i := before; i < len(g.out); i++ {
			g.out[i].room = f.room
		}
		f.out, f.errs = g.out, g.errs
		return
	}
	for _, l := range f.literals {
		v, ok := l.fields[e.Sel.Name]
		if !ok {
			continue
		}
		s := s
		s.fields = map[string]value{}
		for name, expr := range l.fields {
			s.fields[name] = value{expr, l.in}
		}
		s.code = value{v, l.in}
		f.follow(s)
	}
}

// followCall follows result number index of a call of a function of this package.
func (f *finder) followCall(s site, e *ast.CallExpr, index int) {
	name := nameOf(e.Fun)
	switch {
	case name == "Code" || name == "id" && len(e.Args) == 0: // gate.Code(err) copies
		return
	case name == "string" && len(e.Args) == 1:
		s.code.expr = e.Args[0]
		f.follow(s)
		return
	case name == "Or", name == "append":
		for _, a := range e.Args {
			s.code.expr = a
			f.follow(s)
		}
		return
	}
	known := false
	for _, fn := range f.functions {
		for _, r := range fn.returns {
			if fn.name == name && index < len(r) {
				known = true
				s := s
				s.code = value{r[index], fn}
				f.follow(s)
			}
		}
	}
	if !known {
		f.fail(s, fmt.Sprintf("comes from %s(), which is not followed", name))
	}
}

func (f *finder) keep(s site, lit *ast.BasicLit) {
	code, err := strconv.Unquote(lit.Value)
	switch {
	case err != nil || lit.Kind != token.STRING:
		f.fail(s, "is no string")
	case code == "": // the zero value of a table's field
	case !codeForm.MatchString(code):
		f.fail(s, fmt.Sprintf("%q is not kebab-case", code))
	default:
		f.out = append(f.out, found{code: code, what: f.text(s, s.what, 0), fix: f.text(s, s.fix, 0), room: f.room, pos: f.fset.Position(lit.Pos())})
	}
}

func (f *finder) fail(s site, why string) {
	f.errs = append(f.errs, fmt.Errorf("%s: the code %s", f.fset.Position(s.code.expr.Pos()), why))
}

// text gives the text of an expression if it is the same in every run, or "".
func (f *finder) text(s site, v value, depth int) string {
	if depth > maxDepth {
		return ""
	}
	switch e := v.expr.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return constant.StringVal(constant.MakeFromLiteral(e.Value, e.Kind, 0))
		}
	case *ast.BinaryExpr:
		l, r := f.text(s, value{e.X, v.in}, depth+1), f.text(s, value{e.Y, v.in}, depth+1)
		if l != "" && r != "" {
			return l + r
		}
	case *ast.SelectorExpr:
		if field, ok := s.fields[e.Sel.Name]; ok {
			return f.text(s, field, depth+1)
		}
	case *ast.Ident:
		if v.in != nil {
			if i, ok := v.in.params[e.Name]; ok {
				if c, bound := s.calls[v.in]; bound {
					return f.text(s, value{c.args[i], c.by}, depth+1)
				}
				return ""
			}
			if a := v.in.assigned[e.Name]; len(a) == 1 {
				return f.text(s, value{a[0].expr, v.in}, depth+1)
			} else if len(a) > 1 {
				return ""
			}
			if v.in.outer != nil {
				return f.text(s, value{e, v.in.outer}, depth+1)
			}
		}
		if c, ok := f.values[e.Name]; ok {
			return f.text(s, value{c, nil}, depth+1)
		}
	}
	return ""
}

func isRefusal(t ast.Expr) bool { return nameOf(t) == "Refusal" }

// nameOf gives the last name of a type, a function or a variable: Refusal of gate.Refusal.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.StarExpr:
		return nameOf(e.X)
	case *ast.ParenExpr:
		return nameOf(e.X)
	case *ast.IndexExpr:
		return nameOf(e.X)
	}
	return ""
}

func keyed(lit *ast.CompositeLit) map[string]ast.Expr {
	out := map[string]ast.Expr{}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok && nameOf(kv.Key) != "" {
			out[nameOf(kv.Key)] = kv.Value
		}
	}
	return out
}

// sentences gives the different texts of what was found, sorted.
func sentences(all []found, of func(found) string) []string {
	var out []string
	for _, f := range all {
		if t := strings.TrimSpace(of(f)); !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return out
}
