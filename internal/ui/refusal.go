package ui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
)

// Limits of what is printed of one error.
const (
	maxRefusals = 40
	maxValue    = 8 << 10 // bytes of one field
)

// RefusalOptions say what to print besides.
type RefusalOptions struct {
	Resume string // the command line that goes on after what failed was mended; "" for none
}

// Refusal prints an error the way a person can use it: every refusal in it with what, where, expected, found and fix on
// lines of their own, a failed step with the end of its log and where the whole log is, and how to go on.
// Errors that were joined are printed one after the other, each once.
func Refusal(w io.Writer, err error, o RefusalOptions) {
	refusal(w, err, o, styleFor(w))
}

func refusal(w io.Writer, err error, o RefusalOptions, s style) {
	p := &refusalPrinter{w: w, style: s}
	all := leaves(err)
	resumable := false
	seen := map[string]bool{}
	for i, leaf := range all {
		if text := leaf.Error(); seen[text] {
			continue
		} else {
			seen[text] = true
		}
		if len(seen) > maxRefusals {
			fmt.Fprintf(w, "and %d more; mend these first\n", len(all)-i)
			break
		}
		resumable = p.leaf(leaf) || resumable
	}
	if o.Resume != "" && resumable {
		p.field("resume with", o.Resume)
	}
}

// refusalPrinter prints one error after the other.
type refusalPrinter struct {
	w     io.Writer
	style style
}

// leaf prints one error and reports whether running the command again would go on.
func (p *refusalPrinter) leaf(err error) bool {
	var step *flow.StepError
	if errors.As(err, &step) {
		p.step(step)
	}
	var r *gate.Refusal
	switch {
	case errors.As(err, &r):
		p.refusal(err, r, step)
		return step != nil || r.Class == gate.Failed || r.Class == gate.Waiting
	case errors.Is(err, context.Canceled) && step == nil:
		p.headline("interrupted", "")
	case step != nil:
		p.headline("failed:", step.Err.Error())
	default:
		p.headline("error:", err.Error())
	}
	if step != nil {
		p.field("step", step.Step)
		p.field("log", step.Log)
	}
	return true
}

func (p *refusalPrinter) refusal(err error, r *gate.Refusal, step *flow.StepError) {
	word := map[gate.Class]string{
		gate.Refused: "refused:", gate.Usage: "error:", gate.Waiting: "waiting:", gate.NotReproducible: "not reproducible:", gate.Failed: "failed:",
	}[r.Class]
	p.headline(word, Escape(r.What)+" ["+Escape(r.Code)+"]")
	if step != nil {
		p.field("step", step.Step)
		err = step.Err
	}
	if while, ok := strings.CutSuffix(err.Error(), ": "+r.Error()); ok {
		p.field("while", while)
	}
	p.field("where", r.Where)
	p.field("expected", r.Expected)
	p.field("found", r.Actual)
	if r.Cause != nil {
		p.field("because", r.Cause.Error())
	}
	if step != nil {
		p.field("log", step.Log)
	}
	p.field("fix", cmp.Or(r.Fix, gate.FixOf(r.Code)))
}

// step prints the end of a failed step's log.
func (p *refusalPrinter) step(step *flow.StepError) {
	if len(step.Tail) == 0 {
		return
	}
	fmt.Fprintln(p.w, p.style.paint(bold, "the end of the log of "+Escape(step.Step)+":"))
	for _, text := range step.Tail {
		for _, part := range wrap(Escape(text), p.style.width-5) {
			fmt.Fprintf(p.w, "  %s %s\n", p.bar(), part)
		}
	}
}

// headline prints an error's own text. Where it has more lines they stand behind a bar, so that they look like no field.
func (p *refusalPrinter) headline(word, text string) {
	lines := wrap(EscapeLines(clip(text)), p.style.width-cells(word)-2)
	fmt.Fprintln(p.w, strings.TrimRight(p.style.paint(bold+";"+red, word)+" "+lines[0], " "))
	for _, more := range lines[1:] {
		fmt.Fprintln(p.w, "  "+p.bar()+" "+more)
	}
}

func (p *refusalPrinter) bar() string { return p.style.paint(dim, p.style.pick("│", "|")) }

// labelWidth is the column at which values start, so that nothing in a value can look like a label.
const labelWidth = 14

func (p *refusalPrinter) field(name, value string) {
	if value = strings.TrimSpace(value); value == "" {
		return
	}
	width := p.style.width - labelWidth - 1
	if name == "fix" || name == "resume with" {
		width = 0 // command lines are copied: a break in one would be run
	}
	label := fmt.Sprintf("  %-*s", labelWidth-2, name+":")
	for i, text := range wrap(EscapeLines(clip(value)), width) {
		if i > 0 {
			label = strings.Repeat(" ", labelWidth)
		} else {
			label = p.style.paint(bold, label)
		}
		fmt.Fprintln(p.w, label+" "+text)
	}
}

func clip(s string) string {
	if len(s) > maxValue {
		return strings.ToValidUTF8(s[:maxValue], "") + " […]"
	}
	return s
}

// leaves gives the errors that err joins, in order. A step's error stays whole.
func leaves(err error) []error {
	for e := err; e != nil; {
		switch e.(type) { //nolint:errorlint // walking the tree itself
		case *flow.StepError, *gate.Refusal:
			return []error{err}
		}
		if many, ok := e.(interface{ Unwrap() []error }); ok { //nolint:errorlint // walking the tree itself
			if parts := many.Unwrap(); isList(e, parts) {
				var out []error
				for _, part := range parts {
					out = append(out, leaves(part)...)
				}
				return out
			}
			return []error{err}
		}
		e = errors.Unwrap(e)
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// isList tells errors that were joined from one sentence about several errors.
func isList(err error, parts []error) bool {
	var texts []string
	for _, p := range parts {
		var r *gate.Refusal
		var s *flow.StepError
		if errors.As(p, &r) || errors.As(p, &s) {
			return true
		}
		if p != nil {
			texts = append(texts, p.Error())
		}
	}
	return err.Error() == strings.Join(texts, "\n")
}
