package sign_test

import (
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
)

// attachedCase takes a published bundle apart into what cosign attached in its old form.
func attachedCase(t testing.TB) (envelope []byte, annotations map[string]string, root []byte) {
	t.Helper()
	vectors := os.Getenv("SELLO_VECTORS")
	if vectors == "" {
		vectors = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	read := func(elem ...string) []byte {
		data, err := os.ReadFile(filepath.Join(append([]string{vectors}, elem...)...))
		if err != nil {
			t.Skipf("no published cases at %s: set SELLO_VECTORS to their folder", vectors)
		}
		return data
	}
	var b struct {
		VerificationMaterial struct {
			X509CertificateChain struct{ Certificates []struct{ RawBytes []byte } }
			TlogEntries          []struct {
				LogIndex, IntegratedTime string
				LogID                    struct{ KeyID []byte }
				InclusionPromise         struct{ SignedEntryTimestamp []byte }
				CanonicalizedBody        []byte
			}
		}
		DSSEEnvelope json.RawMessage
	}
	if err := json.Unmarshal(read("slsa-provenance", "gha_container-based", "provenance.sigstore.json"), &b); err != nil {
		t.Fatal(err)
	}
	e := b.VerificationMaterial.TlogEntries[0]
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	entry, err := json.Marshal(map[string]any{"SignedEntryTimestamp": e.InclusionPromise.SignedEntryTimestamp, "Payload": map[string]any{
		"body": e.CanonicalizedBody, "integratedTime": number(e.IntegratedTime), "logIndex": number(e.LogIndex), "logID": hex.EncodeToString(e.LogID.KeyID)}})
	if err != nil {
		t.Fatal(err)
	}
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.VerificationMaterial.X509CertificateChain.Certificates[0].RawBytes})
	return b.DSSEEnvelope, map[string]string{"dev.sigstore.cosign/certificate": string(leaf), "dev.sigstore.cosign/bundle": string(entry)}, read("sigstore-bundles", "public-good.trusted_root.json")
}

// What was published as a bundle verifies in cosign's old form, too: certificate and log entry in annotations.
func TestAttached(t *testing.T) {
	t.Parallel()
	envelope, annotations, trusted := attachedCase(t)
	root, err := sign.ParseRoot(trusted)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(annotations map[string]string) (*sign.Witnessed, error) {
		data, err := sign.Attached(envelope, annotations)
		if err != nil {
			return nil, err
		}
		found, err := sign.Collect(data)
		if err != nil || len(found) != 1 || found[0].Err != nil {
			t.Fatalf("%v, %+v\n%s", err, found, data)
		}
		return root.Verify(found[0].Bundle, nil, time.Now())
	}
	w, err := verify(annotations)
	if err != nil || w.Signer.Issuer != "https://token.actions.githubusercontent.com" || len(w.Payload) == 0 {
		t.Errorf("%v, %+v", err, w)
	}
	for name, c := range map[string]struct{ key, value, code string }{
		"no log entry":      {"dev.sigstore.cosign/bundle", "", "timestamp-missing"},
		"no certificate":    {"dev.sigstore.cosign/certificate", "x", "bad-json"},
		"a key":             {"dev.sigstore.cosign/certificate", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})), "bad-json"},
		"no JSON":           {"dev.sigstore.cosign/bundle", "x", "bad-json"},
		"a key twice":       {"dev.sigstore.cosign/bundle", `{"Payload":{},"Payload":{}}`, "bad-json"},
		"no body":           {"dev.sigstore.cosign/bundle", `{"Payload":{"logID":"00"}}`, "bad-json"},
		"no id of a log":    {"dev.sigstore.cosign/bundle", `{"Payload":{"body":"e30=","logID":"xx"}}`, "bad-json"},
		"no JSON timestamp": {"dev.sigstore.cosign/rfc3161timestamp", "x", "bad-json"},
	} {
		changed := map[string]string{c.key: c.value}
		for k, v := range annotations {
			if k != c.key {
				changed[k] = v
			}
		}
		if _, err := verify(changed); gate.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if data, err := sign.Attached(envelope, nil); err != nil || string(data) != string(envelope) {
		t.Errorf("an envelope that a key signed: %v", err)
	}
}

func FuzzAttached(f *testing.F) {
	f.Add([]byte(`{"payload":"","payloadType":"x","signatures":[{"sig":""}]}`), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", `{"SignedEntryTimestamp":"","Payload":{"body":"e30=","integratedTime":1,"logIndex":1,"logID":"00"}}`, `{"SignedRFC3161Timestamp":"AA=="}`)
	f.Fuzz(func(t *testing.T, envelope []byte, certificate, entry, timestamp string) {
		data, err := sign.Attached(envelope, map[string]string{"dev.sigstore.cosign/certificate": certificate, "dev.sigstore.cosign/bundle": entry, "dev.sigstore.cosign/rfc3161timestamp": timestamp})
		if err != nil && gate.Code(err) != "bad-json" {
			t.Errorf("refused with %v", err)
		}
		if err == nil {
			_, _ = sign.Collect(data) // says no, or gives what nobody believes
		}
	})
}
