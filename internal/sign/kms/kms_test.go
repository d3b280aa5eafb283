package kms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
)

const uri = "fakekms://key"

func with(key crypto.PrivateKey) context.Context {
	return context.WithValue(context.Background(), fake.KmsCtxKey{}, key)
}

func TestSign(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		ctx := with(private)
		k, err := Open(ctx, uri)
		if err != nil {
			t.Fatal(err)
		}
		data, err := sign.SignStatement(ctx, k, attest.PayloadType, []byte(`{}`))
		if err != nil {
			t.Fatalf("%s: %v", curve.Params().Name, err)
		}
		b, err := sign.ParseBundle(data)
		if err != nil {
			t.Fatal(err)
		}
		if id, _, err := sign.Verify(b, map[string]crypto.PublicKey{k.KeyID(): &private.PublicKey}); err != nil || id != k.KeyID() {
			t.Errorf("%s: %s, %v", curve.Params().Name, id, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("VAULT_TOKEN", "nothing")
	t.Setenv("VAULT_MAX_RETRIES", "0")
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, uri, code string
		ctx             context.Context
	}{
		{"no scheme", "key", "kms-uri", context.Background()},
		{"a program", "evil://key", "kms-uri", context.Background()},
		{"no server", "hashivault://key", "kms-failed", context.Background()},
		{"RSA", uri, "key-unsupported", with(weak)},
		{"P-224", uri, "key-unsupported", with(small)},
	} {
		if _, err := Open(tt.ctx, tt.uri); gate.Code(err) != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
	}
}
