package cli

import (
	"cmp"
	"errors"
	"io"
	"strings"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/ui"
)

// failure is what --output json prints when there is no result. Fields are added, never removed or renamed.
type failure struct {
	Exit   int     `json:"exit"`
	Errors []fault `json:"errors"`
	Resume string  `json:"resume,omitempty"` // the command line that goes on
}

// fault is one error. Code is "" for an error that is no gate's.
type fault struct {
	Code     string `json:"code"`
	What     string `json:"what"`
	Where    string `json:"where,omitempty"`
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
	Fix      string `json:"fix,omitempty"`
	Cause    string `json:"cause,omitempty"`
	Step     string `json:"step,omitempty"`
	Log      string `json:"log,omitempty"` // path of the step's log
}

// report prints an error the way a person can use it.
func (a *app) report(err error) {
	a.redacted(a.streams.Err, func(w io.Writer) { ui.Refusal(w, err, ui.RefusalOptions{Resume: a.resume}) })
}

// reportJSON prints an error for programs, in place of the result.
func (a *app) reportJSON(err error, exit int) {
	out := failure{Exit: exit}
	if exit == exitFailed || exit == exitWaiting || exit == exitInterrupted {
		out.Resume = a.resume
	}
	for _, e := range ui.Errors(err) {
		f := fault{What: e.Error()}
		var step *flow.StepError
		if errors.As(e, &step) {
			f.Step, f.Log, f.What = step.Step, step.Log, step.Err.Error()
		}
		var r *gate.Refusal
		if errors.As(e, &r) {
			f.Code, f.What, f.Where, f.Expected, f.Actual, f.Fix = r.Code, r.What, r.Where, r.Expected, r.Actual, cmp.Or(r.Fix, gate.FixOf(r.Code))
			if r.Cause != nil {
				f.Cause = r.Cause.Error()
			}
		}
		out.Errors = append(out.Errors, f)
	}
	a.redacted(a.streams.Out, func(w io.Writer) { _ = encode(w, out) }) // there is nowhere to say that it failed
}

// asksForJSON looks for --output json in a command line that could not be read to its end.
func asksForJSON(args []string) bool {
	for i, arg := range args {
		switch {
		case arg == "--":
			return false
		case arg == "--output" && i+1 < len(args):
			return args[i+1] == "json"
		case strings.HasPrefix(arg, "--output="):
			return arg == "--output=json"
		}
	}
	return false
}
