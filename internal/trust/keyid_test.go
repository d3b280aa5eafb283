package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func publicPEM(t *testing.T, pub crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// The key id is OpenSSH's fingerprint.
func TestKeyIDIsTheSSHFingerprint(t *testing.T) {
	t.Parallel()
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := []crypto.PublicKey{edwards}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k.Public())
	}
	for _, pub := range keys {
		id, err := KeyID(pub)
		if err != nil {
			t.Fatal(err)
		}
		sshKey, err := ssh.NewPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		if want := ssh.FingerprintSHA256(sshKey); id != want {
			t.Errorf("%T: %s, OpenSSH says %s", pub, id, want)
		}
		parsed, err := ParsePublicKey(publicPEM(t, pub))
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := KeyID(parsed); again != id {
			t.Errorf("%T: another id after a round trip", pub)
		}
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	t.Parallel()
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := string(publicPEM(t, good.Public()))
	for name, s := range map[string]string{
		"empty":         "",
		"no PEM":        "ssh-ed25519 AAAA",
		"two keys":      text + text,
		"more text":     text + "x",
		"wrong type":    strings.ReplaceAll(text, "PUBLIC KEY", "PRIVATE KEY"),
		"damaged":       strings.Replace(text, "MFkw", "MFkx", 1),
		"RSA":           string(publicPEM(t, r.Public())),
		"another curve": string(publicPEM(t, p521.Public())),
		"too large":     strings.Repeat("x", maxKeySize+1),
	} {
		if _, err := ParsePublicKey([]byte(s)); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func TestKeysOf(t *testing.T) {
	t.Parallel()
	identities := map[string]Identity{}
	for _, name := range []string{"service", "manager", "newcomer"} {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		identities[name] = Identity{Key: string(publicPEM(t, k.Public()))}
	}
	tr := &Trust{Identities: identities, Roles: map[string]Role{
		RoleBuilder: {Identities: []string{"service"}}, RoleManager: {Identities: []string{"manager", "nobody"}}, RoleAssociate: {Identities: []string{"newcomer"}}}}
	for _, tt := range []struct {
		roles []string
		want  int
	}{{nil, 3}, {[]string{RoleBuilder}, 1}, {[]string{RoleBuilder, RoleManager}, 2}, {[]string{"unknown"}, 0}} {
		if got := tr.KeysOf(tt.roles...); len(got) != tt.want {
			t.Errorf("%v: %d keys, want %d", tt.roles, len(got), tt.want)
		}
	}
	pub, _ := tr.PublicKey("service")
	id, _ := KeyID(pub)
	if tr.KeysOf(RoleBuilder)[id] == nil {
		t.Error("the builder's key is not there under its id")
	}
}
