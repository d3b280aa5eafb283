package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
)

func passphrase(s string) Passphrase { return func() ([]byte, error) { return []byte(s), nil } }

func pkcs8(t *testing.T, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: der})
}

func ecdsaKey(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func edwardsKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKindsOfKeysSignAndVerify(t *testing.T) {
	t.Parallel()
	p256 := ecdsaKey(t, elliptic.P256())
	ecDER, err := x509.MarshalECPrivateKey(p256)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := newKey(p256)
	if err != nil {
		t.Fatal(err)
	}
	box, err := wrapped.PrivatePEM([]byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"P-256":             pkcs8(t, p256),
		"P-256, EC form":    pem.EncodeToMemory(&pem.Block{Type: pemEC, Bytes: ecDER}),
		"P-384":             pkcs8(t, ecdsaKey(t, elliptic.P384())),
		"Ed25519":           pkcs8(t, edwardsKey(t)),
		"encrypted":         box,
		"encrypted, cosign": bytes.ReplaceAll(box, []byte("SIGSTORE"), []byte("COSIGN")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := ParseKey(text, passphrase("open sesame"))
			if err != nil {
				t.Fatal(err)
			}
			id, _, err := parseAndVerify(signed(t, k), trusting(k))
			if err != nil || id != k.KeyID() {
				t.Errorf("%s, %v", id, err)
			}
			sig, err := k.Sign(context.Background(), []byte("m"))
			if err != nil {
				t.Fatal(err)
			}
			if verifies(k.Public(), []byte("n"), sig) || verifies(nil, []byte("m"), sig) {
				t.Error("the signature verifies for something else")
			}
		})
	}
}

// Others write ECDSA signatures as raw r||s.
func TestRawSignaturesVerify(t *testing.T) {
	t.Parallel()
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		k, err := newKey(ecdsaKey(t, curve))
		if err != nil {
			t.Fatal(err)
		}
		der, err := k.Sign(context.Background(), []byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &rs); err != nil {
			t.Fatal(err)
		}
		size := curve.Params().BitSize / 8
		raw := append(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))...)
		if !verifies(k.Public(), []byte("m"), raw) {
			t.Errorf("%s: raw signature refused", curve.Params().Name)
		}
		raw[3] ^= 1
		if verifies(k.Public(), []byte("m"), raw) || verifies(k.Public(), []byte("m"), make([]byte, 2*size)) {
			t.Errorf("%s: wrong raw signature accepted", curve.Params().Name)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	k := generate(t)
	box, err := k.PrivatePEM([]byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind, content string) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)})
	}
	tests := []struct {
		name, code string
		text       []byte
		ask        Passphrase
	}{
		{"empty", "key-malformed", nil, nil},
		{"text", "key-malformed", []byte("secret"), nil},
		{"damaged", "key-malformed", block(pemPKCS8, "secret"), nil},
		{"damaged, EC", "key-malformed", block(pemEC, "secret"), nil},
		{"RSA", "key-unsupported", pkcs8(t, r), nil},
		{"P-521", "key-unsupported", pkcs8(t, ecdsaKey(t, elliptic.P521())), nil},
		{"a public key", "key-unsupported", public, nil},
		{"encrypted by others", "key-unsupported", block("ENCRYPTED PRIVATE KEY", "secret"), nil},
		{"no passphrase", "key-passphrase-missing", box, nil},
		{"wrong passphrase", "key-passphrase-wrong", box, passphrase("wrong")},
		{"not the box it says", "key-passphrase-wrong", block(pemCosign, `{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1}}}`), passphrase("right")},
	}
	for _, tt := range tests {
		_, err := ParseKey(tt.text, tt.ask)
		if gate.Code(err) != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "right")) {
			t.Errorf("%s: the error shows a secret: %v", tt.name, err)
		}
	}
	unavailable := errors.New("no terminal")
	if _, err := ParseKey(box, func() ([]byte, error) { return nil, unavailable }); !errors.Is(err, unavailable) {
		t.Errorf("asking fails: %v", err)
	}
}

func TestPassphraseIsOverwritten(t *testing.T) {
	t.Parallel()
	k := generate(t)
	box, err := k.PrivatePEM([]byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	given := []byte("right")
	if _, err := ParseKey(box, func() ([]byte, error) { return given, nil }); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(given, make([]byte, 5)) {
		t.Errorf("the passphrase is still there: %q", given)
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{"plain": "", "encrypted": "open sesame"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := generate(t)
			path := filepath.Join(t.TempDir(), "key.pem")
			if err := WriteKeyFile(path, k, []byte(secret)); err != nil {
				t.Fatal(err)
			}
			got, err := ReadKeyFile(path, passphrase(secret))
			if err != nil || got.KeyID() != k.KeyID() {
				t.Fatalf("read %v, %v", got, err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]string{"": pemPKCS8, "open sesame": pemEncrypted}[secret]; !bytes.HasPrefix(data, []byte("-----BEGIN "+want+"-----")) {
				t.Errorf("wrote %.60s", data)
			}
			if err := WriteKeyFile(path, generate(t), nil); gate.Code(err) != "key-exists" {
				t.Errorf("written over a key: %v", err)
			}
			if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, data) {
				t.Errorf("the key changed: %v", err)
			}
		})
	}
}

func TestReadKeyFileRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := ReadKeyFile(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := ReadKeyFile(dir, nil); gate.Code(err) != "key-malformed" {
		t.Errorf("a folder: %v", err)
	}
	bad := filepath.Join(dir, "bad.pem")
	if err := os.WriteFile(bad, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var r *gate.Refusal
	if _, err := ReadKeyFile(bad, nil); !errors.As(err, &r) || r.Where != bad {
		t.Errorf("the refusal does not say where: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	path := filepath.Join(dir, "key.pem")
	if err := WriteKeyFile(path, generate(t), nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, mode := range []fs.FileMode{0o604, 0o640, 0o660, 0o602, 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKeyFile(path, nil)
		if !errors.As(err, &r) || r.Code != "key-file-permissions" || r.Fix != "chmod 600 "+path {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// However a key is printed, it shows its id and nothing of its secret.
func TestPrintedKeyShowsItsID(t *testing.T) {
	t.Parallel()
	k := generate(t)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, k); got != k.KeyID() {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

// OpenSSL's way of checking needs nothing of ours: the signature is plain ECDSA over DSSE's encoding.
func TestSignatureCoversThePAE(t *testing.T) {
	t.Parallel()
	if got := string(pae("http://example.com/HelloWorld", []byte("hello world"))); got != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Errorf("encoded %q", got)
	}
	k := generate(t)
	b, err := ParseBundle(signed(t, k))
	if err != nil {
		t.Fatal(err)
	}
	sum := crypto.SHA256.New()
	sum.Write([]byte("DSSEv1 28 " + attest.PayloadType + " " + fmt.Sprint(len(payload)) + " "))
	sum.Write(payload)
	if !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), sum.Sum(nil), b.Envelope.Signature) {
		t.Error("not a DER signature over the encoding")
	}
}

func FuzzParseKey(f *testing.F) {
	k := generate(f)
	text, err := k.PrivatePEM(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := ParseKey(data, nil); err != nil && gate.Code(err) == "" || err == nil && k.KeyID() == "" {
			t.Errorf("%v, %v", k, err)
		}
	})
}
