// Package signoff decides whether enough release managers have signed a stage off.
//
// A sign-off is a signed statement over a stage digest. It counts when its signature is of
// a key that the trust file gives to somebody with the role manager, and it speaks of this very stage,
// project and version, was made under the trust file in force, and has not expired.
// An identity counts once, however many sign-offs it made. Everything else counts nothing and
// is listed by name with the reason; it never makes a good sign-off bad.
// Thresholds come from the trust file; a policy can raise them and never lower them.
// The package does no I/O: promotion's gate and verification hand it the files they read.
package signoff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// Policy is what sign-offs are judged by.
type Policy struct {
	Stage       string // stage digest, sha256:…
	Project     string
	Version     string
	ReleaseFile string // SHA-256 that the reviewed release file must have; "" when it is not known
	Trust       *trust.Trust
	Now         time.Time
	Managers    int // sign-offs by distinct managers; the trust file's threshold holds if it is higher
	Rebuilt     int // how many of them rebuilt the stage themselves
	// Released says that a verified release statement lists these sign-offs: promotion's gate
	// counted them then. They are judged as of the time of the last of them, so that an old release still
	// verifies; keys and roles are still those of the trust file given here.
	Released bool
}

// SignOff is a sign-off that counted.
type SignOff struct {
	Name        string // as in the bundles that were given
	Identity    string // in the trust file, by key
	KeyID       string
	Rebuilt     bool
	Time        time.Time
	Expires     time.Time
	Environment string
	Comment     string
}

// Refused is a sign-off that did not count, and why.
type Refused struct {
	Name     string // as in the bundles that were given
	Identity string // in the trust file, by key; "" for an unknown key
	Code     string
	Reason   string
}

// Evaluation is the answer.
type Evaluation struct {
	Counted       []SignOff // one an identity, by identity
	Refused       []Refused // by name
	Needed        int
	NeededRebuilt int
	Rebuilt       int      // of Counted
	Asked         []string // managers whose sign-off would bring it further, in the trust file's order
}

// OK reports whether the sign-offs are enough.
func (e Evaluation) OK() bool { return len(e.Counted) >= e.Needed && e.Rebuilt >= e.NeededRebuilt }

// Names gives the identities that counted, sorted.
func (e Evaluation) Names() []string {
	var names []string
	for _, s := range e.Counted {
		names = append(names, s.Identity)
	}
	return names
}

// Err is nil when the sign-offs are enough, and otherwise a refusal of class Waiting
// with code sign-off-missing that names who counted, who did not, and who is asked. fix is what a manager has to run.
func (e Evaluation) Err(fix string) error {
	if e.OK() {
		return nil
	}
	actual := fmt.Sprintf("%d (%s)", len(e.Counted), cmp.Or(strings.Join(e.Names(), ", "), "nobody"))
	expected := fmt.Sprintf("%d release managers", e.Needed)
	if e.NeededRebuilt > 0 {
		expected += fmt.Sprintf(", %d of them with their own rebuild", e.NeededRebuilt)
		actual += fmt.Sprintf(", %d with a rebuild", e.Rebuilt)
	}
	for _, r := range e.Refused {
		actual += fmt.Sprintf("; %s does not count: %s [%s]", cmp.Or(r.Identity, r.Name), r.Reason, r.Code)
	}
	if e.Rebuilt < e.NeededRebuilt {
		fix += " --rebuild"
	}
	return &gate.Refusal{Code: "sign-off-missing", Class: gate.Waiting, What: "the stage is not signed off by enough release managers",
		Expected: expected, Actual: actual, Fix: e.ask(fix)}
}

// ask says who has to run what.
func (e Evaluation) ask(fix string) string {
	switch len(e.Asked) {
	case 0:
		return "have another release manager added to the trust file: sello key new NAME --role manager"
	case 1:
		return fix + " --as " + e.Asked[0]
	}
	return fix + " --as NAME   # one of: " + strings.Join(e.Asked, ", ")
}

// asked gives the managers that have not signed off, or have to rebuild besides.
func (e Evaluation) asked(managers []string) []string {
	var out []string
	for _, m := range managers {
		i := slices.IndexFunc(e.Counted, func(s SignOff) bool { return s.Identity == m })
		if i < 0 || e.Rebuilt < e.NeededRebuilt && !e.Counted[i].Rebuilt {
			out = append(out, m)
		}
	}
	return out
}

// Evaluate judges sign-off bundles, by name as they were found. Codes of sign-offs that
// do not count are those of sign.ParseBundle, sign.Verify, attest.Decode and trust.Usable, and:
// sign-off-not-manager (an associate's, a builder's), sign-off-identity (claims another name than its key has),
// sign-off-other-stage, sign-off-other-version, sign-off-other-release-file, sign-off-old-trust,
// sign-off-future, sign-off-expired, sign-off-duplicate.
func Evaluate(bundles map[string][]byte, p Policy) Evaluation {
	e := Evaluation{Needed: max(p.Trust.Threshold(trust.RoleManager), p.Managers, 1), NeededRebuilt: p.Rebuilt}
	j := judge{Policy: p, signers: sign.SignersOf(p.Trust)}
	j.signers.Now = p.Now
	var good []SignOff
	var said []attest.SignOff
	for _, name := range slices.Sorted(maps.Keys(bundles)) {
		s, statement, err := j.read(name, bundles[name])
		if err != nil {
			e.refuse(name, s.Identity, err)
			continue
		}
		good, said = append(good, s), append(said, *statement)
	}
	if p.Released {
		j.Now = last(good, p.Now)
	}
	for i, s := range good {
		if err := j.inForce(s.Identity, said[i]); err != nil {
			e.refuse(s.Name, s.Identity, err)
			continue
		}
		e.count(s)
	}
	slices.SortFunc(e.Counted, func(a, b SignOff) int { return strings.Compare(a.Identity, b.Identity) })
	slices.SortFunc(e.Refused, func(a, b Refused) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range e.Counted {
		if s.Rebuilt {
			e.Rebuilt++
		}
	}
	e.Asked = e.asked(p.Trust.Managers())
	return e
}

// count counts an identity once. Of several good sign-offs one with a rebuild stays, else the first by name.
func (e *Evaluation) count(s SignOff) {
	i := slices.IndexFunc(e.Counted, func(have SignOff) bool { return have.Identity == s.Identity })
	if i < 0 {
		e.Counted = append(e.Counted, s)
		return
	}
	if s.Rebuilt && !e.Counted[i].Rebuilt {
		e.Counted[i], s = s, e.Counted[i]
	}
	e.refuse(s.Name, s.Identity, refusal("sign-off-duplicate", "this manager is counted already", "one sign-off a manager", "also "+e.Counted[i].Name))
}

// last is the time of the latest sign-off that is not in the future.
func last(signOffs []SignOff, now time.Time) time.Time {
	var at time.Time
	for _, s := range signOffs {
		if s.Time.After(at) && !s.Time.After(now.Add(clockSkew)) {
			at = s.Time
		}
	}
	return at
}
