package license

import (
	"slices"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
)

// Satisfied reports whether somebody who takes only licences that ok takes can take what stands under the expression s (SPDX
// 2.3, annex D): of alternatives one has to be taken, of what is joined by AND all. ok is asked for a licence as it is written,
// with its + if it has one, and for its exception or "". valid is false for what is no expression.
func Satisfied(s string, ok func(id, exception string) bool) (satisfied, valid bool) {
	if !Valid(s, true) {
		return false, false
	}
	e := expression{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)), refs: true}
	return e.any(ok), true
}

func (e *expression) any(ok func(id, exception string) bool) bool {
	holds := e.all(ok)
	for e.is("OR") {
		other := e.all(ok)
		holds = holds || other
	}
	return holds
}

func (e *expression) all(ok func(id, exception string) bool) bool {
	holds := e.one(ok)
	for e.is("AND") {
		other := e.one(ok)
		holds = holds && other
	}
	return holds
}

func (e *expression) one(ok func(id, exception string) bool) bool {
	if e.is("(") {
		holds := e.any(ok)
		e.next() // the parenthesis that closes it
		return holds
	}
	id, exception := e.next(), ""
	if e.is("WITH") {
		exception = e.next()
	}
	return ok(id, exception)
}

// Listed gives the identifiers of the SPDX licence list that are in use.
func Listed() []string { return spdxlicenses.GetLicenses() }

// Spellings gives an identifier and the others that mean the same: before version 3 of the SPDX list, GPL-3.0 stood for
// GPL-3.0-only and GPL-3.0+ for GPL-3.0-or-later.
func Spellings(id string) []string {
	out := []string{id}
	base, later := strings.CutSuffix(id, "+")
	for _, other := range []string{base + "-only", base + "-or-later"} {
		if active, _ := spdxlicenses.IsActiveLicense(other); active && strings.HasSuffix(other, "-or-later") == later {
			out = append(out, other)
		}
	}
	for _, end := range []struct{ now, before string }{{"-only", ""}, {"-or-later", "+"}} {
		if base, ok := strings.CutSuffix(id, end.now); ok {
			out = append(out, base+end.before)
		}
	}
	return slices.Compact(out)
}
