// Package kms signs with keys that a service holds: AWS KMS, Azure Key Vault, Google Cloud KMS and HashiCorp Vault, through
// Sigstore's providers. This package and no other links them.
//
// The key never leaves the service. Credentials are what the provider finds in the environment, as for any of its tools. Programs that
// sigstore would start as plugins are not: an unknown scheme is refused.
package kms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"slices"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/aws"        // awskms://
	_ "github.com/sigstore/sigstore/pkg/signature/kms/azure"      // azurekms://
	_ "github.com/sigstore/sigstore/pkg/signature/kms/gcp"        // gcpkms://
	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault" // hashivault://
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// SecretVariables are environment variables from which the providers take secrets that no other part of Sello knows.
var SecretVariables = []string{"VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD"}

// Key is a key in a service. It is a sign.Signer.
type Key struct {
	at     kms.SignerVerifier
	public crypto.PublicKey
	id     string
	where  string
}

var _ sign.Signer = (*Key)(nil)

// Open finds the key that a URI names (awskms://, azurekms://, gcpkms://, hashivault://), and asks for its public key. It refuses, by
// code: kms-uri, kms-failed, key-unsupported.
func Open(ctx context.Context, uri string) (*Key, error) {
	schemes := kms.SupportedProviders()
	slices.Sort(schemes)
	if !slices.ContainsFunc(schemes, func(s string) bool { return strings.HasPrefix(uri, s) }) {
		return nil, &gate.Refusal{Code: "kms-uri", Class: gate.Usage, What: "this names no key of a service", Expected: "one of " + strings.Join(schemes, " "), Actual: uri, Fix: "write kms: with the key's URI, as cosign takes it"}
	}
	at, err := kms.Get(ctx, uri, crypto.SHA256)
	if err != nil {
		return nil, failed(uri, "the service does not open the key", err)
	}
	public, err := at.PublicKey(options.WithContext(ctx))
	if err != nil {
		return nil, failed(uri, "the service does not give the key's public half", err)
	}
	id, err := trust.KeyID(public)
	if err != nil {
		return nil, unsupported(uri, err)
	}
	switch k, ok := public.(*ecdsa.PublicKey); {
	case !ok:
		return nil, unsupported(uri, errors.New("it is no ECDSA key"))
	case k.Curve == elliptic.P384():
		if at, err = kms.Get(ctx, uri, crypto.SHA384); err != nil {
			return nil, failed(uri, "the service does not open the key", err)
		}
	}
	return &Key{at: at, public: public, id: id, where: uri}, nil
}

func failed(uri, what string, err error) error {
	return &gate.Refusal{Code: "kms-failed", Class: gate.Failed, Where: uri, What: what, Cause: err,
		Fix: "check the key's name and this machine's credentials; nothing was signed by halves, and the same command goes on where it stopped"}
}

func unsupported(uri string, err error) error {
	return &gate.Refusal{Code: "key-unsupported", Class: gate.Usage, Where: uri, What: "the key is of an unsupported kind", Expected: "ECDSA on P-256 or P-384", Cause: err, Fix: "make a key of this kind in the service"}
}

// Public gives the public key.
func (k *Key) Public() crypto.PublicKey { return k.public }

// KeyID names the public key.
func (k *Key) KeyID() string { return k.id }

// Sign has the service sign the message.
func (k *Key) Sign(ctx context.Context, message []byte) ([]byte, error) {
	sig, err := k.at.SignMessage(bytes.NewReader(message), options.WithContext(ctx))
	if err != nil {
		return nil, failed(k.where, "the service does not sign", err)
	}
	return sig, nil
}

// Bundle signs a payload.
func (k *Key) Bundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	return sign.KeyBundle(ctx, k, payloadType, payload)
}
