package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// maxKeySize bounds the PEM text of a public key, in bytes.
const maxKeySize = 16 << 10

// KeyID names a public key: "SHA256:" and the unpadded base64 of the SHA-256 of the key in
// SSH's wire format. It is what `ssh-keygen -lf` prints for the key's PEM file.
// Keys are ECDSA on P-256 or P-384, and Ed25519.
func KeyID(pub crypto.PublicKey) (string, error) {
	var wire []byte
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		name, err := curveName(k.Curve)
		if err != nil {
			return "", err
		}
		point, err := k.Bytes()
		if err != nil {
			return "", fmt.Errorf("encode public key: %w", err)
		}
		wire = sshStrings([]byte("ecdsa-sha2-"+name), []byte(name), point)
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", fmt.Errorf("encode public key: %d bytes are no Ed25519 key", len(k))
		}
		wire = sshStrings([]byte("ssh-ed25519"), k)
	default:
		return "", fmt.Errorf("a public key of type %T: use ECDSA P-256, P-384 or Ed25519", pub)
	}
	sum := sha256.Sum256(wire)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]), nil
}

// ParsePublicKey reads one public key as PEM ("PUBLIC KEY", the form that
// openssl and cosign write). Keys are ECDSA on P-256 or P-384, and Ed25519;
// anything else, or more than one key, is an error.
func ParsePublicKey(pemBytes []byte) (crypto.PublicKey, error) {
	if len(pemBytes) > maxKeySize {
		return nil, fmt.Errorf("read public key: more than %d bytes", maxKeySize)
	}
	block, rest := pem.Decode(pemBytes)
	switch {
	case block == nil:
		return nil, errors.New("read public key: no PEM block of the type PUBLIC KEY")
	case block.Type != "PUBLIC KEY":
		return nil, fmt.Errorf("read public key: a PEM block of type %q instead of PUBLIC KEY", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("read public key: more than one key")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	if _, err := KeyID(pub); err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	return pub, nil
}

// KeysOf gives the public keys of all identities that have one of the roles, by key
// id; without a role, those of all identities.
func (t *Trust) KeysOf(roles ...string) map[string]crypto.PublicKey {
	keys := map[string]crypto.PublicKey{}
	for name := range t.Identities {
		if !t.hasOne(name, roles) {
			continue
		}
		if pub, ok := t.PublicKey(name); ok {
			if id, err := KeyID(pub); err == nil {
				keys[id] = pub
			}
		}
	}
	return keys
}

// hasOne reports whether the identity has one of the roles; without roles, it has.
func (t *Trust) hasOne(name string, roles []string) bool {
	return len(roles) == 0 || slices.ContainsFunc(roles, func(role string) bool { return t.HasRole(name, role) })
}

func curveName(c elliptic.Curve) (string, error) {
	switch c {
	case elliptic.P256():
		return "nistp256", nil
	case elliptic.P384():
		return "nistp384", nil
	}
	return "", errors.New("an ECDSA key on an unsupported curve: use P-256 or P-384")
}

// sshStrings encodes byte strings as SSH does (RFC 4251, section 5): each with its length before it.
func sshStrings(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}
