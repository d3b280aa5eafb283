package vuln

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/osv"
)

// decide adds what people said, and whether the policy lets the finding through. A finding is decided when each of its records
// is, in each of the places where it was found; the decision that settles least is the one that is shown.
func (r *Report) decide(f *Finding, o Options) {
	if o.Triage != nil {
		d, open := r.decision(*f, o.Triage)
		if open == "" {
			f.Decision = d
		} else if d != nil {
			r.Notes = append(r.Notes, fmt.Sprintf("%s decides about %s in part, which settles nothing: not about %s", d.Document, f.ID, open))
		}
	}
	f.Offends = (f.Decision == nil || !f.Decision.Settles()) && o.Fail.refuses(*f)
}

// decision gives the decision that settles least, and what nobody has decided about.
func (r *Report) decision(f Finding, triage Triage) (least *Decision, open string) {
	for _, t := range r.Targets {
		if !slices.Contains(f.Where, t.Name) {
			continue
		}
		for _, names := range f.names {
			d, ok := t.decided(names, f.Package, triage)
			switch {
			case !ok && open == "":
				open = strings.Join(names, ", ") + " in " + t.Name
			case ok && (least == nil || least.Settles() && !d.Settles()):
				least = &d
			}
		}
	}
	return least, open
}

// decided gives the decision about a package in one target: about the target itself, or about each thing that a document says
// to hold the package.
func (t Target) decided(names []string, p osv.Package, triage Triage) (Decision, bool) {
	if d, ok := triage.Decide(names, p, t.subject()); ok || t.holders == nil {
		return d, ok
	}
	held := t.holding(p)
	if held.loose || held.sources {
		return Decision{}, false
	}
	var least Decision
	for i, sum := range slices.Sorted(maps.Keys(held.digests)) {
		d, ok := triage.Decide(names, p, []string{sum})
		if !ok {
			return Decision{}, false
		}
		if i == 0 || least.Settles() && !d.Settles() {
			least = d
		}
	}
	return least, true
}

// subject gives the digests that the target is known by: its own, and that of the one thing that a document is about.
func (t Target) subject() (digests []string) {
	if t.SHA256 != "" {
		digests = append(digests, t.SHA256)
	}
	if t.holders != nil && len(t.holders.roots) == 1 && t.holders.artifact[t.holders.roots[0]] != "" {
		digests = append(digests, t.holders.artifact[t.holders.roots[0]])
	}
	return digests
}
