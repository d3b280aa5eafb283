package verify

import (
	"errors"
	"fmt"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Verdicts of a report.
const (
	Accepted = "accepted"
	Refused  = "refused"
)

// Statuses of a check.
const (
	Pass   = "pass"
	Fail   = "fail"
	Warned = "warn" // it does not hold, and the policy asks for no more than a warning
	Skip   = "skip" // could not be decided: an earlier check failed, there was nothing to check, or it was asked to be left out
)

// Scopes say how much a verdict speaks of.
const (
	ScopeFile           = "file"             // one file and its provenance; no stage or release was found around it
	ScopeFileInRelease  = "file-in-release"  // one file, its provenance, and the stage or release that lists it
	ScopeImage          = "image"            // one image and its provenance; no release statement is attached
	ScopeImageInRelease = "image-in-release" // one image, its provenance, and the release statement that names it
	ScopeStage          = "stage"            // a whole stage
	ScopeRelease        = "release"          // a whole release
	ScopeBundle         = "bundle"           // one file and one bundle of anyone's, by a signer that was asked for; no trust file
	ScopeSummary        = "summary"          // one file and a verification summary of a verifier that a policy or the trust file trusts
	ScopeProvenance     = "provenance"       // one file and provenance of anyone's, judged by a policy
)

// Report is what a verification found. Its JSON is a stable contract: fields are added, never removed.
type Report struct {
	Artifact string  `json:"artifact"` // what was verified: a path or a URL
	Verdict  string  `json:"verdict"`  // Accepted or Refused
	Scope    string  `json:"scope"`    // how much the verdict speaks of: ScopeFile, …
	Checks   []Check `json:"checks"`   // in the order in which they were made
	// Levels are what the trust file grants to the verified builder, by track: "build": "SLSA_BUILD_LEVEL_3".
	// It is empty when the builder was not verified. A signature can be valid and the level low: they are told apart.
	Levels   map[string]string `json:"levels"`
	Builder  string            `json:"builder"`           // builder.id of the verified provenance
	Source   string            `json:"source"`            // URI@digest of the verified provenance
	Signer   string            `json:"signer,omitempty"`  // of a bundle: key id, or "SUBJECT by ISSUER"
	Project  string            `json:"project,omitempty"` // of stage.json, where there is one
	Version  string            `json:"version,omitempty"` // of stage.json, where there is one
	Stage    string            `json:"stage,omitempty"`   // stage digest, sha256:…
	SignOffs []SignOff         `json:"signOffs"`          // all that were found, with those that do not count
	Files    int               `json:"files"`             // how many files were read and hashed

	// Subjects are what the verdict is about, by digest, and Evidence the attestations that it rests on; for who issues a
	// verification summary of it. They are not in the JSON.
	Subjects []Named  `json:"-"`
	Evidence []Named  `json:"-"`
	Stated   []string `json:"-"` // levels that a policy asked a summary for, and that it states

	refusals []*gate.Refusal
}

// Named is something at a digest.
type Named struct {
	Name   string // of a file: slash-separated, in the release or as it was given; of an image: as Artifact
	Digest Digests
}

// Check is one thing that was checked. ID is stable: the code of the refusal that it would lead to.
type Check struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Subject  string `json:"subject,omitempty"` // artifact, or how many
	What     string `json:"what,omitempty"`    // one sentence, when it failed or was skipped
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
	Where    string `json:"where,omitempty"` // file
	Fix      string `json:"fix,omitempty"`
}

// SignOff is a sign-off that was found. Only those that count speak for the release.
type SignOff struct {
	Name     string     `json:"name"` // file name without its ending
	Identity string     `json:"identity,omitempty"`
	KeyID    string     `json:"keyId,omitempty"`
	Counted  bool       `json:"counted"`
	Rebuilt  bool       `json:"rebuilt"` // the manager rebuilt the stage and got the same digest
	Time     *time.Time `json:"time,omitempty"`
	Code     string     `json:"code,omitempty"`   // why it does not count
	Reason   string     `json:"reason,omitempty"` // why it does not count
}

