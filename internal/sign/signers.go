package sign

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// Signers are those of a trust file whose signatures count: keys, and whom certificates name. The trusted root is read
// when the first certificate comes. They are safe for use by several goroutines.
type Signers struct {
	Now time.Time // no signature was made later; zero is the present

	keys    map[string]crypto.PublicKey
	keyless []trust.Keyless
	root    func() (*Root, error)
}

// SignersOf gives the identities that have one of the roles; without a role, all.
func SignersOf(t *trust.Trust, roles ...string) *Signers {
	return &Signers{keys: t.KeysOf(roles...), keyless: t.KeylessOf(roles...), root: sync.OnceValues(func() (*Root, error) { return RootOf(t) })}
}

// Verify verifies a bundle's statement. It gives who signed, as trust.ByKeyID knows them, and what. A key is
// judged as by the function Verify, a certificate as by Root.Verify, and its subject has to be one of the
// identities, byte by byte: no-trusted-signer otherwise, with the subject that was found.
func (s *Signers) Verify(b *Bundle) (id string, payload []byte, err error) {
	if b.Certificate && b.Envelope != nil && len(s.keyless) > 0 {
		return s.verifyCertificate(b)
	}
	if id, payload, err = Verify(b, s.keys); gate.Code(err) == "no-trusted-signer" && len(s.keyless) > 0 {
		return "", nil, noTrustedSigner(b, b.keyName(), s.keys, s.keyless...)
	}
	return id, payload, err
}

func (s *Signers) verifyCertificate(b *Bundle) (id string, payload []byte, err error) {
	root, err := s.root()
	if err != nil {
		return "", nil, err
	}
	now := s.Now
	if now.IsZero() {
		now = time.Now()
	}
	w, err := root.Verify(b, nil, now)
	if err != nil {
		return "", nil, err
	}
	if !slices.Contains(s.keyless, w.Signer) {
		return "", nil, NotTrusted(trusted(s.keys, s.keyless), w.Signer)
	}
	return w.Signer.ID(), w.Payload, nil
}

// NotTrusted refuses a good signature by somebody else than who was expected.
func NotTrusted(expected string, found trust.Keyless) error {
	return refuse("no-trusted-signer", "the signature is good, and by somebody who is not trusted here", expected, found.String(),
		"if this signer is to be trusted, have the trust file's managers add issuer and subject; otherwise get the bundle from where it was published")
}

// trusted lists who is trusted, for a message.
func trusted(keys map[string]crypto.PublicKey, keyless []trust.Keyless) string {
	if len(keyless) == 0 {
		return Trusted(keys)
	}
	var names []string
	for _, k := range keyless[:min(len(keyless), 8)] {
		names = append(names, k.String())
	}
	text := strings.Join(names, ", or ")
	if more := len(keyless) - len(names); more > 0 {
		text += fmt.Sprintf(", or %d more", more)
	}
	if len(keys) > 0 {
		text += ", or " + Trusted(keys)
	}
	return text
}
