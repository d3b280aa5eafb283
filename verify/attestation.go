package verify

import (
	"sync"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
)

// attestation is a provenance bundle after everything was decided that does not depend on the
// artifact. Each error is that of one check; later fields are empty after an earlier error.
type attestation struct {
	parse   error // bad-json, bundle-…
	signed  error // no-trusted-signer, signature-invalid
	typed   error // unsupported-payload-type
	stated  error // bad-json, wrong-statement-type, subject-missing, weak-digest
	decoded error // wrong-predicate, bad-json

	sha256    string // of the bundle
	keyID     string
	signer    string // identity
	header    *attest.Header
	statement *attest.Statement[attest.Provenance]
	params    []string // names of externalParameters as written
}

// cache verifies each distinct bundle once: all artifacts of a platform share one.
type cache struct {
	mu sync.Mutex
	by map[string]func() *attestation
}

// attestation verifies a bundle. It may be called by several goroutines.
func (v *verifier) attestation(data []byte) *attestation {
	id := digest.Bytes(data)
	v.cache.mu.Lock()
	get, ok := v.cache.by[id]
	if !ok {
		get = sync.OnceValue(func() *attestation { return v.open(data) })
		if v.cache.by == nil {
			v.cache.by = map[string]func() *attestation{}
		}
		v.cache.by[id] = get
	}
	v.cache.mu.Unlock()
	return get()
}

func (v *verifier) open(data []byte) *attestation {
	a := &attestation{sha256: digest.Bytes(data)}
	bundle, err := sign.ParseBundle(data)
	if err != nil {
		a.parse = err
		return a
	}
	var payload []byte
	if a.keyID, payload, err = v.builders.Verify(bundle); gate.Code(err) == "unsupported-payload-type" {
		a.typed = err
	} else {
		a.signed = err
	}
	if err != nil {
		return a
	}
	a.signer, _ = v.trust.ByKeyID(a.keyID)
	if a.header, a.stated = attest.DecodeHeader(payload); a.stated != nil {
		return a
	}
	if a.statement, a.decoded = attest.Decode[attest.Provenance](payload, attest.ProvenanceType); a.decoded != nil {
		return a
	}
	a.params, a.decoded = attest.ExternalParameterNames(payload)
	return a
}
