package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// Signatures over files verify with each kind of key, over the digest that this kind signs.
func TestVerifyDigestKinds(t *testing.T) {
	t.Parallel()
	file := []byte("a file")
	s256, s384, s512 := sha256.Sum256(file), sha512.Sum384(file), sha512.Sum512(file)
	all := Digests{"sha256": hex.EncodeToString(s256[:]), "sha384": hex.EncodeToString(s384[:]), "sha512": hex.EncodeToString(s512[:])}
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for _, c := range []struct {
		name   string
		key    crypto.Signer
		sum    []byte
		opts   crypto.SignerOpts
		needs  string // the only digest that it takes
		accept bool
	}{
		{"P-256", p256, s256[:], crypto.SHA256, "sha256", true},
		{"P-384", p384, s384[:], crypto.SHA384, "sha384", true},
		{"P-384 with SHA-256", p384, s256[:], crypto.SHA256, "sha256", true},
		{"Ed25519ph", ed, s512[:], &ed25519.Options{Hash: crypto.SHA512}, "sha512", true},
		{"Ed25519 over the file", ed, file, crypto.Hash(0), "sha512", false},
		{"P-256 with SHA-384", p256, s384[:], crypto.SHA384, "sha384", false},
	} {
		sig, err := c.key.Sign(rand.Reader, c.sum, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		id, err := trust.KeyID(c.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseBundle(fmt.Appendf(nil, `{"mediaType":%q,"verificationMaterial":{"publicKey":{"hint":"other"}},"messageSignature":{"signature":%q}}`, MediaType, b64(sig)))
		if err != nil {
			t.Fatal(err)
		}
		keys := map[string]crypto.PublicKey{id: c.key.Public()}
		if got, err := VerifyDigest(b, keys, all); (err == nil) != c.accept || c.accept && got != id {
			t.Errorf("%s: %v", c.name, err)
		}
		without := Digests{}
		for algorithm, sum := range all {
			if algorithm != c.needs {
				without[algorithm] = sum
			}
		}
		if _, err := VerifyDigest(b, keys, without); gate.Code(err) != "no-trusted-signer" {
			t.Errorf("%s without its digest: %v", c.name, err)
		}
		if _, err := VerifyDigest(b, keys, Digests{"sha256": all["sha512"][:64], "sha384": all["sha512"][:96], "sha512": all["sha512"][:126] + "00"}); gate.Code(err) != "no-trusted-signer" {
			t.Errorf("%s, another file: %v", c.name, err)
		}
	}
}
