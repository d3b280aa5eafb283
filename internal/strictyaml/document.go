package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// position is a place in the text; lines and columns (in characters) count from 1.
type position struct{ line, column int }

func where(name string, p position) string { return fmt.Sprintf("%s:%d:%d", name, p.line, p.column) }

// Errors are all refusals of one file, in the order of their positions.
type Errors []*gate.Refusal

// Error gives one line for each refusal.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, r := range e {
		lines[i] = r.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each refusal, for errors.As and gate.Code.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, r := range e {
		errs[i] = r
	}
	return errs
}

// Document knows where the values of a decoded document are, and what is wrong with them.
//
// A path names a value as a Go programmer would: builds[0].go.platforms[2], identities.jane.key.
// The empty path is the whole document.
type Document struct {
	name     string
	at       map[string]position
	broken   map[string]bool // values that have been refused: what follows from that is not reported
	errs     []located
	dropped  bool
	nodes    int
	maxNodes int
}

type located struct {
	position
	*gate.Refusal
}

// Has reports whether the document has a value at path.
func (d *Document) Has(path string) bool { _, ok := d.at[path]; return ok }

// Where gives name:line:column of the value at path or, when there is none, of
// the nearest value around it.
func (d *Document) Where(path string) string { return where(d.name, d.find(path)) }

func (d *Document) find(path string) position {
	for {
		if p, ok := d.at[path]; ok {
			return p
		}
		if path == "" {
			return position{1, 1}
		}
		path = parent(path)
	}
}

// parent cuts the last element off a path.
func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// Refuse adds a refusal of the value at path. Class and Where are filled in. It is dropped
// when the value, or one around it, has been refused by Decode, because it
// would then be a consequence and not a cause.
func (d *Document) Refuse(path string, r gate.Refusal) {
	for p := path; ; p = parent(p) {
		if d.broken[p] {
			return
		}
		if p == "" {
			break
		}
	}
	d.add(d.find(path), &r)
}

func (d *Document) add(p position, r *gate.Refusal) {
	if len(d.errs) >= MaxErrors {
		d.dropped = true
		return
	}
	r.Class, r.Where = gate.Usage, where(d.name, p)
	d.errs = append(d.errs, located{p, r})
}

// Err gives all refusals so far as an Errors sorted by position, or nil.
func (d *Document) Err() error {
	if len(d.errs) == 0 {
		return nil
	}
	sorted := slices.Clone(d.errs)
	slices.SortStableFunc(sorted, func(a, b located) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	var errs Errors
	for _, l := range sorted {
		errs = append(errs, l.Refusal)
	}
	if d.dropped {
		errs = append(errs, &gate.Refusal{Code: "yaml-too-many-errors", Class: gate.Usage, Where: d.name,
			What: fmt.Sprintf("more than %d errors; the rest is not shown", MaxErrors)})
	}
	return errs
}

// LineColumn gives the position of the value at path as numbers, as Where does.
func (d *Document) LineColumn(path string) (line, column int) {
	p := d.find(path)
	return p.line, p.column
}
