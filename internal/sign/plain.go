package sign

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Plain gives the DSSE envelope of a bundle by itself, in one line: for readers that know no bundles, such as slsa-verifier. It names no
// key: some readers skip a signature whose keyid is spelled otherwise than they would.
func Plain(bundle []byte) ([]byte, error) {
	b, err := ParseBundle(bundle)
	if err != nil {
		return nil, err
	}
	if b.Envelope == nil {
		return nil, noSignature()
	}
	type signature struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	}
	line, err := json.Marshal(struct {
		PayloadType string      `json:"payloadType"`
		Payload     string      `json:"payload"`
		Signatures  []signature `json:"signatures"`
	}{b.Envelope.PayloadType, b64(b.Envelope.Payload), []signature{{Sig: b64(b.Envelope.Signature)}}})
	if err != nil {
		return nil, fmt.Errorf("encode envelope: %w", err)
	}
	return append(line, '\n'), nil
}

// SameEnvelope reports whether a bare envelope is that of a bundle: payload, its type, and signature.
func SameEnvelope(plain, bundle *Bundle) bool {
	a, b := plain.Envelope, bundle.Envelope
	return a != nil && b != nil && a.PayloadType == b.PayloadType && bytes.Equal(a.Payload, b.Payload) && bytes.Equal(a.Signature, b.Signature)
}
