package ui

import (
	"fmt"
	"io"
	"strings"
)

// Row is one line of a table of checks.
type Row struct {
	Status string // pass, fail, warn or skip
	Name   string
	Detail string   // what was found
	Notes  []string // below the line: "expected: …"
}

// maxName is the widest that the column of names gets, in columns of the terminal.
const maxName = 48

// Table prints checks, each with its mark, its name and what was found. On a terminal, details are wrapped
// to its width below each other.
func Table(w io.Writer, rows []Row) { table(w, rows, styleFor(w)) }

func table(w io.Writer, rows []Row, s style) {
	names, marks := columns(rows, s)
	for _, r := range rows {
		mark, colour := s.check(r.Status)
		name := Escape(r.Name)
		left := s.paint(colour, mark) + strings.Repeat(" ", marks-cells(mark)) + " " + name + strings.Repeat(" ", max(names-cells(name), 0))
		indent := strings.Repeat(" ", marks+1+names+2)
		width := 0
		if s.width > 0 {
			width = max(s.width-len(indent)-1, 20)
		}
		details := wrap(Escape(r.Detail), width)
		if s.width > 0 && cells(name) > names {
			fmt.Fprintln(w, left)
		} else {
			fmt.Fprintln(w, strings.TrimRight(left+"  "+details[0], " "))
			details = details[1:]
		}
		for _, more := range details {
			fmt.Fprintln(w, indent+more)
		}
		notes(w, r.Notes, marks+3, s)
	}
}

// columns gives the widths of the columns of names and marks: as the widest name that leaves room for
// details; longer ones get a line of their own.
func columns(rows []Row, s style) (names, marks int) {
	most := maxName
	if s.width > 0 {
		most = min(most, s.width*2/5)
	}
	for _, r := range rows {
		if n := cells(Escape(r.Name)); n <= most {
			names = max(names, n)
		}
		mark, _ := s.check(r.Status)
		marks = max(marks, cells(mark))
	}
	return names, marks
}

// notes prints lines below a row; values are kept apart from the labels before their colon.
func notes(w io.Writer, lines []string, indent int, s style) {
	for _, note := range lines {
		width := 0
		if s.width > 0 {
			width = max(s.width-indent-1, 20)
		}
		hang := 0
		if label, _, ok := strings.Cut(note, ": "); ok && len(label) < 12 {
			hang = 2
		}
		for i, part := range wrap(Escape(note), width-hang) {
			pad := indent
			if i > 0 {
				pad += hang
			}
			fmt.Fprintln(w, strings.Repeat(" ", pad)+part)
		}
	}
}

// check gives the symbol and colour for a check's status.
func (s style) check(status string) (mark, colour string) {
	switch status {
	case "pass":
		return s.pick("✓", "pass"), green
	case "fail":
		return s.pick("✗", "FAIL"), bold + ";" + red
	case "warn":
		return s.pick("!", "warn"), yellow
	}
	return s.pick("–", "skip"), yellow
}
