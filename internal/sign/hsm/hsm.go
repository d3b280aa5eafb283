// Package hsm signs with keys in hardware that speaks PKCS#11.
//
// The module is a C library that has to be loaded into the process, which a program without cgo cannot do. The published programs
// have none: they refuse with pkcs11-not-built. go build -tags pkcs11 with cgo gives one that signs.
package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// Options name a key.
type Options struct {
	Module string          // path of the C library
	Token  string          // label
	Key    string          // label
	PIN    sign.Passphrase // asks for it
}

// Key is a key in hardware. It is a sign.Signer.
type Key struct {
	private crypto.Signer
	id      string
	where   string
	close   func() error
}

var _ sign.Signer = (*Key)(nil)

// Open logs in and finds the key. It refuses, by code: pkcs11-not-built, pkcs11-module, pkcs11-token, pkcs11-pin, pkcs11-key,
// key-unsupported.
func Open(o Options) (*Key, error) {
	where := o.Module + ", token " + o.Token + ", key " + o.Key
	private, end, err := open(o)
	if err != nil {
		return nil, err
	}
	id, err := trust.KeyID(private.Public())
	if _, ok := private.Public().(*ecdsa.PublicKey); err == nil && !ok {
		err = errors.New("it is no ECDSA key")
	}
	if err != nil {
		return nil, errors.Join(&gate.Refusal{Code: "key-unsupported", Class: gate.Usage, Where: where, What: "the key is of an unsupported kind", Expected: "ECDSA on P-256 or P-384", Cause: err,
			Fix: "make a key of this kind in the token"}, end())
	}
	return &Key{private: private, id: id, where: where, close: end}, nil
}

func refuse(code, where, what, expected, fix string, cause error) error {
	return &gate.Refusal{Code: code, Class: gate.Usage, Where: where, What: what, Expected: expected, Fix: fix, Cause: cause}
}

// Close logs out.
func (k *Key) Close() error { return k.close() }

// Public gives the public key.
func (k *Key) Public() crypto.PublicKey { return k.private.Public() }

// KeyID names the public key.
func (k *Key) KeyID() string { return k.id }

// Private is the key, which signs and is not read, for what signs in other formats than DSSE: tags.
func (k *Key) Private() crypto.Signer { return k.private }

// Sign has the token sign the message.
func (k *Key) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sum, hash := sha256.Sum256(message), crypto.SHA256
	digest := sum[:]
	if pub, ok := k.Public().(*ecdsa.PublicKey); ok && pub.Curve == elliptic.P384() {
		long := sha512.Sum384(message)
		digest, hash = long[:], crypto.SHA384
	}
	sig, err := k.private.Sign(rand.Reader, digest, hash)
	if err != nil {
		return nil, &gate.Refusal{Code: "pkcs11-failed", Class: gate.Failed, Where: k.where, What: "the token does not sign", Cause: err, Fix: "see whether it is still there; nothing was signed by halves, and the same command goes on where it stopped"}
	}
	return sig, nil
}

// Bundle signs a payload.
func (k *Key) Bundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	return sign.KeyBundle(ctx, k, payloadType, payload)
}
