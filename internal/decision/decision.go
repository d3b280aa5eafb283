// Package decision is a release manager's word on a document of the repository: who decided what it says, and until when.
//
// # Promises
//
// The word is an in-toto statement over the document's SHA-256, in a bundle beside it (NAME.sigstore.json). It counts when a
// release manager of the trust file in force signed it, for this project and over these very bytes, and it has not expired.
//
// # Refusals
//
// Each kind of decision has codes of its own, in Exception and Approval; and those of package sign.
//
// # What it does not do
//
// It does not read documents, and it does not judge whether what they say is true. No I/O.
package decision

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

// BundleSuffix names the signature beside a document.
const BundleSuffix = ".sigstore.json"

// Bounds of a decision in time.
const (
	MaxValidity = 366 * 24 * time.Hour
	clockSkew   = 5 * time.Minute
)

// Kind is what is decided about: the predicate type of the statement, its words and its codes.
type Kind struct {
	Type string // of the predicate

	noun, about, again, sign string // an exception; vulnerabilities; the commands that decide, and that sign again

	codeUnsigned, codeManager, codeIdentity, codeDocument, codeProject, codeFuture, codeExpired, codeLong string
}

// Exception is a word on an OpenVEX document.
var Exception = Kind{
	Type: "https://github.com/sello-release/sello/exception/v1",
	noun: "exception", about: "vulnerabilities", again: "sello vex create", sign: "sello vex sign",
	codeUnsigned: "vex-unsigned", codeManager: "vex-not-manager", codeIdentity: "vex-identity", codeDocument: "vex-other-document",
	codeProject: "vex-other-project", codeFuture: "vex-future", codeExpired: "vex-expired", codeLong: "vex-too-long",
}

// Approval is a word on dependencies.
var Approval = Kind{
	Type: "https://github.com/sello-release/sello/dependency-approval/v1",
	noun: "approval", about: "dependencies", again: "sello deps approve", sign: "sello deps sign",
	codeUnsigned: "approval-unsigned", codeManager: "approval-not-manager", codeIdentity: "approval-identity", codeDocument: "approval-other-document",
	codeProject: "approval-other-project", codeFuture: "approval-future", codeExpired: "approval-expired", codeLong: "approval-too-long",
}

// Decision is who decided, and until when.
type Decision struct {
	Project  string        `json:"project"`
	Identity string        `json:"identity"` // name in trust.yaml; the key decides, not this
	Role     string        `json:"role"`
	Time     time.Time     `json:"time"`
	Expires  time.Time     `json:"expires"`
	Trust    attest.Pinned `json:"trust"` // the trust file in force when this was signed
	Comment  string        `json:"comment,omitempty"`
}

// Sign signs a document, whose form is the caller's to check, and gives the bundle.
func (k Kind) Sign(ctx context.Context, signer sign.Signer, name string, document []byte, e Decision) ([]byte, error) {
	e.Time, e.Expires = e.Time.UTC().Truncate(time.Second), e.Expires.UTC().Truncate(time.Second)
	if err := k.lasts(e); err != nil {
		return nil, err
	}
	bundle, err := sign.SignDocument(ctx, signer, name, document, k.Type, e)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", k.noun, err)
	}
	return bundle, nil
}

// lasts refuses a decision without an end, or with one that is too far away.
func (k Kind) lasts(e Decision) error {
	if e.Expires.After(e.Time) && e.Expires.Sub(e.Time) <= MaxValidity {
		return nil
	}
	return &gate.Refusal{Code: k.codeLong, What: "an " + k.noun + " has to end, within a year", Expected: fmt.Sprintf("between %s and %s", stamp(e.Time), stamp(e.Time.Add(MaxValidity))), Actual: stamp(e.Expires), Fix: "decide for a shorter time, and again when it is over"}
}

// Judge says who decided what a document says. It refuses a signature that is no manager's, is over other bytes or about
// another project, or has expired.
func (k Kind) Judge(document, bundle []byte, t *trust.Trust, project string, now time.Time) (*Decision, error) {
	b, err := sign.ParseBundle(bundle)
	if err != nil {
		return nil, err
	}
	keyID, payload, err := sign.SignersOf(t).Verify(b)
	if err != nil {
		return nil, err
	}
	identity, _ := t.ByKeyID(keyID)
	statement, err := attest.Decode[Decision](payload, k.Type)
	if err != nil {
		return nil, err
	}
	e := statement.Predicate
	said := func(code, what, expected, actual string) error {
		return &gate.Refusal{Code: code, What: what, Expected: expected, Actual: actual, Fix: "have a release manager decide again: " + k.again}
	}
	switch {
	case !t.HasRole(identity, trust.RoleManager):
		return nil, said(k.codeManager, "only release managers decide about "+k.about, "the role manager", identity+", who does not have it")
	case e.Identity != identity:
		return nil, said(k.codeIdentity, "the "+k.noun+" claims another name than its key has", identity, fmt.Sprintf("%.100q", e.Identity))
	case e.Role != trust.RoleManager:
		return nil, said(k.codeManager, "the "+k.noun+" was not given as a release manager", "the role manager", fmt.Sprintf("the role %.100q", e.Role))
	case len(statement.Subject) != 1 || statement.Subject[0].Digest["sha256"] != digest.Bytes(document):
		return nil, said(k.codeDocument, "the signature is over other bytes than this document's", "sha256:"+digest.Bytes(document), fmt.Sprintf("sha256:%.64s", statement.Subject[0].Digest["sha256"]))
	case project != "" && e.Project != project:
		return nil, said(k.codeProject, "the "+k.noun+" was given for another project", project, fmt.Sprintf("%.100q", e.Project))
	case e.Time.After(now.Add(clockSkew)):
		return nil, said(k.codeFuture, "the "+k.noun+" was given in the future", "at most "+stamp(now), stamp(e.Time))
	case !now.Before(e.Expires):
		return nil, said(k.codeExpired, "the "+k.noun+" has expired", "valid at "+stamp(now), "valid until "+stamp(e.Expires))
	}
	if err := k.lasts(e); err != nil {
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
func (k Kind) Unsigned(where string) error {
	return &gate.Refusal{Code: k.codeUnsigned, Where: where, What: "nobody has signed this " + k.noun, Expected: where + BundleSuffix, Actual: "no such file", Fix: "have a release manager sign it: " + k.sign + " " + where}
}

// Reason is an error's code and what it says, in one line.
func Reason(err error) string {
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
