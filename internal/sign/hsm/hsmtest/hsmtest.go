//go:build pkcs11 && cgo

package hsmtest

import (
	"crypto/elliptic"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ThalesGroup/crypto11"
)

// The token, and what opens it.
const (
	Token = "sello"
	PIN   = "123456"
)

// SoftHSM makes a token with keys p256, p384 and rsa, and gives the module. SOFTHSM2_CONF, which the module reads, is set for the test.
func SoftHSM(tb testing.TB) string {
	tb.Helper()
	util, err := exec.LookPath("softhsm2-util")
	modules, _ := filepath.Glob("/usr/lib/*/softhsm/libsofthsm2.so")
	modules = append(modules, "/usr/lib/softhsm/libsofthsm2.so")
	if _, gone := os.Stat(modules[0]); err != nil || gone != nil {
		tb.Skip("softhsm2 is not installed: run scripts/deps test")
	}
	dir := tb.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	check(tb, os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nobjectstore.backend = file\n"), 0o600))
	tb.Setenv("SOFTHSM2_CONF", conf)
	if out, err := exec.Command(util, "--init-token", "--free", "--label", Token, "--pin", PIN, "--so-pin", "12345678").CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, out)
	}
	with(tb, modules[0], func(ctx *crypto11.Context) {
		for label, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384()} {
			_, err := ctx.GenerateECDSAKeyPairWithLabel([]byte(label), []byte(label), curve)
			check(tb, err)
		}
		_, err := ctx.GenerateRSAKeyPairWithLabel([]byte("rsa"), []byte("rsa"), 2048)
		check(tb, err)
	})
	return modules[0]
}

// Remove takes a key out of the token.
func Remove(tb testing.TB, module, label string) {
	tb.Helper()
	with(tb, module, func(ctx *crypto11.Context) {
		key, err := ctx.FindKeyPair(nil, []byte(label))
		check(tb, err)
		check(tb, key.Delete())
	})
}

func with(tb testing.TB, module string, do func(*crypto11.Context)) {
	tb.Helper()
	ctx, err := crypto11.Configure(&crypto11.Config{Path: module, TokenLabel: Token, Pin: PIN})
	check(tb, err)
	defer ctx.Close()
	do(ctx)
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
