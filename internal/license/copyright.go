package license

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// copyrights gives the lines of a text that state a copyright, as they stand, without comment marks.
func copyrights(text []byte) []string {
	var out []string
	for line := range bytes.Lines(text) {
		if len(out) == maxLines {
			break
		}
		if len(line) > 400 || !utf8.Valid(line) {
			continue
		}
		s := strings.TrimSpace(strings.TrimLeft(string(line), " \t*/#;-!%<>\"'|=_[("))
		if strings.HasPrefix(strings.ToLower(string(bytes.TrimSpace(line))), "(c)") {
			s = strings.TrimSpace(string(line))
		}
		if states(s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// states holds for a line that says whose copyright it is, and not for one that speaks about copyrights.
func states(s string) bool {
	lower := strings.ToLower(s)
	rest, ok := strings.CutPrefix(lower, "copyright")
	if !ok {
		// A year tells a statement from the third item of a list.
		return strings.HasPrefix(lower, "© ") || strings.HasPrefix(lower, "(c) ") && strings.ContainsAny(lower, "0123456789")
	}
	rest = strings.TrimSpace(strings.TrimLeft(rest, " :©"))
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "(c)"))
	if rest == "" || strings.ContainsAny(rest[:1], "[<{$") || strings.HasPrefix(rest, "yyyy") {
		return false // a template that nobody filled in
	}
	digits := strings.ContainsAny(rest, "0123456789")
	for _, about := range []string{"notice", "holder", "owner", "license", "licence", "law", "statement", "and ", "or ", "in ", "is ", "to ", "of ", "for ", "protection", "treaty", "interest", "shall", "which", "disclaimer"} {
		if strings.HasPrefix(rest, about) {
			return false
		}
	}
	return digits || strings.Contains(lower, "(c)") || strings.Contains(lower, "©") || strings.Contains(rest, "authors") || strings.HasPrefix(lower, "copyright:")
}
