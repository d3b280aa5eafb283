package ui

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// Row is one line of a table of checks.
type Row struct {
	Status string // pass, fail, skip
	Name   string
	Detail string
	Notes  []string // below the line: "expected: …"
}

// Table prints checks, each with its mark, its name and what was found.
func Table(w io.Writer, rows []Row) {
	m := marksFor(w)
	width := 0
	for _, r := range rows {
		width = max(width, utf8.RuneCountInString(r.Name))
	}
	width = min(width, 48)
	for _, r := range rows {
		mark := m.paint("32", m.pick("✓", "pass"))
		switch r.Status {
		case "fail":
			mark = m.paint("31;1", m.pick("✗", "FAIL"))
		case "skip":
			mark = m.paint("33", m.pick("–", "skip"))
		}
		fmt.Fprintf(w, "%s %-*s  %s\n", mark, width, Escape(r.Name), Escape(r.Detail))
		for _, n := range r.Notes {
			fmt.Fprintf(w, "    %s\n", Escape(n))
		}
	}
}
