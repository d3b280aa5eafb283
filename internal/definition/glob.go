package definition

import (
	"path"
	"slices"
	"strings"
)

// Globs are patterns of paths: * and ? match within a name, ** as a whole name matches any number of folders, and what
// matches a folder matches all that is in it.
type Globs [][]string

// NewGlobs takes accepted patterns.
func NewGlobs(patterns []string) Globs {
	var g Globs
	for _, p := range patterns {
		g = append(g, strings.Split(p, "/"))
	}
	return g
}

// Match gives the patterns that a file matches, by their indexes.
func (g Globs) Match(file string) []int {
	var out []int
	for i := range g {
		if whole, _ := g.follow(i, file); whole {
			out = append(out, i)
		}
	}
	return out
}

// MayHold reports whether a file in the folder can match.
func (g Globs) MayHold(folder string) bool {
	for i := range g {
		if whole, begun := g.follow(i, folder); whole || begun {
			return true
		}
	}
	return false
}

// follow walks along p's names with all the places in the pattern that they can stand for. whole says that the pattern
// matches p or a folder that it is in, begun that it may match something in p.
func (g Globs) follow(i int, p string) (whole, begun bool) {
	pattern := g[i]
	at := skip(pattern, []int{0})
	for name := range strings.SplitSeq(p, "/") {
		var next []int
		for _, n := range at {
			if n == len(pattern) { // nothing but ** stood before
				return true, true
			}
			if pattern[n] == "**" {
				next = append(next, n)
			} else if ok, err := path.Match(pattern[n], name); ok && err == nil {
				next = append(next, n+1)
			}
		}
		at = skip(pattern, next)
		if slices.Contains(at, len(pattern)) {
			return true, true
		}
	}
	return false, len(at) > 0
}

// skip adds the places that ** lets one go on to without a name.
func skip(pattern []string, at []int) []int {
	for i := 0; i < len(at); i++ {
		if n := at[i]; n < len(pattern) && pattern[n] == "**" && !slices.Contains(at, n+1) {
			at = append(at, n+1)
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// isGlob reports whether s is a pattern that cannot leave the folder that it is relative to.
func isGlob(s string) bool {
	if !isPath(s) || s == "." {
		return false
	}
	for name := range strings.SplitSeq(s, "/") {
		if _, err := path.Match(name, ""); err != nil || name != "**" && strings.Contains(name, "**") {
			return false
		}
	}
	return true
}
