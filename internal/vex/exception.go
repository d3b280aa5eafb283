package vex

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// ExceptionType is the predicate type of a manager's word on an OpenVEX document. The subject is the document.
const ExceptionType = "https://github.com/sello-release/sello/exception/v1"

// BundleSuffix names the signature beside a document.
const BundleSuffix = ".sigstore.json"

// Bounds of an exception in time.
const (
	MaxValidity = 366 * 24 * time.Hour
	clockSkew   = 5 * time.Minute
)

// Exception is who decided, and until when.
type Exception struct {
	Project  string        `json:"project"`
	Identity string        `json:"identity"` // name in trust.yaml; the key decides, not this
	Role     string        `json:"role"`
	Time     time.Time     `json:"time"`
	Expires  time.Time     `json:"expires"`
	Trust    attest.Pinned `json:"trust"` // the trust file in force when this was signed
	Comment  string        `json:"comment,omitempty"`
}

// Sign signs a document as an exception and gives the bundle.
func Sign(ctx context.Context, signer sign.Signer, name string, document []byte, e Exception) ([]byte, error) {
	if _, err := Parse(document, name); err != nil {
		return nil, err
	}
	e.Time, e.Expires = e.Time.UTC().Truncate(time.Second), e.Expires.UTC().Truncate(time.Second)
	if err := e.lasts(); err != nil {
		return nil, err
	}
	statement, err := attest.NewStatement([]attest.Subject{{Name: name, Digest: map[string]string{"sha256": digest.Bytes(document)}}}, ExceptionType, e)
	if err != nil {
		return nil, err
	}
	payload, err := statement.Encode()
	if err != nil {
		return nil, err
	}
	bundle, err := sign.SignStatement(ctx, signer, attest.PayloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("sign exception: %w", err)
	}
	return bundle, nil
}

// lasts refuses an exception without an end, or with one that is too far away.
func (e Exception) lasts() error {
	if e.Expires.After(e.Time) && e.Expires.Sub(e.Time) <= MaxValidity {
		return nil
	}
	return &gate.Refusal{Code: "vex-too-long", What: "an exception has to end, within a year", Expected: fmt.Sprintf("between %s and %s", stamp(e.Time), stamp(e.Time.Add(MaxValidity))), Actual: stamp(e.Expires), Fix: "decide for a shorter time, and again when it is over"}
}

// Judge says who decided what a document says. It refuses a signature that is no manager's, is over other bytes or about
// another project, or has expired.
func Judge(document, bundle []byte, t *trust.Trust, project string, now time.Time) (*Exception, error) {
	b, err := sign.ParseBundle(bundle)
	if err != nil {
		return nil, err
	}
	keyID, payload, err := sign.SignersOf(t).Verify(b)
	if err != nil {
		return nil, err
	}
	identity, _ := t.ByKeyID(keyID)
	statement, err := attest.Decode[Exception](payload, ExceptionType)
	if err != nil {
		return nil, err
	}
	e := statement.Predicate
	said := func(code, what, expected, actual string) error {
		return &gate.Refusal{Code: code, What: what, Expected: expected, Actual: actual, Fix: "have a release manager decide again: sello vex create"}
	}
	switch {
	case !t.HasRole(identity, trust.RoleManager):
		return nil, said("vex-not-manager", "only release managers decide about vulnerabilities", "the role manager", identity+", who does not have it")
	case e.Identity != identity:
		return nil, said("vex-identity", "the exception claims another name than its key has", identity, fmt.Sprintf("%.100q", e.Identity))
	case e.Role != trust.RoleManager:
		return nil, said("vex-not-manager", "the exception was not given as a release manager", "the role manager", fmt.Sprintf("the role %.100q", e.Role))
	case len(statement.Subject) != 1 || statement.Subject[0].Digest["sha256"] != digest.Bytes(document):
		return nil, said("vex-other-document", "the signature is over other bytes than this document's", "sha256:"+digest.Bytes(document), fmt.Sprintf("sha256:%.64s", statement.Subject[0].Digest["sha256"]))
	case project != "" && e.Project != project:
		return nil, said("vex-other-project", "the exception was given for another project", project, fmt.Sprintf("%.100q", e.Project))
	case e.Time.After(now.Add(clockSkew)):
		return nil, said("vex-future", "the exception was given in the future", "at most "+stamp(now), stamp(e.Time))
	case !now.Before(e.Expires):
		return nil, said("vex-expired", "the exception has expired", "valid at "+stamp(now), "valid until "+stamp(e.Expires))
	}
	if err := e.lasts(); err != nil {
		return nil, err
	}
	for _, at := range []time.Time{e.Time, now} {
		if err := t.Usable(identity, at); err != nil {
			return nil, err
		}
	}
	return &e, nil
}

// Unsigned refuses a document without a signature where one is needed.
func Unsigned(where string) error {
	return &gate.Refusal{Code: "vex-unsigned", Where: where, What: "nobody has signed this exception", Expected: where + BundleSuffix, Actual: "no such file", Fix: "have a release manager sign it: sello vex sign " + where}
}

// reason is an error's code and what it says, in one line.
func reason(err error) string {
	var r *gate.Refusal
	if !errors.As(err, &r) {
		return err.Error()
	}
	s := r.What
	if r.Actual != "" {
		s += ": " + r.Actual
	}
	return s + " [" + r.Code + "]"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
