package cli

import (
	"fmt"
	"strings"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/ui"
)

// maxShown bounds how many inputs are told one by one.
const maxShown = 8

// inputs tells how the inputs of a build were judged, with what was let through, and what changed in the rules.
func (a *app) inputs(r *release.Inputs) {
	if r == nil {
		return
	}
	warned := r.Warned()
	if len(r.Policies) > 0 {
		a.printf("  inputs: %d accepted, %d let through with a warning, %d without a rule, by %s\n", accepted(r), len(warned), r.Free, ui.Escape(strings.Join(r.Policies, " and by ")))
	} else {
		a.printf("  inputs: no rule asks for anything\n")
	}
	shown := 0
	for _, j := range r.Judged {
		if !j.Accepted || shown == maxShown {
			continue
		}
		shown++
		by := j.Builder
		if by == "" {
			by = "a verification summary by " + j.Signer
		}
		a.printf("    %s@%s: SLSA_BUILD_LEVEL_%d by %s\n", ui.Escape(j.Name), j.Digest, j.Level, ui.Escape(by))
	}
	for i, j := range warned {
		if i == maxShown {
			a.printf("    warning: %d more (--output json lists them)\n", len(warned)-i)
			break
		}
		a.printf("    warning: %s: %s [%s]\n", ui.Escape(j.Name), ui.Escape(j.Reason), j.Code)
	}
	if len(r.Later) > 0 {
		a.printf("    judged when they are fetched: %s\n", ui.Escape(strings.Join(r.Later, ", ")))
	}
	if len(r.Changes) > 0 {
		a.printf("    the rules changed since %s:\n", r.Since)
		for _, line := range r.Changes {
			a.printf("      %s\n", ui.Escape(line))
		}
	}
}

func accepted(r *release.Inputs) int {
	n := 0
	for _, j := range r.Judged {
		if j.Accepted {
			n++
		}
	}
	return n
}

// showEvidence tells what was written below inputs/.
func (a *app) showEvidence(found []release.Evidenced) {
	for _, e := range found {
		switch {
		case e.Path == "":
			a.printf("nothing that a policy could judge is attached to %s\n", e.Image)
		case e.New == 0:
			a.printf("%s has all %d attestations of %s\n", e.Path, e.Found, e.Image)
		default:
			a.printf("%s: %d of %d attestations of %s are new; have them reviewed, and commit the file\n", e.Path, e.New, e.Found, e.Image)
		}
		for _, why := range e.Unusable {
			a.printf("  cannot be used: %s\n", ui.Escape(why))
		}
	}
	if len(found) == 0 {
		a.printf("no rule in policy.inputs is about an image that sello.yaml names\n")
	}
}

// notes prints what a quick verb remarks.
type notes struct{ a *app }

// Event implements flow.Sink.
func (n notes) Event(e flow.Event) {
	if e.Kind == flow.Note {
		fmt.Fprintf(n.a.streams.Err, "note: %s\n", ui.Escape(e.Text))
	}
}
