package sbom

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// lines reads a text database line by line, within limits.
type lines struct {
	scanner *bufio.Scanner
	in      *io.LimitedReader
	where   string
	limit   int64
	number  int // of the current line, from 1
}

func newLines(where string, r io.Reader, limit int64) *lines {
	in := &io.LimitedReader{R: r, N: limit + 1}
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 4096), maxLine)
	return &lines{scanner: s, in: in, where: where, limit: limit}
}

// next goes to the next line. After false, err tells whether that was the end.
func (l *lines) next() bool {
	if l.in.N <= 0 || !l.scanner.Scan() {
		return false
	}
	l.number++
	return true
}

func (l *lines) text() string { return l.scanner.Text() }

func (l *lines) err() error {
	switch err := l.scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return tooLarge(fmt.Sprintf("%s:%d", l.where, l.number+1), fmt.Sprintf("lines of at most %d bytes", maxLine))
	case err != nil:
		return fmt.Errorf("read %s: %w", l.where, err)
	case l.in.N <= 0:
		return tooLarge(l.where, fmt.Sprintf("at most %d bytes", l.limit))
	}
	return nil
}

// malformed refuses the current line.
func (l *lines) malformed(format string, args ...any) error {
	return malformed(l.where, l.number, fmt.Sprintf(format, args...))
}

// record is what stands in a database of one package, under the names of the fields that are of interest.
type record struct {
	fields map[string]string
	any    bool // whether there was any field, of interest or not
	line   int  // first
}

// set takes up a field. It fails when there is one of that name.
func (r *record) set(l *lines, name, value string, wanted bool) error {
	if !r.any {
		r.any, r.line, r.fields = true, l.number, map[string]string{}
	}
	if !wanted {
		return nil
	}
	if _, ok := r.fields[name]; ok {
		return l.malformed("field %s for a second time", name)
	}
	r.fields[name] = value
	return nil
}

// maxTextField bounds fields that are only shown, in bytes.
const maxTextField = 1024

// text gives a field that is only shown; "" when it cannot be: nothing else depends on it.
func text(s string) string {
	if len(s) > maxTextField || strings.ContainsFunc(s, isUnprintable) {
		return ""
	}
	return s
}

// isWord reports whether s is letters, digits and others, and not empty.
func isWord(s, others string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		default:
			found := false
			for _, o := range []byte(others) {
				found = found || c == o
			}
			if !found {
				return false
			}
		}
	}
	return s != ""
}
