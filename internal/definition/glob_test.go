package definition_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/definition"
)

func TestGlobs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern string
		matches string // files
		not     string
		hold    string // folders that may hold a match
		nothing string // folders that cannot
	}{
		{"Makefile", "Makefile Makefile/x", "makefile a/Makefile", "Makefile", "a"},
		{"src/**", "src/a src/a/b/c src", "srcs/a a/src/b", "src src/a", "a srcs"},
		{"src", "src/a src/a/b", "a", "src src/a", "a"},
		{"**/*.c", "a.c a/b.c a/b/c.c", "a.h", "a a/b", ""},
		{"a/**/b", "a/b a/x/b a/x/y/b a/b/c", "b x/a/b a", "a a/x", "b"},
		{"**", "a a/b", "", "a a/b", ""},
		{"doc/*.1", "doc/x.1", "doc/x.2 doc/a/x.1 x.1", "doc", "doc/a d"},
		{"[a-c]?/x", "a1/x b2/x/y", "d1/x a/x", "a1", "d1 abc"},
		{"**/**/x/**/**", "x a/x a/b/x/c", "y", "a", ""},
	} {
		g := definition.NewGlobs([]string{tc.pattern})
		for _, p := range strings.Fields(tc.matches) {
			if len(g.Match(p)) != 1 {
				t.Errorf("%s does not match %s", tc.pattern, p)
			}
		}
		for _, p := range strings.Fields(tc.not) {
			if len(g.Match(p)) != 0 {
				t.Errorf("%s matches %s", tc.pattern, p)
			}
		}
		for _, p := range strings.Fields(tc.hold) {
			if !g.MayHold(p) {
				t.Errorf("%s may hold nothing in %s", tc.pattern, p)
			}
		}
		for _, p := range strings.Fields(tc.nothing) {
			if g.MayHold(p) {
				t.Errorf("%s may hold something in %s", tc.pattern, p)
			}
		}
	}
}

// TestGlobsAreQuick holds that a pattern cannot be made to take long.
func TestGlobsAreQuick(t *testing.T) {
	t.Parallel()
	g := definition.NewGlobs([]string{strings.Repeat("**/a*/", 150) + "x"})
	start := time.Now()
	for range 10 {
		g.Match(strings.Repeat("aaaa/", 200) + "y")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Error(d)
	}
}

func FuzzGlobs(f *testing.F) {
	f.Add("src/**/*.[ch]", "src/a/b.c")
	f.Add("**", "x")
	f.Add("[", "a//b")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g := definition.NewGlobs([]string{pattern})
		if len(g.Match(name)) == 0 {
			return
		}
		for dir := name; strings.Contains(dir, "/"); {
			dir = dir[:strings.LastIndexByte(dir, '/')]
			if !g.MayHold(dir) {
				t.Errorf("%q matches %q, but holds nothing in %q", pattern, name, dir)
			}
		}
	})
}
