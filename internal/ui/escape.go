package ui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Escape makes text from outside safe to show on one line: control characters, line
// breaks, invisible characters and those that change the direction of writing become \u escapes, bytes that
// are not UTF-8 become \x escapes, a tab becomes spaces.
func Escape(s string) string { return escape(s, false) }

// EscapeLines is Escape for text of several lines: line feeds stay.
func EscapeLines(s string) string { return escape(s, true) }

func escape(s string, lines bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\t':
			b.WriteString("    ")
		case lines && r == '\n', unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// cells is how many columns of a terminal escaped text takes.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens escaped text to at most n columns, with an ellipsis where something is missing.
func cut(s string, n int, ellipsis string) string {
	if cells(s) <= n {
		return s
	}
	room := n - cells(ellipsis)
	if room < 0 {
		return ""
	}
	used := 0
	for i, r := range s {
		if used += runeCells(r); used > room {
			return s[:i] + ellipsis
		}
	}
	return s
}

// wrap breaks escaped text into lines of at most n columns, between words where it can. n <= 0 does not break.
func wrap(s string, n int) []string {
	var lines []string
	for _, paragraph := range strings.Split(s, "\n") {
		if n <= 0 {
			lines = append(lines, paragraph)
			continue
		}
		for cells(paragraph) > n {
			at := breakAt(paragraph, n)
			lines = append(lines, strings.TrimRight(paragraph[:at], " "))
			paragraph = strings.TrimLeft(paragraph[at:], " ")
		}
		lines = append(lines, paragraph)
	}
	return lines
}

// breakAt finds where to break a line that is longer than n columns: after the last space that fits, if
// the line is not left half empty by that. It always gives progress.
func breakAt(s string, n int) int {
	used, space, end := 0, 0, 0
	for i, r := range s {
		w := runeCells(r)
		if used+w > n {
			break
		}
		used += w
		end = i + utf8.RuneLen(r)
		if r == ' ' && used > n/2 {
			space = end
		}
	}
	if end < len(s) && s[end] == ' ' {
		return end
	}
	if space > 0 {
		return space
	}
	if end == 0 {
		_, end = utf8.DecodeRuneInString(s)
	}
	return end
}
