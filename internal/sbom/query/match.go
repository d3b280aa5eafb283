package query

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// Filter says which packages are wanted. What is "" does not matter; all others have to hold.
type Filter struct {
	Name    string // with * for anything; without it also the last part of a path, in whatever case
	PURL    string // package URL, with * for anything
	License string // identifier in the licence expression, with * for anything; "unknown" for packages without a known licence
	Version string // comparisons such as ">=1.2 <2", all of which have to hold, or one version
	Files   bool   // files, too, by their names
}

// Match gives the nodes that the filter wants, by name. It fails on a version range that is none.
func (g *Graph) Match(f Filter) ([]int32, error) {
	inRange, err := Range(f.Version)
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(f.Name)
	var out []int32
	for i, n := range g.nodes {
		if n.Package == nil && (!f.Files || f.PURL != "") {
			continue
		}
		if f.Name != "" && !matchName(name, strings.ToLower(n.Name())) ||
			f.PURL != "" && !slices.ContainsFunc(n.Package.PURLs(), func(purl string) bool { return matchPURL(f.PURL, purl) }) ||
			f.License != "" && !matchLicense(f.License, n.License()) ||
			f.Version != "" && !inRange(n.Version()) {
			continue
		}
		out = append(out, int32(i))
	}
	slices.SortFunc(out, func(a, b int32) int {
		x, y := g.nodes[a], g.nodes[b]
		return cmp.Or(strings.Compare(x.Name(), y.Name()), CompareVersions(x.Version(), y.Version()), strings.Compare(x.ID, y.ID))
	})
	return out, nil
}

func matchName(pattern, name string) bool {
	if strings.Contains(pattern, "*") {
		return Wild(pattern, name)
	}
	return name == pattern || strings.HasSuffix(name, "/"+pattern)
}

// matchPURL lets a pattern without a version and qualifiers match them all.
func matchPURL(pattern, purl string) bool {
	if Wild(pattern, purl) {
		return true
	}
	if !strings.ContainsAny(pattern, "@?#") {
		if i := strings.IndexAny(purl, "@?#"); i >= 0 {
			return Wild(pattern, purl[:i])
		}
	}
	return false
}

func matchLicense(pattern, expression string) bool {
	if strings.EqualFold(pattern, "unknown") {
		return expression == ""
	}
	pattern = strings.ToLower(pattern)
	for _, word := range strings.FieldsFunc(strings.ToLower(expression), func(r rune) bool { return r == ' ' || r == '(' || r == ')' }) {
		if word != "and" && word != "or" && word != "with" && (Wild(pattern, word) || Wild(pattern, strings.TrimSuffix(word, "+"))) {
			return true
		}
	}
	return false
}

// Wild matches a pattern in which * stands for anything, in time that grows with the product of the lengths at most.
func Wild(pattern, s string) bool {
	star, retry := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p, i = p+1, i+1
		case star >= 0:
			retry++
			p, i = star+1, retry
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// Range reads comparisons such as ">=1.2 <2", all of which have to hold for a version; none hold for "".
func Range(s string) (func(string) bool, error) {
	type comparison struct{ op, version string }
	var all []comparison
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' }) {
		c := comparison{"=", word}
		for _, op := range []string{">=", "<=", "!=", ">", "<", "="} {
			if v, ok := strings.CutPrefix(word, op); ok {
				c = comparison{op, v}
				break
			}
		}
		if c.version == "" || strings.ContainsAny(c.version, "<>=!") {
			return nil, fmt.Errorf("read version range: %q is no comparison such as >=1.2", word)
		}
		all = append(all, c)
	}
	return func(v string) bool {
		for _, c := range all {
			if v == "" || !holds(c.op, CompareVersions(v, c.version)) {
				return false
			}
		}
		return true
	}, nil
}

func holds(op string, order int) bool {
	switch op {
	case ">=":
		return order >= 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case "<":
		return order < 0
	case "!=":
		return order != 0
	}
	return order == 0
}

// CompareVersions orders versions: semantic ones, with or without their v, as semver.org has it; others part by part, numbers
// as numbers, a tilde before everything, as distributions do.
func CompareVersions(a, b string) int {
	x, y := "v"+strings.TrimPrefix(a, "v"), "v"+strings.TrimPrefix(b, "v")
	if semver.IsValid(x) && semver.IsValid(y) {
		return cmp.Or(semver.Compare(x, y), strings.Compare(semver.Build(x), semver.Build(y)))
	}
	return compareParts(strings.TrimPrefix(a, "v"), strings.TrimPrefix(b, "v"))
}

// compareParts follows Debian's policy, 5.6.12.
func compareParts(a, b string) int {
	for a != "" || b != "" {
		i, j := digits(a, false), digits(b, false)
		if c := compareText(a[:i], b[:j]); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
		i, j = digits(a, true), digits(b, true)
		x, y := strings.TrimLeft(a[:i], "0"), strings.TrimLeft(b[:j], "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
	}
	return 0
}

// digits gives how many of the first characters are digits, or are none.
func digits(s string, are bool) int {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9') == are {
		i++
	}
	return i
}

// compareText puts the tilde before the end, the end before letters, letters before the rest.
func compareText(a, b string) int {
	weight := func(s string, i int) int {
		switch {
		case i >= len(s):
			return 0
		case s[i] == '~':
			return -1
		case s[i] >= 'a' && s[i] <= 'z', s[i] >= 'A' && s[i] <= 'Z':
			return int(s[i])
		}
		return int(s[i]) + 256
	}
	for i := 0; i < len(a) || i < len(b); i++ {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}
