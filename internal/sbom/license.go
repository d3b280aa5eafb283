package sbom

import (
	"strings"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
)

// Bounds of the licence expressions that are looked into.
const (
	maxLicense      = 2000 // bytes
	maxLicenseDepth = 20   // parentheses within each other
)

// isLicense reports whether s is an SPDX licence expression (SPDX 2.3, annex D) of listed licences.
// References to licences that a document would have to hold (LicenseRef-…) are none here.
func isLicense(s string) bool {
	if len(s) > maxLicense {
		return false
	}
	e := expression{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))}
	return e.compound(0) && len(e.words) == 0
}

// IsExpression reports whether s is an SPDX licence expression of listed licences and of references to licences (LicenseRef-…).
func IsExpression(s string) bool {
	if len(s) > maxLicense {
		return false
	}
	e := expression{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)), refs: true}
	return e.compound(0) && len(e.words) == 0
}

// expression is what is left of a licence expression, in words. Its methods take what they are named for from its start.
type expression struct {
	words []string
	refs  bool // LicenseRef-… is a licence, too
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
	for _, w := range words {
		if len(e.words) > 0 && e.words[0] == w {
			e.words = e.words[1:]
			return true
		}
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
		return depth < maxLicenseDepth && e.compound(depth+1) && e.is(")")
	}
	word := e.next()
	if name := word[strings.LastIndexByte(word, ':')+1:]; e.refs && strings.HasPrefix(name, "LicenseRef-") && len(name) > len("LicenseRef-") {
		return true
	}
	id := strings.TrimSuffix(word, "+")
	active, _ := spdxlicenses.IsActiveLicense(id)
	if deprecated, _ := spdxlicenses.IsDeprecatedLicense(id); !active && !deprecated {
		return false
	}
	if !e.is("WITH") {
		return true
	}
	known, _ := spdxlicenses.IsException(e.next())
	return known
}