// Err is nil when the verdict is Accepted, and otherwise the first failed check as an error. Sign-offs that
// are still missing come last: everything else is a worse reason.
func (r *Report) Err() error {
	var waiting error
	for _, f := range r.refusals {
		if f.Class != gate.Waiting {
			return f
		}
		if waiting == nil {
			waiting = f
		}
	}
	return waiting
}

// step is one check of a chain. do sets what was expected and found, and gives an error when the check fails.
type step struct {
	id string
	do func(c *Check) error
}

// findings collects checks in order, with the refusals behind those that failed.
type findings struct {
	checks   []Check
	refusals []*gate.Refusal
}

// chain makes checks in order. After the first that fails, the rest cannot be decided and is skipped.
func (f *findings) chain(base Check, steps ...step) bool {
	for i, s := range steps {
		c := base
		c.ID, c.Status = s.id, Pass
		if err := s.do(&c); err != nil {
			f.fail(c, err)
			for _, rest := range steps[i+1:] {
				f.checks = append(f.checks, Check{ID: rest.id, Status: Skip, Subject: base.Subject, What: "not decided, because an earlier check failed"})
			}
			return false
		}
		f.checks = append(f.checks, c)
	}
	return true
}

// fail records a failed check under its refusal's code.
func (f *findings) fail(c Check, err error) {
	var r *gate.Refusal
	if !errors.As(err, &r) {
		r = &gate.Refusal{Code: c.ID, Class: gate.Failed, What: err.Error()}
	}
	own := *r
	if own.Where == "" {
		own.Where = c.Where
	}
	c.ID, c.Status, c.What, c.Where, c.Fix = own.Code, Fail, own.What, own.Where, own.Fix
	if own.Cause != nil {
		c.What = fmt.Sprintf("%s: %v", own.What, own.Cause)
	}
	if own.Expected != "" || own.Actual != "" {
		c.Expected, c.Actual = own.Expected, own.Actual
	}
	f.checks = append(f.checks, c)
	f.refusals = append(f.refusals, &own)
}

func (f *findings) skip(id, subject, why string) {
	f.checks = append(f.checks, Check{ID: id, Status: Skip, Subject: subject, What: why})
}

// fold adds the findings about many subjects: each failure by itself, and what passed once with how many passed.
func (f *findings) fold(each []findings, noun string) {
	passed, first, order := map[string]int{}, map[string]Check{}, []string{}
	for _, one := range each {
		for _, c := range one.checks {
			if c.Status != Pass {
				continue
			}
			if passed[c.ID]++; passed[c.ID] == 1 {
				order, first[c.ID] = append(order, c.ID), c
			}
		}
	}
	for _, id := range order {
		c := first[id]
		if n := passed[id]; n > 1 {
			c = Check{ID: id, Status: Pass, Subject: fmt.Sprintf("%d %s", n, noun)}
		}
		f.checks = append(f.checks, c)
	}
	for _, one := range each {
		for _, c := range one.checks {
			if c.Status == Fail {
				f.checks = append(f.checks, c)
			}
		}
		f.refusals = append(f.refusals, one.refusals...)
	}
}

// into gives the verdict: accepted if nothing failed.
func (f *findings) into(r *Report) *Report {
	r.Checks, r.refusals, r.Verdict = distinct(f.checks), f.refusals, Accepted
	if len(f.refusals) > 0 {
		r.Verdict = Refused
	}
	if r.Levels == nil {
		r.Levels = map[string]string{}
	}
	if r.SignOffs == nil {
		r.SignOffs = []SignOff{}
	}
	return r
}

// distinct drops failures that another check has found already.
func distinct(checks []Check) []Check {
	seen, out := map[[2]string]bool{}, []Check{}
	for _, c := range checks {
		key := [2]string{c.ID, c.Subject}
		if c.Status == Fail && seen[key] {
			continue
		}
		seen[key] = seen[key] || c.Status == Fail
		out = append(out, c)
	}
	return out
}

// about notes what the verdict is about.
func (r *Report) about(name, sha256 string) {
	r.Subjects = append(r.Subjects, Named{Name: name, Digest: Digests{"sha256": sha256}})
}

// by notes an attestation that the verdict rests on.
func (r *Report) by(name, sha256 string) {
	r.Evidence = append(r.Evidence, Named{Name: name, Digest: Digests{"sha256": sha256}})
}
