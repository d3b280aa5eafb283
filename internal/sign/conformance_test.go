package sign

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

// why says with which code each published case is refused, and where that is not what the case's name suggests, why.
var why = map[string]string{
	"bundle-empty-certificate-chain_fail":  "bad-json",
	"bundle-invalid-base64-signature_fail": "bad-json",
	"bundle-negative-log-index_fail":       "bad-json",
	"bundle-unknown-version_fail":          "bundle-unknown-version",
	"checkpoint-wrong-roothash_fail":       "log-proof-invalid",
	"dsse-invalid-sig_fail":                "signature-invalid",
	"dsse-mismatch-sig_fail":               "log-entry-mismatch",
	"inclusion-proof-corrupted-hash_fail":  "log-proof-invalid",
	// The entry's own signature does not verify with the key that was put into it: no log would have taken it.
	"incorrect-public-key_fail":       "log-proof-invalid",
	"integrated-time-in-future_fail":  "cert-outside-validity",
	"intoto-expired-certificate_fail": "cert-outside-validity",
	// The envelope in the entry is not one: the case is of a log entry that was changed.
	"intoto-log-entry-mismatch_fail":                            "log-proof-invalid",
	"invalid-ct-key_fail":                                       "sct-invalid",
	"managed-key-no-key_fail":                                   "no-trusted-signer",
	"managed-key-wrong-key_fail":                                "a key that is none", // a point that is not on its curve
	"rekor2-checkpoint-missing-origin_fail":                     "log-proof-invalid",
	"rekor2-checkpoint-missing-root-hash_fail":                  "log-proof-invalid",
	"rekor2-checkpoint-missing-size_fail":                       "log-proof-invalid",
	"rekor2-dsse-invalid-sig_fail":                              "signature-invalid",
	"rekor2-dsse-mismatch-sig_fail":                             "log-entry-mismatch",
	"rekor2-no-timestamp_fail":                                  "timestamp-missing",
	"rekor2-timestamp-payload-mismatch_fail":                    "timestamp-invalid",
	"rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail": "timestamp-invalid",
	// Its timestamp is base64 with line breaks, which protobuf's JSON does not have. TestTimestampOutsideCertificate mends that.
	"rekor2-timestamp-with-incorrect-time_fail": "bad-json",
	"wrong-material_fail":                       "subject-mismatch",
}

// beacon is who signed most of the published cases.
const beacon = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main by https://token.actions.githubusercontent.com"

// published is a case of Sigstore's conformance suite.
type published struct {
	name, dir string
	bundle    []byte
	root      *Root
	sha256    string // of the file
}

