package license

import (
	"bytes"
	"slices"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
)

// Bounds of the expressions that are looked into.
const (
	MaxExpression = 2000 // bytes
	maxDepth      = 20   // parentheses within each other
)

// Valid reports whether s is an SPDX licence expression (SPDX 2.3, annex D): of listed licences, and of LicenseRefs when
// refs is set.
func Valid(s string, refs bool) bool {
	if len(s) > MaxExpression {
		return false
	}
	e := expression{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)), refs: refs}
	return e.compound(0) && len(e.words) == 0
}

// IDs gives the licence identifiers and LicenseRefs in an expression, sorted, without exceptions.
func IDs(s string) []string {
	var out []string
	words := strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(s))
	for i, w := range words {
		if w == "AND" || w == "OR" || w == "WITH" || i > 0 && words[i-1] == "WITH" {
			continue
		}
		out = append(out, w)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// expression is what is left of an expression, in words. Its methods take what they are named for from its start.
type expression struct {
	words []string
	refs  bool
}

func (e *expression) next() string {
	if len(e.words) == 0 {
		return ""
	}
	word := e.words[0]
	e.words = e.words[1:]
	return word
}

func (e *expression) is(words ...string) bool {
	if len(e.words) > 0 && slices.Contains(words, e.words[0]) {
		e.words = e.words[1:]
		return true
	}
	return false
}

func (e *expression) compound(depth int) bool {
	for {
		if !e.simple(depth) {
			return false
		}
		if !e.is("AND", "OR") {
			return true
		}
	}
}

func (e *expression) simple(depth int) bool {
	if e.is("(") {
		return depth < maxDepth && e.compound(depth+1) && e.is(")")
	}
	word := e.next()
	if isRef(word) {
		return e.refs
	}
	if !listed(strings.TrimSuffix(word, "+")) {
		return false
	}
	if !e.is("WITH") {
		return true
	}
	known, _ := spdxlicenses.IsException(e.next())
	return known
}

// listed holds for identifiers of the SPDX licence list, deprecated ones included.
func listed(id string) bool {
	active, _ := spdxlicenses.IsActiveLicense(id)
	deprecated, _ := spdxlicenses.IsDeprecatedLicense(id)
	return active || deprecated
}

func isRef(word string) bool {
	name, ok := strings.CutPrefix(word[strings.LastIndexByte(word, ':')+1:], "LicenseRef-") // DocumentRef-…:LicenseRef-…, of another document
	return ok && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == ""
}

// spdxID turns an identifier of the matcher into SPDX's, or into a LicenseRef when the list has none.
func spdxID(id string) (spdx string, ref bool) {
	switch id {
	case "GPL-2.0-or-3.0":
		return "GPL-2.0-only OR GPL-3.0-only", false
	case "GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "AGPL-1.0", "AGPL-3.0", "GFDL-1.1", "GFDL-1.2", "GFDL-1.3":
		return id + "-only", false // the text alone does not say "or later"; a header or tag that does takes its place
	}
	if active, exact := spdxlicenses.IsActiveLicense(id); active {
		return exact, false
	}
	if deprecated, exact := spdxlicenses.IsDeprecatedLicense(id); deprecated {
		return exact, false
	}
	return "LicenseRef-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, id), true
}

// withoutGeneral leaves X-only out where X-or-later is there: the text is the same, and the header says how it is meant.
func withoutGeneral(ids []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool {
		base, only := strings.CutSuffix(id, "-only")
		return only && slices.Contains(ids, base+"-or-later")
	})
}

// join makes an expression of identifiers or expressions.
func join(parts []string, operator string) string {
	parts = slices.Clone(parts)
	slices.Sort(parts)
	parts = slices.Compact(parts)
	if len(parts) == 1 {
		return parts[0]
	}
	for i, p := range parts {
		if strings.Contains(p, " ") && (strings.Contains(p, " OR ") || operator == "OR" && strings.Contains(p, " AND ")) {
			parts[i] = "(" + p + ")"
		}
	}
	return strings.Join(parts, " "+operator+" ")
}

var tagMark = []byte("SPDX-License-Identifier:")

// tagOf gives the expression of the first SPDX-License-Identifier tag in text, or "" when there is none that is valid.
func tagOf(text []byte) string {
	_, after, ok := bytes.Cut(text[:min(len(text), maxHead)], tagMark)
	if !ok {
		return ""
	}
	line, _, _ := bytes.Cut(after[:min(len(after), MaxExpression)], []byte("\n"))
	s := strings.TrimSpace(string(line))
	for _, end := range []string{"*/", "-->", "#}", "*)", "\"", "'"} {
		s = strings.TrimSpace(strings.TrimSuffix(s, end))
	}
	if !Valid(s, false) {
		return ""
	}
	return strings.Join(strings.Fields(s), " ")
}
