// Package vuln says which known vulnerabilities concern what is about to be released, and whether that is allowed.
//
// # Promises
//
// It reads what is there (Go programs, SPDX and CycloneDX documents, go.mod, or a stage with all of them), asks one
// database, and gives one finding for each vulnerability of a package, with its aliases, its severity and the versions that
// fix it. For Go programs a finding says how far the vulnerable code reaches: called (a vulnerable symbol is in the
// program), imported (its package is, the symbol is not), required (neither is). Where that cannot be said it is
// unknown, and a policy takes unknown for called. What could not be checked is in Notes.
//
// The same bytes and the same database give the same report. Symbols of programs are read by a process of their own (see
// Options.Symbols), so that a program made to break the reader costs an answer and not the run.
//
// # Refusals
//
// vuln-db-stale (a database older than allowed, or of the future), vulnerability-found (what the policy does not let
// through and nobody has decided about), vuln-input-invalid and vuln-input-too-large (a document that cannot be read), and
// those of package osv.
//
// # What it does not do
//
// It does not fetch databases, and it does not decide: exceptions are given by people, as package vex reads them.
package vuln

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/osv"
)

// Reach is how far vulnerable code reaches into a program.
type Reach string

// Reaches, the nearest first.
const (
	Called   Reach = "called"
	Imported Reach = "imported"
	Required Reach = "required"
	Unknown  Reach = "unknown"
)

// Target is one thing that is looked at.
type Target struct {
	Name     string        `json:"name"`
	SHA256   string        `json:"sha256,omitempty"`
	Packages []osv.Package `json:"-"`
	Notes    []string      `json:"-"`

	without, elsewhere int // packages without a package URL, and of kinds that OSV has no ecosystem for

	program string          // path of a Go program, whose symbols can be read
	main    string          // path of the module that the program is of
	goos    string          // what the program was built for; "" when it does not say
	goarch  string          //
	hashes  map[string]bool // digests of what a document describes; true for what it says to consist of something
	holders *holders        // what is in what, by a document
}

// Finding is a vulnerability of a package.
type Finding struct {
	ID        string      `json:"id"`
	Aliases   []string    `json:"aliases,omitempty"`
	Package   osv.Package `json:"package"`
	Component string      `json:"component,omitempty"` // package URL by which a decision names the package, in any version
	Summary   string      `json:"summary,omitempty"`
	Severity  Severity    `json:"severity"`
	Fixed     []string    `json:"fixed,omitempty"`
	Reach     Reach       `json:"reach"`
	Symbols   []string    `json:"symbols,omitempty"`   // vulnerable symbols in the programs, at most 10
	Undecided string      `json:"undecided,omitempty"` // why it is not sure that the version is affected
	Where     []string    `json:"where"`               // names of targets
	Decision  *Decision   `json:"decision,omitempty"`  // of a person
	Offends   bool        `json:"offends"`             // the policy does not let it through

	names [][]string // of each of its records: ids under which one may decide about it
}

// Decision is what somebody has said about a finding.
type Decision struct {
	Status        string    `json:"status"` // OpenVEX: not_affected, affected, fixed, under_investigation
	Justification string    `json:"justification,omitempty"`
	Text          string    `json:"text,omitempty"` // impact or action statement
	By            string    `json:"by,omitempty"`   // identity whose key signed it; "" when nobody did
	Expires       time.Time `json:"expires,omitzero"`
	Document      string    `json:"document"`
}

// Settles reports whether a finding that is decided so needs no more: it is none, it is fixed, or there is a plan.
func (d Decision) Settles() bool {
	return d.Status == "not_affected" || d.Status == "fixed" || d.Status == "affected" && strings.TrimSpace(d.Text) != ""
}

// Triage gives what people have decided.
type Triage interface {
	// Decide gives the decision about a vulnerability, under any of its ids, of a package in something that these SHA-256
	// are of.
	Decide(ids []string, p osv.Package, digests []string) (Decision, bool)
}

// Options say what is checked against, and what is let through.
type Options struct {
	Database osv.Source
	AsOf     time.Duration // 0 lets a database of any age through
	Now      time.Time
	Fail     Threshold
	Triage   Triage // may be nil
	// Symbols reads a program's symbols, as WriteSymbols writes them. Programs may be hostile, and the reader of symbols was not
	// written for those: it is to run in a process of its own. nil takes what every program calls for unknown.
	Symbols func(ctx context.Context, program string) ([]byte, error)
}

// Report is what came of it.
type Report struct {
	Database Database  `json:"database"`
	Targets  []Target  `json:"targets"`
	Packages int       `json:"packages"`
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes,omitempty"`
	Fail     Threshold `json:"fail"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
}

// Database says what was asked.
type Database struct {
	URI        string    `json:"uri"`
	LastUpdate time.Time `json:"lastUpdate"`
	Records    int       `json:"records"`
	Ecosystems []string  `json:"ecosystems,omitempty"`
}

// Check looks the targets' packages up. The report is given with vulnerability-found too; Report.Err makes that error.
func Check(ctx context.Context, targets []Target, o Options) (*Report, error) {
	r := &Report{Targets: targets, Fail: o.Fail, Started: o.Now.UTC(), Findings: []Finding{}}
	packages, where := distinct(targets)
	r.Packages = len(packages)
	found, err := o.Database.Find(ctx, packages)
	if err != nil {
		return nil, err
	}
	if o.AsOf > 0 {
		if err := found.TooOld(o.Now, o.AsOf); err != nil {
			return nil, err
		}
		r.Notes = append(r.Notes, found.Quiet(o.Now, o.AsOf)...)
	}
	r.Database = Database{URI: found.URI, LastUpdate: found.Newest.UTC(), Records: found.Total, Ecosystems: found.Covered}
	r.Notes = append(r.Notes, found.Notes...)
	for _, t := range targets {
		r.Notes = append(r.Notes, t.Notes...)
	}
	r.unchecked("have no package URL", targets, func(t Target) int { return t.without })
	r.unchecked("are of kinds that OSV has no ecosystem for", targets, func(t Target) int { return t.elsewhere })
	raw := matches(packages, where, found.Records, o.Now)
	if err := reach(ctx, targets, raw, r, o.Symbols); err != nil {
		return nil, err
	}
	r.Findings = append(r.Findings, merge(raw)...)
	for i := range r.Findings {
		r.decide(&r.Findings[i], o)
	}
	slices.SortFunc(r.Findings, byWeight)
	slices.Sort(r.Notes)
	r.Notes = slices.Compact(r.Notes)
	r.Finished = r.Started
	return r, nil
}

// unchecked notes how many packages of documents could not be looked up, and in which documents.
func (r *Report) unchecked(why string, targets []Target, count func(Target) int) {
	sum, more := 0, 0
	var in []string
	for _, t := range targets {
		n := count(t)
		sum += n
		switch {
		case n == 0:
		case len(in) < 3:
			in = append(in, t.Name)
		default:
			more++
		}
	}
	if sum == 0 {
		return
	}
	if more > 0 {
		in = append(in, fmt.Sprintf("%d more", more))
	}
	r.Notes = append(r.Notes, fmt.Sprintf("not checked, because they %s: %d packages of %s", why, sum, strings.Join(in, ", ")))
}
