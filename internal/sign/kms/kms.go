// Package kms signs with keys that a service holds: AWS KMS, Azure Key Vault, Google Cloud KMS and HashiCorp Vault, through
// Sigstore's providers. This package and no other links them.
//
// The key never leaves the service. Credentials are what the provider finds in the environment, as for any of its tools. Programs that
// sigstore would start as plugins are not: an unknown scheme is refused. Neither is Vault's token helper.
package kms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/aws"      // awskms://
	_ "github.com/sigstore/sigstore/pkg/signature/kms/azure"    // azurekms://
	_ "github.com/sigstore/sigstore/pkg/signature/kms/gcp"      // gcpkms://
	"github.com/sigstore/sigstore/pkg/signature/kms/hashivault" // hashivault://, openbao://
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// SecretVariables are environment variables from which the providers take secrets that no other part of Sello knows.
var SecretVariables = []string{"VAULT_TOKEN", "BAO_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD"}

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
	credentials, err := vaultToken(uri)
	if err != nil {
		return nil, failed(uri, "there is no token for the service", err)
	}
	at, err := kms.Get(ctx, uri, crypto.SHA256, credentials...)
	if err != nil {
		return nil, failed(uri, "the service does not open the key", err)
	}
	public, err := guarded(func() (crypto.PublicKey, error) { return at.PublicKey(options.WithContext(ctx)) })
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
		if at, err = kms.Get(ctx, uri, crypto.SHA384, credentials...); err != nil {
			return nil, failed(uri, "the service does not open the key", err)
		}
	}
	return &Key{at: at, public: public, id: id, where: uri}, nil
}

// maxToken bounds a token that is read, in bytes.
const maxToken = 64 << 10

// vaultToken gives what vault login left behind, where the environment has no token. The provider would read it as well, and run the
// program that ~/.vault names when there is one.
func vaultToken(uri string) ([]signature.RPCOption, error) {
	vault := strings.HasPrefix(uri, hashivault.ReferenceScheme) || strings.HasPrefix(uri, hashivault.AlternativeScheme)
	if !vault || os.Getenv("VAULT_TOKEN") != "" || os.Getenv("BAO_TOKEN") != "" {
		return nil, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(home, ".vault-token"))
	if err != nil {
		return nil, fmt.Errorf("VAULT_TOKEN and BAO_TOKEN are not set: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err == nil && len(bytes.TrimSpace(data)) == 0 {
		err = errors.New("VAULT_TOKEN and BAO_TOKEN are not set, and " + f.Name() + " is empty")
	}
	return []signature.RPCOption{options.WithRPCAuthOpts(options.RPCAuth{Token: string(bytes.TrimSpace(data))})}, err
}

// guarded asks a provider. An answer that its client did not expect can end in a panic there, which is no reason to end here.
func guarded[T any](ask func() (T, error)) (out T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the service's answer is none: %v", r)
		}
	}()
	return ask()
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
	sig, err := guarded(func() ([]byte, error) { return k.at.SignMessage(bytes.NewReader(message), options.WithContext(ctx)) })
	if err != nil {
		return nil, failed(k.where, "the service does not sign", err)
	}
	return sig, nil
}

// Bundle signs a payload.
func (k *Key) Bundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	return sign.KeyBundle(ctx, k, payloadType, payload)
}
