package sign

import (
	"crypto"
	"errors"
	"io/fs"
	"os"
	"path"
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

// users are which tests use which of the published files: a pattern of paths, the tests, each with the file it is in, and what stands in that
// file when it does use them. What is refused is asserted by its code in each of them.
var users = []struct{ files, test, in, says string }{
	{"sigstore-bundles/*/bundle.sigstore.json", "TestSigstoreConformance", "internal/sign/conformance_test.go", `"*", "bundle.sigstore.json"`},
	{"sigstore-bundles/*/bundle.sigstore.json", "TestVerifyBundleConformance", "internal/cli/verifybundle_test.go", `"*", "bundle.sigstore.json"`},
	{"sigstore-bundles/*/bundle.sigstore.json", "TestSigstoreJSOnVectors", "internal/sign/sigstorejs_test.go", `"*", "bundle.sigstore.json"`},
	{"sigstore-bundles/*/trusted_root.json", "TestSigstoreConformance", "internal/sign/conformance_test.go", `"trusted_root.json"`},
	{"sigstore-bundles/*/artifact", "TestSigstoreConformance", "internal/sign/conformance_test.go", `"artifact"`},
	{"sigstore-bundles/*/key.pub", "TestSigstoreConformance", "internal/sign/conformance_test.go", `"key.pub"`},
	{"sigstore-bundles/*/identity", "TestVerifyBundleConformance", "internal/cli/verifybundle_test.go", `"identity"`},
	{"sigstore-bundles/*/issuer", "TestVerifyBundleConformance", "internal/cli/verifybundle_test.go", `"issuer"`},
	{"sigstore-bundles/public-good.trusted_root.json", "TestSigstoreConformance", "internal/sign/conformance_test.go", `"public-good.trusted_root.json"`},
	{"sigstore-bundles/a.txt", "TestSigstoreConformance", "internal/sign/conformance_test.go", `"a.txt"`},
	{"slsa-provenance/gha_*/provenance.sigstore.json", "TestPublishedProvenance", "verify/keyless_test.go", `"gha_*", "provenance.sigstore.json"`},
	{"slsa-provenance/gha_*/provenance.sigstore.json", "TestForeignProvenance", "verify/foreign_test.go", "range families"},
	{"slsa-provenance/gha_*/artifact.sha256", "TestPublishedProvenance", "verify/keyless_test.go", `"artifact.sha256"`},
	{"slsa-provenance/gcb_container/gcloud.json", "TestForeignProvenanceUnknownKey", "verify/foreign_test.go", `"gcb_container", "gcloud.json"`},
	{"slsa-provenance/gcb_container/artifact.digest", "TestForeignProvenanceUnknownKey", "verify/foreign_test.go", `"artifact.digest"`},
	{"slsa-provenance/vsa_gce/gce.*", "TestGoogleVSA", "internal/sign/vectors_test.go", `"vsa_gce"`},
	{"slsa-provenance/vsa_gce/gce.*", "TestSummaryOfGoogle", "verify/summary_test.go", `"vsa_gce"`},
	{"schemas/spdx-2.3.schema.json", "TestNothingIsLostFromFormatToFormat", "internal/sbom/format/format_test.go", `"spdx-2.3.schema.json"`},
	{"schemas/cyclonedx-*.schema.json", "TestNothingIsLostFromFormatToFormat", "internal/sbom/format/format_test.go", `"cyclonedx-bom-1.6.schema.json"`},
}

// No published file is left out: each is used by a test that is there. READMEs say what the cases are.
func TestEveryVectorIsUsed(t *testing.T) {
	t.Parallel()
	root := vectors(t, ".")
	top := filepath.Join("..", "..")
	matched := map[int]int{}
	if err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(filepath.Base(name), "README") {
			return err
		}
		used := false
		for i, u := range users {
			if ok, err := path.Match(u.files, name); err != nil {
				return err
			} else if ok {
				used, matched[i] = true, matched[i]+1
			}
		}
		if !used {
			t.Errorf("%s is used by no test", name)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, u := range users {
		source, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(u.in)))
		if err != nil || !strings.Contains(string(source), "func "+u.test+"(") || !strings.Contains(string(source), u.says) {
			t.Errorf("%s does not use %s: %v", u.test, u.files, err)
		}
		if matched[i] == 0 {
			t.Errorf("%s: there is no such file", u.files)
		}
	}
	// Of the bundles, each that has to be refused has its code.
	cases := conformance(t)
	for _, c := range cases {
		if refused := strings.HasSuffix(c.name, "_fail"); refused != (why[c.name] != "") {
			t.Errorf("%s: its reason is %q", c.name, why[c.name])
		}
	}
	t.Logf("%d bundles, all files used", len(cases))
}
