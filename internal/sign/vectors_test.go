package sign

import (
	"crypto"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// vectors gives a folder of cases that others published, or skips.
func vectors(t testing.TB, folder string) string {
	t.Helper()
	root := os.Getenv("SELLO_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	dir := filepath.Join(root, folder)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no published cases at %s: set SELLO_VECTORS to their folder", dir)
	}
	return dir
}

func readKey(t testing.TB, path string) (map[string]crypto.PublicKey, error) {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.ParsePublicKey(text)
	if err != nil {
		return nil, err
	}
	id, err := trust.KeyID(pub)
	return map[string]crypto.PublicKey{id: pub}, err
}

// A wrong key and a wrong file, with a real signature.
func TestManagedKeyCaseRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(vectors(t, "sigstore-bundles"), "managed-key-happy-path")
	data, err := os.ReadFile(filepath.Join(dir, "bundle.sigstore.json"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBundle(data)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := readKey(t, filepath.Join(dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyDigest(b, keys, Digests{"sha256": digest.Bytes([]byte("another file"))}); gate.Code(err) != "no-trusted-signer" {
		t.Errorf("another file: %v", err)
	}
	if _, err := VerifyDigest(b, trusting(generate(t)), Digests{"sha256": digest.Bytes(nil)}); gate.Code(err) != "no-trusted-signer" {
		t.Errorf("another key: %v", err)
	}
	if _, err := VerifyDigest(b, keys, Digests{"sha256": "x"}); err == nil {
		t.Error("a digest that is none passed")
	}
	if _, _, err := Verify(b, keys); gate.Code(err) != "no-signature" {
		t.Errorf("as a statement: %v", err)
	}
}

// Google's verification summary: a bare envelope with a raw r||s signature and a key id of Google's own.
func TestGoogleVSA(t *testing.T) {
	t.Parallel()
	dir := vectors(t, filepath.Join("slsa-provenance", "vsa_gce"))
	data, err := os.ReadFile(filepath.Join(dir, "gce.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := readKey(t, filepath.Join(dir, "gce.pem"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseEnvelope(data)
	if err != nil {
		t.Fatal(err)
	}
	id, got, err := Verify(b, keys)
	if err != nil || !strings.HasPrefix(id, "SHA256:Zphi7kub") || !strings.Contains(string(got), "verification_summary") {
		t.Errorf("%s, %v", id, err)
	}
	b.Envelope.Payload[10] ^= 1
	if _, _, err := Verify(b, keys); gate.Code(err) != "no-trusted-signer" {
		t.Errorf("changed payload: %v", err)
	}
}
