package signoff

import (
	"errors"
	"fmt"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// clockSkew is how far a sign-off's time may lie ahead of ours.
const clockSkew = 5 * time.Minute

// judge judges one sign-off at a time.
type judge struct {
	Policy
	signers *sign.Signers // all identities, so that those that do not count are named
}

// read verifies a sign-off's signature, and that it is a manager's and speaks of this stage.
func (j judge) read(name string, data []byte) (SignOff, *attest.SignOff, error) {
	b, err := sign.ParseBundle(data)
	if err != nil {
		return SignOff{}, nil, err
	}
	keyID, payload, err := j.signers.Verify(b)
	if err != nil {
		return SignOff{}, nil, err
	}
	identity, _ := j.Trust.ByKeyID(keyID)
	s := SignOff{Name: name, Identity: identity, KeyID: keyID}
	statement, err := attest.Decode[attest.SignOff](payload, attest.SignOffType)
	if err != nil {
		return s, nil, err
	}
	said := &statement.Predicate
	s.Rebuilt, s.Time, s.Expires, s.Environment, s.Comment = said.Rebuilt, said.Time, said.Expires, said.Environment, said.Comment
	return s, said, j.about(identity, statement)
}

// about refuses a sign-off by somebody else, or of something else.
func (j judge) about(identity string, statement *attest.Statement[attest.SignOff]) error {
	said, subjects := statement.Predicate, statement.Subject
	switch {
	case !j.Trust.HasRole(identity, trust.RoleManager):
		return refusal("sign-off-not-manager", "only release managers' sign-offs count", "the role manager", identity+", who does not have it")
	case said.Identity != identity:
		return refusal("sign-off-identity", "the sign-off claims another name than its key has", identity, fmt.Sprintf("%.100q", said.Identity))
	case said.Role != trust.RoleManager:
		return refusal("sign-off-not-manager", "the sign-off was not given as a release manager", "the role manager", fmt.Sprintf("the role %.100q", said.Role))
	case said.Stage != j.Stage || len(subjects) != 1 || "sha256:"+subjects[0].Digest["sha256"] != j.Stage:
		return refusal("sign-off-other-stage", "the sign-off is for another stage", j.Stage, fmt.Sprintf("%.100q about %.100q", said.Stage, subjects[0].Digest["sha256"]))
	case said.Project != j.Project || said.Version != j.Version:
		return refusal("sign-off-other-version", "the sign-off is for another version", j.Project+" "+j.Version, fmt.Sprintf("%.100q", said.Project+" "+said.Version))
	case j.ReleaseFile != "" && said.ReleaseFile.SHA256 != j.ReleaseFile:
		return refusal("sign-off-other-release-file", "the release file was changed after this sign-off", j.ReleaseFile, fmt.Sprintf("%.100q", said.ReleaseFile.SHA256))
	}
	return nil
}

// inForce refuses a sign-off that does not hold now, or not under the trust file in force.
func (j judge) inForce(identity string, said attest.SignOff) error {
	switch {
	case said.Time.After(j.Now.Add(clockSkew)):
		return refusal("sign-off-future", "the sign-off was made in the future", "at most "+stamp(j.Now), stamp(said.Time))
	case !j.Now.Before(said.Expires):
		return refusal("sign-off-expired", "the sign-off has expired", "valid at "+stamp(j.Now), "valid until "+stamp(said.Expires))
	case !j.Released && !j.underTrustInForce(said.Trust):
		return refusal("sign-off-old-trust", "the sign-off was made under a trust file that is not the one in force",
			fmt.Sprintf("version %d, sha256:%s", j.Trust.Version, j.Trust.Digest()), fmt.Sprintf("version %d, sha256:%.64s", said.Trust.Version, said.Trust.SHA256))
	}
	for _, at := range []time.Time{said.Time, j.Now} {
		if err := j.Trust.Usable(identity, at); err != nil {
			return err
		}
	}
	return nil
}

// underTrustInForce holds for the very trust file, and for a later version than the one at hand.
func (j judge) underTrustInForce(said attest.Pinned) bool {
	return said.SHA256 == j.Trust.Digest() || said.Version > j.Trust.Version
}

func (e *Evaluation) refuse(name, identity string, err error) {
	r := &gate.Refusal{Code: "sign-off-unreadable", What: err.Error()}
	errors.As(err, &r)
	reason := r.What
	if r.Expected != "" {
		reason += ": expected " + r.Expected
	}
	if r.Actual != "" {
		reason += ", found " + r.Actual
	}
	if r.Cause != nil {
		reason += ": " + r.Cause.Error()
	}
	e.Refused = append(e.Refused, Refused{Name: name, Identity: identity, Code: r.Code, Reason: reason})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func refusal(code, what, expected, actual string) error {
	return &gate.Refusal{Code: code, What: what, Expected: expected, Actual: actual, Fix: "have the release manager sign off again"}
}
