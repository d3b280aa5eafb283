package scaffold

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// stampNames are the variables that programs let the linker set, in lower case without '_'.
var stampNames = map[string]string{
	"version": "Version", "buildversion": "Version", "appversion": "Version", "gitversion": "Version", "gittag": "Version",
	"commit": "Commit", "gitcommit": "Commit", "gitsha": "Commit", "revision": "Commit", "buildcommit": "Commit", "commithash": "Commit", "githash": "Commit",
	"date": "CommitTime", "builddate": "CommitTime", "buildtime": "CommitTime", "commitdate": "CommitTime", "buildtimestamp": "CommitTime",
}

// number is a version that was written by hand.
var number = regexp.MustCompile(`^v?[0-9]+\.[0-9]+(\.[0-9]+)?$`)

// stamps proposes linker flags for the string variables of main packages that are made for it. A
// variable that holds a released version is left alone, with a note.
func (s *scan) stamps(programs []*pkg) (flags string, notes []string) {
	values := map[string]string{}
	for _, p := range programs {
		for _, name := range p.files {
			f, err := s.parse(name, 0)
			if err != nil || f.Name.Name != "main" {
				continue
			}
			for v, text := range stringVars(f) {
				value := stampNames[strings.ReplaceAll(strings.ToLower(v), "_", "")]
				switch {
				case value == "":
				case number.MatchString(text) && text != "0.0.0" && text != "v0.0.0":
					notes = append(notes, fmt.Sprintf("%s in %s says %s: it is not stamped; add -X main.%s={{ .%s }} to ldflags if a release shall set it", v, name, text, v, value))
				default:
					values[v] = value
				}
			}
		}
	}
	var out []string
	for v, value := range values {
		out = append(out, fmt.Sprintf("-X main.%s={{ .%s }}", v, value))
	}
	order := func(s string) int {
		return slices.Index([]string{"Version }}", "Commit }}", "CommitTime }}"}, s[strings.Index(s, "{{ .")+4:])
	}
	slices.SortFunc(out, func(a, b string) int {
		if d := order(a) - order(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	slices.Sort(notes)
	return strings.Join(out, " "), notes
}

// stringVars gives the package-level variables that the linker can set with -X, and their text: of type string, with
// no value or a literal.
func stringVars(f *ast.File) map[string]string {
	vars := map[string]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			typ, isIdent := v.Type.(*ast.Ident)
			if v.Type != nil && (!isIdent || typ.Name != "string") || v.Type == nil && len(v.Values) == 0 {
				continue
			}
			for i, name := range v.Names {
				if len(v.Values) == 0 {
					vars[name.Name] = ""
				} else if i < len(v.Values) {
					if text, ok := literal(v.Values[i]); ok {
						vars[name.Name] = text
					}
				}
			}
		}
	}
	return vars
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}
