package sign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// PEM types of private keys. The encrypted ones are what cosign writes and reads.
const (
	pemPKCS8     = "PRIVATE KEY"
	pemEC        = "EC PRIVATE KEY"
	pemEncrypted = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemCosign    = "ENCRYPTED COSIGN PRIVATE KEY"
)

// Key is a private key in memory. It is a Signer. Printed, it shows its key id and nothing else.
type Key struct {
	private crypto.Signer
	id      string
}

// Generate makes a new ECDSA key on P-256.
func Generate() (*Key, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return newKey(k)
}

// GenerateEd25519 makes a new Ed25519 key, which transparency logs sign with.
func GenerateEd25519() (*Key, error) {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return newKey(k)
}

func newKey(private any) (*Key, error) {
	s, ok := private.(crypto.Signer)
	if !ok {
		return nil, keyRefusal("key-unsupported", "the private key is of a kind that cannot sign", nil)
	}
	id, err := trust.KeyID(s.Public())
	if err != nil {
		return nil, keyRefusal("key-unsupported", "the private key is of an unsupported kind", err)
	}
	return &Key{private: s, id: id}, nil
}

// Public gives the public key.
func (k *Key) Public() crypto.PublicKey { return k.private.Public() }

// KeyID names the public key, as ssh-keygen -l does.
func (k *Key) KeyID() string { return k.id }

// Private gives the private key itself, for what signs in other formats than DSSE: tags.
func (k *Key) Private() crypto.Signer { return k.private }

// String is the key id.
func (k *Key) String() string { return k.id }

// GoString is the key id.
func (k *Key) GoString() string { return k.id }

// Sign signs the message: SHA-256 with P-256, SHA-384 with P-384, and DER; or Ed25519.
func (k *Key) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, ok := k.private.(ed25519.PrivateKey); ok {
		return k.private.Sign(nil, message, crypto.Hash(0))
	}
	if pub, ok := k.Public().(*ecdsa.PublicKey); ok && pub.Curve == elliptic.P384() {
		sum := sha512.Sum384(message)
		return k.private.Sign(rand.Reader, sum[:], crypto.SHA384)
	}
	sum := sha256.Sum256(message)
	return k.private.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// Bundle signs a payload.
func (k *Key) Bundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	return KeyBundle(ctx, k, payloadType, payload)
}

// PublicPEM gives the public key as PEM ("PUBLIC KEY"), as trust.yaml holds it.
func (k *Key) PublicPEM() ([]byte, error) { return PublicPEM(k.Public()) }

// PublicPEM gives a public key as PEM ("PUBLIC KEY").
func PublicPEM(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// PrivatePEM gives the private key as PEM: encrypted with the passphrase in the way
// cosign does, or as PKCS#8 when the passphrase is empty.
func (k *Key) PrivatePEM(passphrase []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	defer clear(der)
	if len(passphrase) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: der}), nil
	}
	box, err := encrypted.Encrypt(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("encrypt private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemEncrypted, Bytes: box}), nil
}

// Passphrase asks for the passphrase of an encrypted key. What it returns is overwritten after use.
type Passphrase func() ([]byte, error)

// ParseKey reads a private key from PEM: PKCS#8, EC, or encrypted as cosign does. ask is
// called only for an encrypted key; it may be nil. It refuses, by code: key-malformed,
// key-unsupported, key-passphrase-missing, key-passphrase-wrong.
func ParseKey(pemBytes []byte, ask Passphrase) (*Key, error) {
	block, _ := pem.Decode(pemBytes)
	if block == nil {
		return nil, keyRefusal("key-malformed", "there is no private key in PEM form", nil)
	}
	defer clear(block.Bytes)
	switch block.Type {
	case pemPKCS8:
		return parsePKCS8(block.Bytes)
	case pemEC:
		k, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return nil, keyRefusal("key-malformed", "the private key is damaged", nil)
		}
		return newKey(k)
	case pemEncrypted, pemCosign:
		return decrypt(block.Bytes, ask)
	}
	return nil, keyRefusal("key-unsupported", fmt.Sprintf("a PEM block of type %.60q is not a private key that Sello reads", block.Type), nil)
}

func parsePKCS8(der []byte) (*Key, error) {
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		// The cause is left out: it describes the content of a private key.
		return nil, keyRefusal("key-malformed", "the private key is damaged", nil)
	}
	return newKey(k)
}

func decrypt(box []byte, ask Passphrase) (*Key, error) {
	if ask == nil {
		return nil, keyRefusal("key-passphrase-missing", "the private key is encrypted and no passphrase was given", nil)
	}
	passphrase, err := ask()
	if err != nil {
		return nil, fmt.Errorf("ask for passphrase: %w", err)
	}
	defer clear(passphrase)
	der, err := encrypted.Decrypt(box, passphrase)
	if err != nil {
		return nil, keyRefusal("key-passphrase-wrong", "the private key does not open with this passphrase", nil)
	}
	defer clear(der)
	return parsePKCS8(der)
}

var keyFixes = map[string]string{
	"key-malformed":          "give a file that sello key generate or cosign generate-key-pair wrote",
	"key-unsupported":        "use an ECDSA P-256, P-384 or Ed25519 key: sello key generate",
	"key-passphrase-missing": "set the passphrase where Sello asks for it",
	"key-passphrase-wrong":   "try the passphrase again; if it is certainly right, the file is damaged",
}

func keyRefusal(code, what string, cause error) error {
	return &gate.Refusal{Code: code, Class: gate.Usage, What: what, Cause: cause, Fix: keyFixes[code]}
}
