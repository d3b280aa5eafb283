//go:build pkcs11 && cgo

package hsm

import (
	"context"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/hsm/hsmtest"
)

func asks(pin string) sign.Passphrase { return func() ([]byte, error) { return []byte(pin), nil } }

func TestSoftHSM(t *testing.T) {
	module := hsmtest.SoftHSM(t)
	for _, label := range []string{"p256", "p384"} {
		k, err := Open(Options{Module: module, Token: hsmtest.Token, Key: label, PIN: asks(hsmtest.PIN)})
		if err != nil {
			t.Fatal(err)
		}
		data, err := sign.SignStatement(context.Background(), k, attest.PayloadType, []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		b, err := sign.ParseBundle(data)
		if err != nil {
			t.Fatal(err)
		}
		if id, _, err := sign.Verify(b, map[string]crypto.PublicKey{k.KeyID(): k.Public()}); err != nil || id != k.KeyID() {
			t.Errorf("%s: %s, %v", label, id, err)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, tt := range []struct {
		code string
		o    Options
	}{
		{"pkcs11-pin", Options{module, hsmtest.Token, "p256", asks("654321")}},
		{"pkcs11-token", Options{module, "other", "p256", asks(hsmtest.PIN)}},
		{"pkcs11-key", Options{module, hsmtest.Token, "other", asks(hsmtest.PIN)}},
		{"key-unsupported", Options{module, hsmtest.Token, "rsa", asks(hsmtest.PIN)}},
		{"pkcs11-module", Options{"/nowhere.so", hsmtest.Token, "p256", asks(hsmtest.PIN)}},
	} {
		if _, err := Open(tt.o); gate.Code(err) != tt.code {
			t.Errorf("%v, want %s", err, tt.code)
		}
	}
}

// A token that goes away after it was opened, and one whose key was taken out of it: nothing is signed, and it is said which.
func TestSoftHSMGone(t *testing.T) {
	module := hsmtest.SoftHSM(t)
	k, err := Open(Options{Module: module, Token: hsmtest.Token, Key: "p256", PIN: asks(hsmtest.PIN)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sign(context.Background(), []byte("m")); err != nil {
		t.Fatal(err)
	}
	hsmtest.Remove(t, module, "p256")
	_, err = sign.SignStatement(context.Background(), k, attest.PayloadType, []byte(`{}`))
	if gate.Code(err) != "pkcs11-failed" {
		t.Errorf("%v, want pkcs11-failed", err)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := k.Sign(stopped, []byte("m")); !errors.Is(err, context.Canceled) {
		t.Errorf("after an interrupt: %v", err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	// A file that is no library, and a library that is no PKCS#11 module.
	text := filepath.Join(t.TempDir(), "module.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, "/lib/x86_64-linux-gnu/libc.so.6"} {
		if _, err := Open(Options{Module: path, Token: hsmtest.Token, Key: "p256", PIN: asks(hsmtest.PIN)}); gate.Code(err) != "pkcs11-module" {
			t.Errorf("%s: %v, want pkcs11-module", path, err)
		}
	}
}
