// Package lazyregexp has regular expressions that are compiled when they are first used, so that a program's start does not wait
// for those that it does not need. In tests they are compiled at once: one that is wrong is found.
package lazyregexp

import (
	"os"
	"regexp"
	"strings"
	"sync"
)

// inTest is how the go command's own lazy expressions know.
var inTest = len(os.Args) > 0 && strings.HasSuffix(strings.TrimSuffix(os.Args[0], ".exe"), ".test")

// Regexp is a regular expression. It is safe for use by several goroutines.
type Regexp struct{ compiled func() *regexp.Regexp }

// New gives a regular expression, and panics when it is first used if it is none.
func New(text string) Regexp {
	r := Regexp{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })}
	if inTest {
		r.compiled()
	}
	return r
}

// MatchString is regexp's.
func (r Regexp) MatchString(s string) bool { return r.compiled().MatchString(s) }

// FindStringSubmatch is regexp's.
func (r Regexp) FindStringSubmatch(s string) []string { return r.compiled().FindStringSubmatch(s) }

// ReplaceAllString is regexp's.
func (r Regexp) ReplaceAllString(s, by string) string { return r.compiled().ReplaceAllString(s, by) }
