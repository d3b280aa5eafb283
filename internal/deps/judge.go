package deps

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/license"
	"github.com/sello-release/sello/internal/sbom/query"
)

// Finding is one thing that a policy refuses about one dependency.
type Finding struct {
	Code     string     `json:"code"`
	Name     string     `json:"name"`
	Version  string     `json:"version,omitempty"`
	Why      []string   `json:"why,omitempty"` // who brings it in, name@version, direct one first; none for a direct one
	What     string     `json:"what"`
	Expected string     `json:"expected"`
	Until    *time.Time `json:"until,omitempty"` // of a quarantine: when it is over
}

// Scope says what a judgement is based on.
type Scope struct {
	Where   string    // the policy, as path at a commit
	Now     time.Time // of the judgement
	Partial bool      // there is no build's record: ages and checksums that nobody knows are notes
}

// Report is a judgement.
type Report struct {
	Policies []string  `json:"policies"`
	Judged   int       `json:"judged"`
	Direct   int       `json:"direct"`
	Findings []Finding `json:"findings"`
	Lifted   []Lifted  `json:"lifted,omitempty"` // what approvals let through
	Notes    []string  `json:"notes,omitempty"`

	documents map[string]bool
}

// Lifted is something that the policy would refuse, and that release managers approved.
type Lifted struct {
	Code    string   `json:"code"`
	Name    string   `json:"name"`
	Version string   `json:"version,omitempty"`
	By      []string `json:"by"`
}

// NewReport begins a judgement of a set.
func NewReport(s *Set) *Report {
	r := &Report{Policies: []string{}, Judged: len(s.All), Findings: []Finding{}, Notes: slices.Clone(s.Notes), documents: map[string]bool{}}
	for _, d := range s.All {
		if d.Direct {
			r.Direct++
		}
	}
	return r
}

