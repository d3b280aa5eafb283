package verify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/verify"
)

// summaryPolicy trusts one verifier with a key.
func summaryPolicy(pem []byte, verifier, resource, levels string) []byte {
	return []byte("signers:\n  gate:\n    key: |\n      " + strings.ReplaceAll(strings.TrimSpace(string(pem)), "\n", "\n      ") +
		"\nsummaries:\n  - {verifier: \"" + verifier + "\", signer: gate, resource: \"" + resource + "\", levels: [" + levels + "]}\n")
}

// Google's summary of a virtual machine's image: a bare envelope, a raw signature, and an identifier in place of a digest.
func TestSummaryOfGoogle(t *testing.T) {
	t.Parallel()
	root := os.Getenv("SELLO_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "vectors")
	}
	dir := filepath.Join(root, "slsa-provenance", "vsa_gce")
	key, err := os.ReadFile(filepath.Join(dir, "gce.pem"))
	if err != nil {
		t.Skipf("no published cases at %s: set SELLO_VECTORS to their folder", root)
	}
	data, err := os.ReadFile(filepath.Join(dir, "gce.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	const (
		verifier = "https://bcid.corp.google.com/verifier/bcid_package_enforcer/v0.1"
		resource = "gce_image://gke-node-images:gke-12615-gke1418000-cos-101-17162-463-29-c-cgpv1-pre"
	)
	image := verify.Digests{"gce_image_id": "8970095005306000053"}
	for name, c := range map[string]struct {
		file                       verify.Digests
		verifier, resource, levels string
		code                       string
	}{
		"as it is":          {image, verifier, resource, "BCID_L1, SLSA_BUILD_LEVEL_2", ""},
		"a lower level":     {image, verifier, "gce_image://gke-node-images:*", "SLSA_BUILD_LEVEL_1", ""},
		"a higher level":    {image, verifier, resource, "SLSA_BUILD_LEVEL_3", "vsa-level"},
		"another track":     {image, verifier, resource, "SLSA_SOURCE_LEVEL_1", "vsa-level"},
		"another of theirs": {image, verifier, resource, "BCID_L2", "vsa-level"},
		"another verifier":  {image, verifier + "x", resource, "BCID_L1", "vsa-verifier-untrusted"},
		"another resource":  {image, verifier, "gce_image://other:*", "BCID_L1", "vsa-resource-mismatch"},
		"another image":     {verify.Digests{"gce_image_id": "1"}, verifier, resource, "BCID_L1", "subject-mismatch"},
		"a file":            {verify.Digests{"sha256": digest.Bytes(nil)}, verifier, resource, "BCID_L1", "weak-digest"},
	} {
		r, err := verify.Summary(c.file, []verify.Evidence{{Name: "V", Content: data}}, verify.PolicyOptions{Policy: summaryPolicy(key, c.verifier, c.resource, c.levels)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := gate.Code(r.Err()); got != c.code {
			t.Errorf("%s: %v, want %q", name, r.Err(), c.code)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := key.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	sum := digest.Bytes([]byte("x"))
	const good = `{"policy":{"uri":"p"},"resourceUri":"https://x.example/r","timeVerified":"2026-01-02T03:04:05Z","verificationResult":"PASSED","verifiedLevels":["SLSA_BUILD_LEVEL_3"],"verifier":{"id":"https://x.example/gate"}}`
	for name, c := range map[string]struct{ from, to, typ, code string }{
		"good":               {"", "", "", ""},
		"failed":             {"PASSED", "FAILED", "", "vsa-failed"},
		"failed as a level":  {"SLSA_BUILD_LEVEL_3", "FAILED", "", "vsa-failed"},
		"no result":          {"PASSED", "", "", "vsa-failed"},
		"no level":           {`"SLSA_BUILD_LEVEL_3"`, "", "", "vsa-level"},
		"level of no number": {"LEVEL_3", "LEVEL_UNEVALUATED", "", "vsa-level"},
		"another verifier":   {"/gate", "/other", "", "vsa-verifier-untrusted"},
		"another resource":   {"example/r", "example/s", "", "vsa-resource-mismatch"},
		"provenance":         {"", "", "https://slsa.dev/provenance/v1", "wrong-predicate"},
		"a list":             {good, "[]", "", "bad-json"},
	} {
		if c.typ == "" {
			c.typ = "https://slsa.dev/verification_summary/v1"
		}
		payload := `{"_type":"https://in-toto.io/Statement/v1","predicate":` + strings.Replace(good, c.from, c.to, 1) + `,"predicateType":"` + c.typ + `","subject":[{"digest":{"sha256":"` + sum + `"},"name":"x"}]}`
		bundle, err := sign.SignStatement(t.Context(), key, attest.PayloadType, []byte(payload))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := verify.Summary(verify.Digests{"sha256": sum}, []verify.Evidence{{Name: "V", Content: bundle}}, verify.PolicyOptions{Policy: summaryPolicy(pem, "https://x.example/gate", "https://x.example/r", "SLSA_BUILD_LEVEL_2")})
		if err != nil {
			t.Fatal(err)
		}
		if got := gate.Code(r.Err()); got != c.code {
			t.Errorf("%s: %v, want %q", name, r.Err(), c.code)
		}
	}
	if _, err := verify.Provenance(verify.Digests{"sha256": sum}, nil, verify.PolicyOptions{Policy: summaryPolicy(pem, "v", "r", "L")}); gate.Code(err) != "policy-incomplete" {
		t.Errorf("provenance by a policy for summaries: %v", err)
	}
}
