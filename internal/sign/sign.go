// Package sign signs statements with keys and verifies what was signed: DSSE
// envelopes in Sigstore bundles v0.3.
//
// A bundle carries exactly one signature, so several people signing are several
// bundles. What Verify returns is the very bytes that the signature covers; nobody
// has to parse the envelope a second time. A key id in a bundle is a hint and never a
// decision: only a key that the caller trusts, and that verifies the signature, counts.
//
// Supported are ECDSA on P-256 (SHA-256) and P-384 (SHA-384), and Ed25519. Signatures
// are written as DER and standard base64; raw r||s and URL-safe base64 are read too, as
// others write them. Private keys and passphrases never appear in an error.
//
// Certificates count with a Root: what it names, authorities, logs and clocks, is asked for, and leaving evidence out
// never helps. sigstore-go decides; what it refuses is asked again step by step, to name the first thing that is
// wrong. Without a Root, certificates, logs and timestamps are read past and not believed: a bundle
// signed without a key is then refused with no-trusted-signer. There is no network, and no root is refreshed.
package sign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/gowebpki/jcs"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// Signer signs as one identity, whose key is in a file, in hardware or with a service, or whom certificates name.
// It is safe for use by several goroutines.
type Signer interface {
	// KeyID names who signs, as trust.ByKeyID knows them: trust.KeyID of the key, or trust.Keyless.ID.
	KeyID() string
	// Bundle signs a payload and gives the bytes of a Sigstore bundle, verified.
	Bundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error)
}

// Holder holds a private key, here or elsewhere.
type Holder interface {
	// Public gives the public key.
	Public() crypto.PublicKey
	// KeyID names the public key: trust.KeyID of Public.
	KeyID() string
	// Sign signs the message (hashing it as its kind of key does) and gives DER for ECDSA.
	Sign(ctx context.Context, message []byte) ([]byte, error)
}

// SignStatement signs a payload, which has to be canonical JSON (attest's Encode), and gives
// the bytes of a Sigstore bundle. What was signed is verified before the bundle is
// given out, so that a broken signer never leaves a bundle behind.
func SignStatement(ctx context.Context, signer Signer, payloadType string, payload []byte) ([]byte, error) {
	canonical, err := jcs.Transform(payload)
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	if !bytes.Equal(canonical, payload) {
		return nil, errors.New("sign statement: the payload is not canonical JSON")
	}
	return signer.Bundle(ctx, payloadType, payload)
}

// SignDocument signs what predicate says of a document, by its name and SHA-256, and gives the bundle.
func SignDocument[P any](ctx context.Context, signer Signer, name string, document []byte, predicateType string, predicate P) ([]byte, error) {
	statement, err := attest.NewStatement([]attest.Subject{{Name: name, Digest: map[string]string{"sha256": digest.Bytes(document)}}}, predicateType, predicate)
	if err != nil {
		return nil, err
	}
	payload, err := statement.Encode()
	if err != nil {
		return nil, err
	}
	return SignStatement(ctx, signer, attest.PayloadType, payload)
}

// KeyBundle is a Signer's Bundle for who holds a key.
func KeyBundle(ctx context.Context, signer Holder, payloadType string, payload []byte) ([]byte, error) {
	id, err := trust.KeyID(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	if id != signer.KeyID() {
		return nil, fmt.Errorf("sign statement: the signer says that it is %s, but its key is %s", signer.KeyID(), id)
	}
	sig, err := signer.Sign(ctx, pae(payloadType, payload))
	if err != nil {
		return nil, fmt.Errorf("sign statement with %s: %w", id, err)
	}
	if !verifies(signer.Public(), pae(payloadType, payload), sig) {
		return nil, &gate.Refusal{Code: "signer-signature", Class: gate.Failed, Where: id, What: "the hardware or service gave a signature that is not this key's",
			Fix: "see whether another key has taken its place, and name that one; nothing was signed by halves, and the same command goes on where it stopped"}
	}
	data, err := encodeBundle(id, payloadType, payload, sig)
	if err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	return data, nil
}

// pae is DSSE's pre-authentication encoding of what is signed (DSSE v1.0.2, Signature definition).
func pae(payloadType string, payload []byte) []byte {
	head := fmt.Sprintf("DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload))
	return append([]byte(head), payload...)
}

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
