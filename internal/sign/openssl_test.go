package sign_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/signtest"
)

// openssl runs it in a folder. The test is skipped where it is not installed; scripts/deps installs it.
func openssl(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed: run scripts/deps test")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A signature is one over DSSE's encoding of the statement, as openssl makes and verifies them: with the key, or with the certificate's.
func TestOpenSSLVerifiesSignatures(t *testing.T) {
	t.Parallel()
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	byKey, err := sign.SignStatement(context.Background(), key, attest.PayloadType, statement)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"key": byKey, "keyless": signtest.New(t, now).Sign(t, ann, statement)} {
		b, err := signtest.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		e := b.GetDsseEnvelope()
		put(t, dir, "signed", fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload))
		put(t, dir, "changed", fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload[1:]))
		put(t, dir, "sig", e.Signatures[0].Sig)
		put(t, dir, "key.pub", public)
		if c := b.VerificationMaterial.GetCertificate(); c != nil {
			put(t, dir, "cert.der", c.RawBytes)
			out, err := openssl(t, dir, "x509", "-inform", "der", "-in", "cert.der", "-noout", "-pubkey")
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, out)
			}
			put(t, dir, "key.pub", []byte(out))
		}
		if out, err := openssl(t, dir, "dgst", "-sha256", "-verify", "key.pub", "-signature", "sig", "signed"); err != nil || !strings.Contains(out, "Verified OK") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := openssl(t, dir, "dgst", "-sha256", "-verify", "key.pub", "-signature", "sig", "changed"); err == nil {
			t.Errorf("%s, changed: %s", name, out)
		}
	}
}

// A bundle's timestamp is one of RFC 3161 over the signature: ours, and one that a timestamp authority of Sigstore's gave.
func TestOpenSSLVerifiesTimestamps(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, now)
	published := filepath.Join(vectorsRoot(t), "sigstore-bundles", "rekor2-dsse-happy-path")
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(published, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, c := range map[string]struct{ bundle, root []byte }{"ours": {i.Sign(t, ann, statement), i.Root}, "published": {read("bundle.sigstore.json"), read("trusted_root.json")}} {
		b, err := signtest.Parse(c.bundle)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		put(t, dir, "signature", signatureOf(b))
		put(t, dir, "other", append([]byte{0}, signatureOf(b)...))
		put(t, dir, "stamp.tsr", b.VerificationMaterial.TimestampVerificationData.Rfc3161Timestamps[0].SignedTimestamp)
		ca, at := clocks(t, dir, c.root)
		if name == "ours" {
			at = fmt.Sprint(now.Unix())
		}
		verify := func(data string) (string, error) {
			args := []string{"ts", "-verify", "-data", data, "-in", "stamp.tsr", "-CAfile", ca, "-untrusted", "untrusted.pem"}
			if at != "" {
				args = append(args, "-attime", at)
			}
			return openssl(t, dir, args...)
		}
		if out, err := verify("signature"); err != nil || !strings.Contains(out, "Verification: OK") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := verify("other"); err == nil || !strings.Contains(out, "imprint mismatch") {
			t.Errorf("%s, over another signature: %v\n%s", name, err, out)
		}
	}
}

func signatureOf(b *protobundle.Bundle) []byte {
	if e := b.GetDsseEnvelope(); e != nil {
		return e.Signatures[0].Sig
	}
	return b.GetMessageSignature().Signature
}

// clocks writes the certificates of a trusted root's timestamp authorities, and gives the file of the roots, and a time in which they are valid.
func clocks(t *testing.T, dir string, trusted []byte) (ca, at string) {
	t.Helper()
	r, err := root.NewTrustedRootFromJSON(trusted)
	if err != nil {
		t.Fatal(err)
	}
	var roots, others []byte
	for _, a := range r.TimestampingAuthorities() {
		clock, ok := a.(*root.SigstoreTimestampingAuthority)
		if !ok {
			t.Fatalf("%T", a)
		}
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: clock.Root.Raw})...)
		for _, c := range append(clock.Intermediates, clock.Leaf) {
			if c != nil {
				others = append(others, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
			}
		}
		at = fmt.Sprint(clock.Root.NotBefore.AddDate(1, 0, 0).Unix())
	}
	put(t, dir, "roots.pem", roots)
	put(t, dir, "untrusted.pem", others)
	return "roots.pem", at
}
