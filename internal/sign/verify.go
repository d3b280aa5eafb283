package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// Verify verifies a bundle's statement against the keys that the caller trusts, by key
// id. It gives the id of the key that verified and the payload that this key signed.
// It refuses, by code and in this order: no-signature, no-trusted-signer, signature-invalid (the
// bundle names a trusted key, but that key did not sign this), unsupported-payload-type.
func Verify(b *Bundle, keys map[string]crypto.PublicKey) (keyID string, payload []byte, err error) {
	if b.Envelope == nil {
		return "", nil, refuse("no-signature", "the bundle signs a file and not a statement", "a DSSE envelope", "a message signature",
			"give an attestation; a signature over a file says nothing about how it was made")
	}
	message := pae(b.Envelope.PayloadType, b.Envelope.Payload)
	keyID, err = findSigner(b, keys, func(pub crypto.PublicKey) bool {
		return verifies(pub, message, b.Envelope.Signature)
	})
	if err != nil {
		return "", nil, err
	}
	if b.Envelope.PayloadType != attest.PayloadType {
		return "", nil, unsupportedPayload(b.Envelope.PayloadType)
	}
	return keyID, b.Envelope.Payload, nil
}

// VerifyBare is Verify for keys that sign the statement itself and not its envelope, as some services did before DSSE.
// Use it with keys that sign nothing else: what kind of thing was signed is not part of the signature.
func VerifyBare(b *Bundle, keys map[string]crypto.PublicKey) (keyID string, payload []byte, err error) {
	if b.Envelope == nil || b.Certificate {
		return "", nil, noTrustedSigner(b, b.keyName(), keys)
	}
	keyID, err = findSigner(b, keys, func(pub crypto.PublicKey) bool { return verifies(pub, b.Envelope.Payload, b.Envelope.Signature) })
	if err == nil && b.Envelope.PayloadType != attest.PayloadType {
		err = unsupportedPayload(b.Envelope.PayloadType)
	}
	if err != nil {
		return "", nil, err
	}
	return keyID, b.Envelope.Payload, nil
}

// VerifyDigest verifies a bundle's signature over a file with these digests, with the codes of Verify. ECDSA keys sign a
// SHA-256, on P-384 also a SHA-384; Ed25519 keys sign a SHA-512 (Ed25519ph), as Sigstore's tools do for files. A key whose digest
// is not known does not match.
func VerifyDigest(b *Bundle, keys map[string]crypto.PublicKey, file Digests) (keyID string, err error) {
	if b.Message == nil {
		return "", refuse("no-signature", "the bundle signs a statement and not a file", "a message signature", "a DSSE envelope", "give the file's signature")
	}
	sums := map[string][]byte{}
	for algorithm, text := range file {
		if sums[algorithm], err = hex.DecodeString(text); err != nil {
			return "", fmt.Errorf("verify signature: %q is not a digest: %w", text, err)
		}
	}
	return findSigner(b, keys, func(pub crypto.PublicKey) bool {
		switch k := pub.(type) {
		case *ecdsa.PublicKey:
			return verifiesECDSA(k, sums["sha256"], b.Message.Signature) || k.Curve == elliptic.P384() && verifiesECDSA(k, sums["sha384"], b.Message.Signature)
		case ed25519.PublicKey:
			return len(sums["sha512"]) == sha512.Size && ed25519.VerifyWithOptions(k, sums["sha512"], b.Message.Signature, &ed25519.Options{Hash: crypto.SHA512}) == nil
		}
		return false
	})
}

// findSigner tries the key that the bundle names, then all others: a key id is only a hint.
func findSigner(b *Bundle, keys map[string]crypto.PublicKey, good func(crypto.PublicKey) bool) (string, error) {
	named := b.keyName()
	if pub, ok := keys[named]; ok && good(pub) {
		return named, nil
	}
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		if id != named && good(keys[id]) {
			return id, nil
		}
	}
	if _, ok := keys[named]; ok {
		return "", refuse("signature-invalid", "the signature does not verify with the key that the bundle names", "a signature by "+named, "another signature, or other bytes than were signed",
			"get the file and its bundle again from where they were published; one of them was changed")
	}
	return "", noTrustedSigner(b, named, keys)
}

func noTrustedSigner(b *Bundle, named string, keys map[string]crypto.PublicKey, keyless ...trust.Keyless) *gate.Refusal {
	found := fmt.Sprintf("key %.100q", named)
	switch {
	case b.Certificate:
		found = "a certificate instead of a key"
	case named == "":
		found = "a key that the bundle does not name"
	}
	return refuse("no-trusted-signer", "nobody who is trusted here signed this", trusted(keys, keyless), found,
		"if this signer is to be trusted, have the trust file's managers add the key; otherwise get the bundle from where it was published")
}

// Trusted lists key ids for a message.
func Trusted(keys map[string]crypto.PublicKey) string {
	ids := slices.Sorted(maps.Keys(keys))
	switch n := len(ids); {
	case n == 0:
		return "one of no keys: the trust file trusts nobody for this"
	case n > 8:
		return fmt.Sprintf("one of %d keys, among them %s", n, strings.Join(ids[:8], ", "))
	}
	return "one of " + strings.Join(ids, ", ")
}

// verifies reports whether sig is pub's signature over message.
func verifies(pub crypto.PublicKey, message, sig []byte) bool {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, message, sig)
	case *ecdsa.PublicKey:
		short := sha256.Sum256(message)
		switch k.Curve {
		case elliptic.P256():
			return verifiesECDSA(k, short[:], sig)
		case elliptic.P384():
			// Some signers hash with SHA-256 whatever the curve.
			long := sha512.Sum384(message)
			return verifiesECDSA(k, long[:], sig) || verifiesECDSA(k, short[:], sig)
		}
	}
	return false
}

// verifiesECDSA takes DER, and raw r||s (IEEE P1363) as others write it.
func verifiesECDSA(k *ecdsa.PublicKey, sum, sig []byte) bool {
	if len(sum) < sha256.Size {
		return false
	}
	if ecdsa.VerifyASN1(k, sum, sig) {
		return true
	}
	size := (k.Curve.Params().BitSize + 7) / 8
	if len(sig) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])
	return ecdsa.Verify(k, sum, r, s)
}
