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
	e := expression(strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)))
	return e.compound(0) && len(e) == 0
}

// expression is what is left of a licence expression, in words. Its methods take what they are named for from its start.
type expression []string

func (e *expression) next() string {
	if len(*e) == 0 {
		return ""
	}
	word := (*e)[0]
	*e = (*e)[1:]
	return word
}

func (e *expression) is(words ...string) bool {
	for _, w := range words {
		if len(*e) > 0 && (*e)[0] == w {
			*e = (*e)[1:]
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
	id := strings.TrimSuffix(e.next(), "+")
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
