package sign

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
	"github.com/sello-release/sello/internal/trust"
)

// MaxRoot bounds a trusted root that is read, in bytes.
const MaxRoot = 4 << 20

// Root is a Sigstore instance's trusted root: the certificate authorities, transparency logs and timestamp authorities
// whose word counts, each with the time in which it does. It is safe for use by several goroutines.
type Root struct {
	material    *root.TrustedRoot
	logOptional bool
}

// RootOf gives the trusted root that a trust file names, once its content was set. It refuses with
// trusted-root-missing when it was not, and with trusted-root-invalid.
func RootOf(t *trust.Trust) (*Root, error) {
	data := t.Root()
	if data == nil {
		r := &gate.Refusal{Code: "trusted-root-missing", Class: gate.Usage, What: "the trusted root that judges certificates is not at hand",
			Fix: "put the file beside trust.yaml, where it lies in the repository, or name it with --trusted-root"}
		if t.TrustedRoot != nil {
			r.Expected = t.TrustedRoot.File + ", " + t.TrustedRoot.Digest
		}
		return nil, r
	}
	r, err := ParseRoot(data)
	if err != nil {
		return nil, err
	}
	r.logOptional = t.TrustedRoot.Fallback == trust.TimestampOnly && r.hasClocks()
	return r, nil
}

// LogOptional reports whether a bundle counts without a log entry: the trust file says so, and the root names timestamp authorities.
func (r *Root) LogOptional() bool { return r.logOptional }

// Issued holds that the certificate comes from one of the root's authorities, was published where the root names logs of
// certificates, and is valid at a time, and says whom it names. It refuses, by code: cert-untrusted, sct-invalid,
// cert-outside-validity, no-trusted-signer.
func (r *Root) Issued(leaf *x509.Certificate, at time.Time) (trust.Keyless, error) {
	q := inquiry{root: r, material: r.material}
	if err := errors.Join(q.chain(leaf, nil), q.certificateLog(leaf, nil)); err != nil {
		return trust.Keyless{}, err
	}
	if at.Before(leaf.NotBefore.Add(-clockSkew)) || at.After(leaf.NotAfter) {
		return trust.Keyless{}, refuse("cert-outside-validity", "the certificate is not valid now", span(leaf.NotBefore, leaf.NotAfter), stamp(at), "check this machine's clock")
	}
	who, _, err := certified(leaf)
	return who, err
}

// mayBeUnlogged reports whether a bundle without a log entry is one that counts.
func (r *Root) mayBeUnlogged(b *bundle.Bundle) bool {
	entries, err := b.TlogEntries()
	return r.logOptional && err == nil && len(entries) == 0
}

// ParseRoot reads a trusted_root.json (application/vnd.dev.sigstore.trustedroot+json;version=0.1). It refuses with
// trusted-root-invalid what is malformed, has a key twice, or names no certificate authority.
func ParseRoot(data []byte) (*Root, error) {
	refused := func(err error) error {
		return &gate.Refusal{Code: "trusted-root-invalid", Class: gate.Usage, What: "the trusted root cannot be read", Cause: err,
			Expected: root.TrustedRootMediaType01, Fix: "give the Sigstore instance's trusted_root.json, as its operators publish it"}
	}
	if len(data) > MaxRoot {
		return nil, refused(fmt.Errorf("more than %d bytes", MaxRoot))
	}
	if err := strictjson.Check(data); err != nil {
		return nil, refused(err)
	}
	material, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, refused(err)
	}
	r := &Root{material: material}
	switch {
	case len(material.FulcioCertificateAuthorities()) == 0:
		return nil, refused(errors.New("it names no certificate authority"))
	case !r.hasLogs() && !r.hasClocks():
		return nil, refused(errors.New("it names neither a log nor a timestamp authority: nobody could say when something was signed"))
	}
	return r, nil
}

func (r *Root) hasLogs() bool   { return len(r.material.RekorLogs()) > 0 }
func (r *Root) hasClocks() bool { return len(r.material.TimestampingAuthorities()) > 0 }
func (r *Root) hasCT() bool     { return len(r.material.CTLogs()) > 0 }
