package trust

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
)

// Least sizes of keys, in bits.
const (
	leastRSA   = 3072
	leastCurve = 256
)

// weak reports whether a public key (DER, SubjectPublicKeyInfo) is below what may be trusted. RSA keys
// are not accepted at any size; a weak one is named as such.
func weak(der []byte) bool {
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return false
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() < leastRSA
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize < leastCurve
	}
	return false
}