// Judge adds what a policy refuses of a set and no approval lets through. Several policies may be asked for one report.
func (r *Report) Judge(p *Policy, s *Set, approved *Approved, scope Scope) {
	r.Policies = append(r.Policies, scope.Where)
	j := judge{report: r, policy: p, approved: approved, scope: scope}
	for _, d := range s.All {
		j.one(d)
	}
	for _, n := range []struct {
		count int
		what  string
	}{{j.ageless, "versions without a known age here; quarantine is judged when a stage is"}, {j.unseen, "versions that nobody was asked about here; sources.unchecked is judged when a stage is"}} {
		if text := fmt.Sprintf("%d × %s", n.count, n.what); n.count > 0 && !slices.Contains(r.Notes, text) {
			r.Notes = append(r.Notes, text)
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Code), slices.Index(order, b.Code)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
}

// order of the codes in a report: what will never do before what approvals and time can mend.
var order = []string{codeModuleDenied, codeModule, codeSource, codeReplaced, codeUnchecked, codeLicenseDenied, codeLicense, codeLicenseUnknown, codeNotApproved, codeAgeUnknown, codeQuarantine}

// Codes of what a policy refuses.
const (
	codeModuleDenied   = "deps-module-denied"
	codeModule         = "deps-module-not-allowed"
	codeSource         = "deps-source-not-allowed"
	codeReplaced       = "deps-replaced"
	codeUnchecked      = "deps-unchecked"
	codeLicenseDenied  = "deps-license-denied"
	codeLicense        = "deps-license-not-allowed"
	codeLicenseUnknown = "deps-license-unknown"
	codeNotApproved    = "deps-not-approved"
	codeAgeUnknown     = "deps-age-unknown"
	codeQuarantine     = "deps-quarantine"
)

// lifts says which word of an approval lets which code through.
var lifts = map[string]string{
	codeModuleDenied: ForModule, codeModule: ForModule, codeSource: ForSource, codeReplaced: ForSource, codeUnchecked: ForSource,
	codeLicenseDenied: ForLicense, codeLicense: ForLicense, codeLicenseUnknown: ForLicense, codeNotApproved: ForDirect, codeAgeUnknown: ForAge, codeQuarantine: ForAge,
}

type judge struct {
	report   *Report
	policy   *Policy
	approved *Approved
	scope    Scope

	ageless, unseen int
}

// refuse adds a finding, unless enough managers approved it.
func (j *judge) refuse(d *Dependency, f Finding) {
	need, among := j.policy.managers()
	who := j.approved.by(d, lifts[f.Code], among)
	if len(who) >= need {
		l := Lifted{Code: f.Code, Name: d.Name, Version: d.Version}
		for _, a := range who {
			l.By = append(l.By, a.by)
			j.report.documents[a.document] = true
		}
		if !slices.ContainsFunc(j.report.Lifted, func(o Lifted) bool { return o.Code == l.Code && o.Name == l.Name && o.Version == l.Version }) {
			j.report.Lifted = append(j.report.Lifted, l)
		}
		return
	}
	f.Name, f.Version, f.Why = d.Name, d.Version, d.Via
	if len(who) > 0 {
		f.What += fmt.Sprintf("; approved by %d of %d", len(who), need)
	}
	if slices.ContainsFunc(j.report.Findings, func(o Finding) bool {
		return o.Code == f.Code && o.Name == f.Name && o.Version == f.Version && o.What == f.What
	}) {
		return
	}
	j.report.Findings = append(j.report.Findings, f)
}

func (j *judge) one(d *Dependency) {
	j.module(d)
	j.source(d)
	j.license(d)
	if a := j.policy.Approvals; a != nil && a.Direct && d.Direct && d.Linked && !matchesAny(a.Except, d.Name) {
		j.refuse(d, Finding{Code: codeNotApproved, What: "a direct dependency", Expected: "approved by " + j.policy.managersText()})
	}
	j.age(d)
}

func (j *judge) module(d *Dependency) {
	m := j.policy.Modules
	if m == nil {
		return
	}
	for _, name := range d.names() {
		for _, denied := range m.Deny {
			if matches(denied.Module, name) && inRange(denied.Versions, d.Version) {
				j.refuse(d, Finding{Code: codeModuleDenied, What: "the policy denies it: " + denied.Reason, Expected: "not " + strings.TrimSpace(denied.Module+" "+denied.Versions)})
			}
		}
	}
	if len(m.Allow) > 0 && !matchesAny(m.Allow, d.Name) {
		j.refuse(d, Finding{Code: codeModule, What: "the policy does not allow it", Expected: "one of modules.allow"})
	}
}

// names are what a dependency is known by: its own, and what it stands in for.
func (d *Dependency) names() []string {
	out := []string{d.Name}
	if name, _, _ := strings.Cut(d.Replaces, "@"); name != "" && name != d.Name {
		out = append(out, name)
	}
	return out
}

func (j *judge) source(d *Dependency) {
	s := j.policy.Sources
	if s == nil {
		return
	}
	if len(s.Allow) > 0 && d.Local == "" && !slices.ContainsFunc(s.Allow, func(prefix string) bool { return d.Name == prefix || strings.HasPrefix(d.Name, prefix+"/") }) {
		j.refuse(d, Finding{Code: codeSource, What: "it comes from where the policy allows none", Expected: "one of sources.allow"})
	}
	if by := cmp.Or(d.Local, d.Name); d.Replaces != "" && !matchesAny(s.Replacements, by) {
		j.refuse(d, Finding{Code: codeReplaced, What: by + " stands in for " + d.Replaces, Expected: "no replace line of go.mod, or " + by + " among sources.replacements"})
	}
	if !strings.HasPrefix(d.Name, "pkg:") && d.Local == "" && !matchesAny(s.Unchecked, d.Name) {
		switch {
		case d.Observed && d.Unvouched != "":
			j.refuse(d, Finding{Code: codeUnchecked, What: "the checksum database does not vouch for it: " + d.Unvouched, Expected: "verified by the checksum database, or among sources.unchecked"})
		case !d.Observed && j.scope.Partial:
			j.unseen++
		case !d.Observed:
			j.refuse(d, Finding{Code: codeUnchecked, What: "it is in a program, and no build's record says where it comes from", Expected: "a module that Sello fetched, or one among sources.unchecked"})
		}
	}
}

func (j *judge) license(d *Dependency) {
	l := j.policy.Licenses
	if l == nil || !d.Linked {
		return
	}
	denied := func(id, exception string) bool {
		named := exception != "" && slices.Contains(l.Allow, id+" WITH "+exception)
		return !named && anyLicense(l.Deny, id, exception)
	}
	allowed := func(id, exception string) bool { return len(l.Allow) == 0 || anyLicense(l.Allow, id, exception) }
	takes, valid := license.Satisfied(d.License, func(id, exception string) bool { return !denied(id, exception) && allowed(id, exception) })
	switch {
	case takes:
	case !valid:
		if l.Unknown != Allow {
			j.refuse(d, Finding{Code: codeLicenseUnknown, What: strings.TrimSpace("its licence is not known " + d.License), Expected: "a licence that could be told, or licenses.unknown: allow"})
		}
	default:
		if undenied, _ := license.Satisfied(d.License, func(id, exception string) bool { return !denied(id, exception) }); !undenied {
			j.refuse(d, Finding{Code: codeLicenseDenied, What: "it stands under " + d.License, Expected: "none of " + few(l.Deny)})
			return
		}
		j.refuse(d, Finding{Code: codeLicense, What: "it stands under " + d.License, Expected: "one of " + few(l.Allow)})
	}
}

func (j *judge) age(d *Dependency) {
	q := j.policy.Quarantine
	if q == nil || d.Local != "" || matchesAny(q.Except, d.Name) {
		return
	}
	least, err := time.ParseDuration(q.MinAge)
	if err != nil { // ParsePolicy took it
		panic(err)
	}
	switch until := d.Published.Add(least); {
	case d.Published.IsZero() && j.scope.Partial:
		j.ageless++
	case d.Published.IsZero():
		j.refuse(d, Finding{Code: codeAgeUnknown, What: "nobody says when this version was made", Expected: "a time in the build's record"})
	case until.After(j.scope.Now):
		j.refuse(d, Finding{Code: codeQuarantine, What: "this version is of " + d.Published.UTC().Format(time.RFC3339), Expected: "at least " + q.MinAge + " old, from " + until.UTC().Format(time.RFC3339) + " on", Until: &until})
	}
}

// Documents are the paths of the approvals that the judgement rests on, sorted.
func (r *Report) Documents() []string {
	var out []string
	for name := range r.documents {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Err refuses what was found, a code each, or is nil. where names what was judged. A quarantine alone makes waiting; it is
// last, so that what will never do is what a caller sees.
func (r *Report) Err(where string) error {
	var errs []error
	for _, code := range order {
		var found []string
		what, expected, first := "", "", ""
		for _, f := range r.Findings {
			if f.Code != code {
				continue
			}
			text := strings.TrimSuffix(f.Name+"@"+f.Version, "@") + " (" + f.What
			if len(f.Why) > 0 {
				text += "; through " + strings.Join(f.Why, " > ")
			}
			found, expected, first = append(found, text+")"), f.Expected, cmp.Or(first, strings.TrimSuffix(f.Name+"@"+f.Version, "@"))
		}
		if len(found) == 0 {
			continue
		}
		what = said[code].what
		if len(found) > 1 && (code == codeModuleDenied || code == codeReplaced || code == codeQuarantine) {
			expected = "none"
		}
		class := gate.Refused
		if code == codeQuarantine {
			class = gate.Waiting
		}
		errs = append(errs, &gate.Refusal{Code: code, Class: class, Where: where, What: what, Expected: expected, Actual: few(found),
			Fix: said[code].fix + "; or have a release manager approve it: sello deps approve " + first + " --for " + lifts[code] + " --reason TEXT"})
	}
	return errors.Join(errs...)
}

// said is what each code means, and what mends it besides an approval.
var said = map[string]struct{ what, fix string }{
	codeModuleDenied:   {"a dependency is denied", "use another version, or none"},
	codeModule:         {"a dependency is not among those that are allowed", "use another one"},
	codeSource:         {"a dependency comes from where the policy allows none", "use another one"},
	codeReplaced:       {"a dependency stands in for another", "remove the replace line of go.mod"},
	codeUnchecked:      {"nobody vouches for a dependency", "let the checksum database vouch for it (GOPRIVATE and GONOSUMDB exempt it)"},
	codeLicenseDenied:  {"a dependency stands under a licence that is denied", "use another one"},
	codeLicense:        {"a dependency stands under a licence that is not allowed", "use another one"},
	codeLicenseUnknown: {"a dependency's licence is not known", "ask its makers for a licence"},
	codeNotApproved:    {"a direct dependency is not approved", "use another one"},
	codeAgeUnknown:     {"nobody says how old a dependency is", "stage the release again with the network on"},
	codeQuarantine:     {"a version is too young", "wait"},
}

func few(all []string) string {
	if len(all) > 5 {
		return strings.Join(all[:5], ", ") + fmt.Sprintf(" and %d more", len(all)-5)
	}
	return strings.Join(all, ", ")
}

// matches compares a name with a pattern in which * stands for anything.
func matches(pattern, name string) bool { return query.Wild(pattern, name) }

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// inRange holds for every version when no range is given. A version that is not known is in every range.
func inRange(versions, version string) bool {
	holds, err := query.Range(versions)
	return versions == "" || version == "" || err == nil && holds(version)
}

// anyLicense compares a licence in all its spellings with entries of a policy. An entry without an exception stands for the
// licence with any.
func anyLicense(entries []string, id, exception string) bool {
	return slices.ContainsFunc(license.Spellings(id), func(id string) bool {
		return slices.ContainsFunc(entries, func(entry string) bool {
			return matchesLicense(entry, id) || exception != "" && matchesLicense(entry, id+" WITH "+exception)
		})
	})
}

func matchesLicense(entry, id string) bool {
	return query.Wild(strings.ToLower(entry), strings.ToLower(id))
}
