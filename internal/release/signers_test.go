package release

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign/keyless/keylesstest"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/trust"
)

// The file that says with what an identity signs is refused for each thing that can be wrong with it, and nothing is asked of any service.
func TestSignerFiles(t *testing.T) {
	t.Parallel()
	instance := signtest.New(t, time.Now())
	pinned := &trust.Trust{TrustedRoot: signtest.Pin(instance.Root), Identities: map[string]trust.Identity{"b": {Issuer: "https://accounts.example", Subject: "b@hello.example"}}}
	if err := pinned.SetRoot(instance.Root); err != nil {
		t.Fatal(err)
	}
	good := "keyless: {signing-config: c.json, public: true}\n"
	for name, tt := range map[string]struct{ file, code, says string }{
		"good":                     {good, "", ""},
		"good, with all":           {"keyless: {signing-config: c.json, public: true, wait: 24h, audience: other}\n", "", ""},
		"nothing":                  {"{}\n", "signer-file", "0 of them"},
		"two ways":                 {good + "kms: hashivault://x\n", "signer-file", "2 of them"},
		"another way":              {"smoke: {}\n", "yaml-unknown-key", "smoke"},
		"a key twice":              {good + good, "yaml-duplicate-key", "keyless"},
		"text for keyless":         {"keyless: yes please\n", "yaml-type", ""},
		"no signing configuration": {"keyless: {public: true}\n", "yaml-missing-key", "signing-config"},
		"one that is not there":    {"keyless: {signing-config: d.json, public: true}\n", "signer-file", "read signing configuration"},
		"one that is a folder":     {"keyless: {signing-config: ., public: true}\n", "signer-file", "read signing configuration"},
		"one that is none":         {"keyless: {signing-config: b.yaml, public: true}\n", "signing-config-invalid", "b.yaml"},
		"wait for a word":          {"keyless: {signing-config: c.json, public: true, wait: long}\n", "signer-file", "how long to wait"},
		"wait for no time":         {"keyless: {signing-config: c.json, public: true, wait: 0s}\n", "signer-file", "how long to wait"},
		"wait for less":            {"keyless: {signing-config: c.json, public: true, wait: -1s}\n", "signer-file", "how long to wait"},
		"wait for ever":            {"keyless: {signing-config: c.json, public: true, wait: 9999h}\n", "signer-file", "24h"},
		"not agreed":               {"keyless: {signing-config: c.json}\n", "keyless-consent", "b@hello.example"},
		"a program as a service":   {"kms: evil://key\n", "kms-uri", "evil"},
		"no module":                {"pkcs11: {token: a, key: b}\n", "yaml-missing-key", "module"},
		"too large":                {good + "#" + strings.Repeat("x", 4*maxReviewed), "yaml-size", ""},
	} {
		dir := t.TempDir()
		for name, data := range map[string]string{"b.yaml": tt.file, "c.json": string(keylesstest.Config(t, "https://ca.example", "https://log.example", "https://clock.example"))} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Keys{Dir: dir}.open(context.Background(), pinned, "b")
		if gate.Code(err) != tt.code || err == nil && s == nil || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %s with %q", name, err, tt.code, tt.says)
		}
	}

	// A key and a file, and an identity that the trust file knows by its key.
	dir := t.TempDir()
	for _, name := range []string{"b.yaml", "b.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(good), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (Keys{Dir: dir}).open(context.Background(), pinned, "b"); gate.Code(err) != "signer-file" || !strings.Contains(err.Error(), "b.key and ") {
		t.Errorf("a key and a file: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "b.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := (Keys{Dir: dir}).open(context.Background(), &trust.Trust{}, "b"); gate.Code(err) != "signer-not-trusted" {
		t.Errorf("nobody in the trust file: %v", err)
	}
}
