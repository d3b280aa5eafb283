package sign

import (
	"errors"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// MaxRoot bounds a trusted root that is read, in bytes.
const MaxRoot = 4 << 20

// Root is a Sigstore instance's trusted root: the certificate authorities, transparency logs and timestamp authorities
// whose word counts, each with the time in which it does. It is safe for use by several goroutines.
type Root struct {
	material *root.TrustedRoot
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
	r := &Root{material}
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
