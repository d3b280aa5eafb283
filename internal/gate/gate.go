// Package gate holds the one error type with which Sello refuses to go on.
//
// A gate is a check that must hold before bytes move on. When it does not hold,
// the check returns a *Refusal that names the reason by a stable code, says what
// was expected, what was found and where, and what to do about it. Codes are
// kebab-case, are never reused for another meaning, and each has an entry in
// docs/errors.md.
//
//go:generate go run ./gen -root ../..
package gate

import (
	"errors"
	"fmt"
	"strings"
)

// Class says which exit code a refusal leads to.
type Class int

const (
	// Refused: a gate or a verification said no (exit code 3).
	Refused Class = iota
	// Usage: the definition, a file the user wrote or the command line is wrong (exit code 2).
	Usage
	// Waiting: nothing is wrong, but sign-offs are missing (exit code 4).
	Waiting
	// NotReproducible: a rebuild gave other bytes (exit code 5).
	NotReproducible
	// Failed: something outside the release's control failed: a build, a disk, a proxy (exit code 1).
	Failed
)

// Refusal is a gate's "no". The zero value of every field but Code may be left out.
type Refusal struct {
	Code     string // stable, kebab-case: "subject-mismatch"
	Class    Class
	What     string // one sentence: what was refused
	Where    string // file, file:line:column, URL, member of an archive
	Expected string
	Actual   string
	Fix      string // what to do: a command line where there is one
	Cause    error  // the underlying error, if any
}

// Error renders the refusal in one line; the command line prints the fields below each other.
func (r *Refusal) Error() string {
	var b strings.Builder
	if r.Where != "" {
		fmt.Fprintf(&b, "%s: ", r.Where)
	}
	b.WriteString(r.What)
	if r.Expected != "" {
		fmt.Fprintf(&b, ": expected %s", r.Expected)
	}
	if r.Actual != "" {
		fmt.Fprintf(&b, ", found %s", r.Actual)
	}
	if r.Cause != nil {
		fmt.Fprintf(&b, ": %v", r.Cause)
	}
	fmt.Fprintf(&b, " [%s]", r.Code)
	return b.String()
}

// Unwrap gives the underlying error.
func (r *Refusal) Unwrap() error { return r.Cause }

// Code gives the code of the first refusal in err's tree, or "".
func Code(err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}
