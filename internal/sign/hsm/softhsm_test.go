//go:build pkcs11 && cgo

package hsm

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ThalesGroup/crypto11"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
)

const pin = "123456"

// softHSM makes a token with keys p256, p384 and rsa, and gives the module.
func softHSM(t *testing.T) string {
	t.Helper()
	util, err := exec.LookPath("softhsm2-util")
	modules, _ := filepath.Glob("/usr/lib/*/softhsm/libsofthsm2.so")
	modules = append(modules, "/usr/lib/softhsm/libsofthsm2.so")
	if _, gone := os.Stat(modules[0]); err != nil || gone != nil {
		t.Skip("softhsm2 is not installed: apt-get install softhsm2")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nobjectstore.backend = file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	if out, err := exec.Command(util, "--init-token", "--free", "--label", "sello", "--pin", pin, "--so-pin", "12345678").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ctx, err := crypto11.Configure(&crypto11.Config{Path: modules[0], TokenLabel: "sello", Pin: pin})
	if err != nil {
		t.Fatal(err)
	}
	defer ctx.Close()
	for label, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384()} {
		if _, err := ctx.GenerateECDSAKeyPairWithLabel([]byte(label), []byte(label), curve); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ctx.GenerateRSAKeyPairWithLabel([]byte("rsa"), []byte("rsa"), 2048); err != nil {
		t.Fatal(err)
	}
	return modules[0]
}

func asks(pin string) sign.Passphrase { return func() ([]byte, error) { return []byte(pin), nil } }

func TestSoftHSM(t *testing.T) {
	module := softHSM(t)
	for _, label := range []string{"p256", "p384"} {
		k, err := Open(Options{Module: module, Token: "sello", Key: label, PIN: asks(pin)})
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
		{"pkcs11-pin", Options{module, "sello", "p256", asks("654321")}},
		{"pkcs11-token", Options{module, "other", "p256", asks(pin)}},
		{"pkcs11-key", Options{module, "sello", "other", asks(pin)}},
		{"key-unsupported", Options{module, "sello", "rsa", asks(pin)}},
		{"pkcs11-module", Options{"/nowhere.so", "sello", "p256", asks(pin)}},
	} {
		if _, err := Open(tt.o); gate.Code(err) != tt.code {
			t.Errorf("%v, want %s", err, tt.code)
		}
	}
}
