package ui

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
)

// maxRefusals bounds how many refusals of one error are printed.
const maxRefusals = 40

// RefusalOptions say what to print besides.
type RefusalOptions struct{ Resume string }

// Refusal prints an error the way a person can use it: every refusal in it with what, where, expected, found and fix on
// lines of their own; a failed step with the end of its log.
func Refusal(w io.Writer, err error, o RefusalOptions) {
	m := marksFor(w)
	printed := 0
	resumable := false
	for _, leaf := range leaves(err) {
		if printed == maxRefusals {
			fmt.Fprintln(w, "and more; mend these first")
			break
		}
		printed++
		resumable = printLeaf(w, leaf, m) || resumable
	}
	if o.Resume != "" && resumable {
		field(w, m, "resume with", o.Resume)
	}
}

// printLeaf prints one error and reports whether running the command again would go on.
func printLeaf(w io.Writer, err error, m marks) bool {
	resumable := false
	var step *flow.StepError
	if errors.As(err, &step) {
		resumable = true
		printTail(w, step, m)
		err = step.Err
	}
	var r *gate.Refusal
	if !errors.As(err, &r) {
		fmt.Fprintf(w, "%s %s\n", m.paint("31;1", "error:"), EscapeLines(err.Error()))
		return true
	}
	word := map[gate.Class]string{gate.Refused: "refused:", gate.Usage: "error:", gate.Waiting: "waiting:", gate.NotReproducible: "not reproducible:", gate.Failed: "failed:"}[r.Class]
	fmt.Fprintf(w, "%s %s [%s]\n", m.paint("31;1", word), Escape(r.What), Escape(r.Code))
	field(w, m, "where", r.Where)
	field(w, m, "expected", r.Expected)
	field(w, m, "found", r.Actual)
	if r.Cause != nil {
		field(w, m, "because", r.Cause.Error())
	}
	field(w, m, "fix", r.Fix)
	return resumable || r.Class == gate.Failed || r.Class == gate.Waiting
}

func printTail(w io.Writer, step *flow.StepError, m marks) {
	if len(step.Tail) > 0 {
		fmt.Fprintf(w, "%s\n", m.paint("1", "--- the end of the log of "+Escape(step.Step)))
		for _, line := range step.Tail {
			fmt.Fprintf(w, "    %s\n", Escape(line))
		}
	}
	if step.Log != "" {
		field(w, m, "whole log", step.Log)
	}
}

func field(w io.Writer, m marks, name, value string) {
	if value == "" {
		return
	}
	value = strings.ReplaceAll(EscapeLines(strings.TrimSpace(value)), "\n", "\n             ")
	fmt.Fprintf(w, "  %s %s\n", m.paint("1", fmt.Sprintf("%-10s", name+":")), value)
}

// leaves gives the errors that err joins, in order.
func leaves(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // walking the tree itself
		var out []error
		for _, e := range joined.Unwrap() {
			if e != nil {
				out = append(out, leaves(e)...)
			}
		}
		return out
	}
	return []error{err}
}