func conformance(t testing.TB) []published {
	t.Helper()
	dir := vectors(t, "sigstore-bundles")
	paths, err := filepath.Glob(filepath.Join(dir, "*", "bundle.sigstore.json"))
	if err != nil {
		t.Fatal(err)
	}
	either := func(first, second string) string {
		if _, err := os.Stat(first); err == nil {
			return first
		}
		return second
	}
	var out []published
	for _, path := range paths {
		c := published{dir: filepath.Dir(path), name: filepath.Base(filepath.Dir(path)), bundle: read(t, path)}
		if c.root, err = ParseRoot(read(t, either(filepath.Join(c.dir, "trusted_root.json"), filepath.Join(dir, "public-good.trusted_root.json")))); err != nil {
			t.Fatal(err)
		}
		sums, err := digest.File(either(filepath.Join(c.dir, "artifact"), filepath.Join(dir, "a.txt")))
		if err != nil {
			t.Fatal(err)
		}
		c.sha256 = sums.SHA256
		out = append(out, c)
	}
	return out
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// open verifies a bundle as the case asks: with its key, or with its certificate. A statement has to name the file.
func (c published) open(t testing.TB, data []byte) (*Witnessed, error) {
	keys, err := readKey(t, filepath.Join(c.dir, "key.pub"))
	if err != nil {
		return nil, &gate.Refusal{Code: "a key that is none", Cause: err}
	}
	b, err := ParseBundle(data)
	if err != nil {
		return nil, err
	}
	var w *Witnessed
	if file := (Digests{"sha256": c.sha256}); keys != nil {
		w, err = c.root.VerifyKey(b, keys, file, time.Now())
	} else {
		w, err = c.root.Verify(b, file, time.Now())
	}
	if err == nil && w.Payload != nil && !strings.Contains(string(w.Payload), c.sha256) {
		t.Errorf("%s: the statement does not name the file", c.name)
	}
	return w, err
}

// Every published case is decided as it has to be, and refused for the reason that it was made for.
func TestSigstoreConformance(t *testing.T) {
	t.Parallel()
	refused, accepted := 0, 0
	for _, c := range conformance(t) {
		w, err := c.open(t, c.bundle)
		switch bad := strings.HasSuffix(c.name, "_fail"); {
		case bad && err == nil:
			t.Errorf("%s: accepted", c.name)
		case bad:
			if refused++; gate.Code(err) != why[c.name] {
				t.Errorf("%s: %v, want %q", c.name, err, why[c.name])
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		default:
			if accepted++; w.KeyID == "" && w.Signer.String() != beacon {
				t.Errorf("%s: signed by %s", c.name, w.Signer)
			}
			if len(w.Times) == 0 || w.Times[0].Year() < 2020 {
				t.Errorf("%s: at %v", c.name, w.Times)
			}
		}
	}
	t.Logf("%d published cases accepted, %d refused", accepted, refused)
	if accepted < 11 || refused < 25 {
		t.Error("there are fewer cases than there have to be")
	}
}

// The case whose timestamp cannot be read is refused for its time, once it can.
func TestTimestampOutsideCertificate(t *testing.T) {
	t.Parallel()
	for _, c := range conformance(t) {
		if c.name == "rekor2-timestamp-with-incorrect-time_fail" {
			if _, err := c.open(t, []byte(strings.ReplaceAll(string(c.bundle), `\n`, ""))); gate.Code(err) == "bad-json" || gate.Code(err) != "cert-outside-validity" {
				t.Errorf("%v, want cert-outside-validity", err)
			}
			return
		}
	}
	t.Error("no such case")
}

// A bundle with anything in it changed or left out is refused, whatever that is part of. What has no meaning stays accepted, says
// the same of the same signer, and is listed here.
func TestConformanceMutations(t *testing.T) {
	t.Parallel()
	idle := map[string]string{
		"verificationMaterial.publicKey.hint":                                    "a hint: every trusted key is tried",
		"dsseEnvelope.signatures[0].keyid":                                       "a hint; another one is refused, none is not",
		"verificationMaterial.tlogEntries[0].logIndex":                           "a proof has an index of its own, in one tree of the log",
		"verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope": "names before signatures, and signatures of witnesses that nobody named",
		"verificationMaterial.tlogEntries[0].inclusionPromise":                   "beside a timestamp",
		"verificationMaterial.tlogEntries[0].integratedTime":                     "not signed in entries of version 2",
		"verificationMaterial.timestampVerificationData":                         "beside a promise; leaving out evidence that is not needed changes nothing",
		"messageSignature.messageDigest.digest":                                  "a hint: the file's own digest counts",
	}
	for _, c := range conformance(t) {
		if strings.HasSuffix(c.name, "_fail") {
			continue
		}
		before, err := c.open(t, c.bundle)
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := json.Unmarshal(c.bundle, &doc); err != nil {
			t.Fatal(err)
		}
		n, codes := 0, map[string]int{}
		mutate(doc, "", func(at string, change func(), undo func()) {
			change()
			data, err := json.Marshal(doc)
			undo()
			if err != nil {
				t.Fatal(err)
			}
			n++
			after, err := c.open(t, data)
			codes[gate.Code(err)]++
			if err == nil && !listed(idle, at) {
				t.Errorf("%s: accepted with another %s", c.name, at)
			}
			if err == nil && (after.Signer != before.Signer || after.KeyID != before.KeyID || !bytes.Equal(after.Payload, before.Payload)) {
				t.Errorf("%s: another %s changes what is verified", c.name, at)
			}
			if gate.Code(err) == "bundle-unverified" {
				t.Errorf("%s: another %s has no reason of its own: %v", c.name, at, err)
			}
		})
		t.Logf("%s: %d changes: %v", c.name, n, codes)
		if n < 8 {
			t.Errorf("%s: only %d changes", c.name, n)
		}
	}
}

// listed finds a field, or the one that it is part of.
func listed(idle map[string]string, at string) bool {
	for field := range idle {
		if at == field || strings.HasPrefix(at, field+".") {
			return true
		}
	}
	return false
}

// mutate visits each string of a JSON document, at the beginning, in the middle and near the end, with one character changed.
func mutate(v any, at string, visit func(at string, change, undo func())) {
	one := func(at, s string, set func(any)) {
		for _, i := range []int{0, len(s) / 2, len(s) - 5} {
			if i < 0 || i >= len(s) {
				continue
			}
			visit(at, func() { set(s[:i] + another(s[i]) + s[i+1:]) }, func() { set(s) })
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			child := v[name]
			at := strings.TrimPrefix(at+"."+name, ".")
			if list, ok := child.([]any); child == "0" || ok && len(list) == 0 {
				continue // the same as if it were not there
			}
			visit(at, func() { delete(v, name) }, func() { v[name] = child })
			if s, ok := child.(string); ok {
				one(at, s, func(x any) { v[name] = x })
				continue
			}
			mutate(child, at, visit)
		}
	case []any:
		for i, child := range v {
			at := at + "[0]"
			if s, ok := child.(string); ok {
				one(at, s, func(x any) { v[i] = x })
				continue
			}
			mutate(child, at, visit)
		}
	}
}

// another gives another character of the same alphabet.
func another(c byte) string {
	switch {
	case c == '9':
		return "8"
	case c >= '0' && c < '9':
		return string(c + 1)
	case c == 'A':
		return "B"
	}
	return "A"
}
