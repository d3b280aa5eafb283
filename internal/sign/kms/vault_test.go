package kms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
)

// vault is as much of HashiCorp Vault's Transit secrets engine as is asked for, by its HTTP API: it is no Vault, which takes too long to build.
type vault struct {
	key   *ecdsa.PrivateKey
	token string // that it wants
	first func(w http.ResponseWriter, r *http.Request) bool
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, data any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(data)
	}
	switch {
	case v.first != nil && v.first(w, r):
	case r.Header.Get("X-Vault-Token") != v.token:
		answer(http.StatusForbidden, map[string]any{"errors": []string{"permission denied"}})
	case r.Method == http.MethodGet && r.URL.Path == "/v1/transit/keys/release":
		der, err := x509.MarshalPKIXPublicKey(v.key.Public())
		if err != nil {
			panic(err)
		}
		public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		answer(http.StatusOK, map[string]any{"data": map[string]any{"type": "ecdsa-p256", "latest_version": 1, "keys": map[string]any{"1": map[string]any{"name": v.key.Params().Name, "public_key": public}}}})
	case r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/v1/transit/sign/release/"):
		var said struct {
			Input     []byte
			Prehashed bool
		}
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil || !said.Prehashed {
			answer(http.StatusBadRequest, map[string]any{"errors": []string{"bad request"}})
			return
		}
		sig, err := ecdsa.SignASN1(rand.Reader, v.key, said.Input)
		if err != nil {
			panic(err)
		}
		answer(http.StatusOK, map[string]any{"data": map[string]any{"signature": "vault:v1:" + base64.StdEncoding.EncodeToString(sig)}})
	default:
		answer(http.StatusNotFound, map[string]any{"errors": []string{}})
	}
}

// What Vault's client does with answers as they should be, and as they should not.
func TestVault(t *testing.T) {
	keys := map[elliptic.Curve]*ecdsa.PrivateKey{}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[curve] = key
	}
	good, other := keys[elliptic.P256()], &ecdsa.PrivateKey{}
	*other = *keys[elliptic.P384()]
	fixed := func(path string, status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/v1/transit/"+path) {
				return false
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	t.Setenv("VAULT_MAX_RETRIES", "0")
	t.Setenv("HOME", t.TempDir())
	for _, tt := range []struct {
		name, uri, token, opens, signs string
		v                              vault
	}{
		{"as it should", "hashivault://release", "s3cret-token", "", "", vault{key: good}},
		{"P-384", "hashivault://release", "s3cret-token", "", "", vault{key: other}},
		{"as OpenBao", "openbao://release", "s3cret-token", "", "", vault{key: good}},
		{"another token", "hashivault://release", "another-token", "kms-failed", "", vault{key: good}},
		{"another key's name", "hashivault://other", "s3cret-token", "kms-failed", "", vault{key: good}},
		{"a path", "hashivault://../sys/seal", "s3cret-token", "kms-failed", "", vault{key: good}},
		{"garbage for a key", "hashivault://release", "s3cret-token", "kms-failed", "", vault{key: good, first: fixed("keys/", 200, "garbage")}},
		{"a key in parts", "hashivault://release", "s3cret-token", "kms-failed", "", vault{key: good, first: fixed("keys/", 200, `{"data":{"keys":{"1":{}},"latest_version":1}}`)}},
		{"no key", "hashivault://release", "s3cret-token", "kms-failed", "", vault{key: good, first: fixed("keys/", 204, "")}},
		{"sealed", "hashivault://release", "s3cret-token", "kms-failed", "", vault{key: good, first: fixed("keys/", 503, `{"errors":["Vault is sealed"]}`)}},
		{"no answer to a signature", "hashivault://release", "s3cret-token", "", "kms-failed", vault{key: good, first: fixed("sign/", 204, "")}},
		{"no signature", "hashivault://release", "s3cret-token", "", "kms-failed", vault{key: good, first: fixed("sign/", 200, `{"data":{}}`)}},
		{"a number for a signature", "hashivault://release", "s3cret-token", "", "kms-failed", vault{key: good, first: fixed("sign/", 200, `{"data":{"signature":1}}`)}},
		{"may not sign", "hashivault://release", "s3cret-token", "", "kms-failed", vault{key: good, first: fixed("sign/", 403, `{"errors":["permission denied"]}`)}},
		{"another signature", "hashivault://release", "s3cret-token", "", "signer-signature", vault{key: good, first: fixed("sign/", 200, `{"data":{"signature":"vault:v1:`+base64.StdEncoding.EncodeToString([]byte("another"))+`"}}`)}},
	} {
		tt.v.token = "s3cret-token"
		s := httptest.NewServer(&tt.v)
		t.Setenv("VAULT_ADDR", s.URL)
		t.Setenv("VAULT_TOKEN", tt.token)
		k, err := Open(context.Background(), tt.uri)
		if gate.Code(err) != tt.opens || tt.opens == "" && err != nil {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.opens)
		}
		if err == nil {
			data, err := sign.SignStatement(context.Background(), k, attest.PayloadType, []byte(`{}`))
			if tt.signs == "" && err != nil || tt.signs != "" && (err == nil || !strings.Contains(err.Error(), tt.signs)) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.signs)
			}
			if err == nil {
				b, err := sign.ParseBundle(data)
				if err != nil {
					t.Fatal(err)
				}
				if id, _, err := sign.Verify(b, map[string]crypto.PublicKey{k.KeyID(): tt.v.key.Public()}); err != nil || id != k.KeyID() {
					t.Errorf("%s: %s, %v", tt.name, id, err)
				}
			}
		}
		if err != nil && strings.Contains(err.Error(), "-token") {
			t.Errorf("%s: the refusal shows the token: %v", tt.name, err)
		}
		s.Close()
	}
}

// The token that vault login left is taken where the environment has none; the program that ~/.vault names is not run.
func TestVaultTokenFile(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Setenv("VAULT_TOKEN", "")
	t.Setenv("BAO_TOKEN", "")
	t.Setenv("VAULT_MAX_RETRIES", "0")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&vault{key: key, token: "of-the-file"})
	defer s.Close()
	t.Setenv("VAULT_ADDR", s.URL)
	ran := filepath.Join(home, "ran")
	helper := filepath.Join(home, "helper")
	for name, text := range map[string]string{helper: "#!/bin/sh\ntouch " + ran + "\necho of-the-file\n", filepath.Join(home, ".vault"): "token_helper = \"" + helper + "\"\n"} {
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for text, code := range map[string]string{"-": "kms-failed", " \n": "kms-failed", "another": "kms-failed", "of-the-file\n": ""} {
		if text != "-" {
			if err := os.WriteFile(filepath.Join(home, ".vault-token"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := os.RemoveAll(filepath.Join(home, ".vault-token")); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), "hashivault://release"); gate.Code(err) != code || code == "" && err != nil {
			t.Errorf("%q: %v, want %q", text, err, code)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the helper was run")
	}
}
