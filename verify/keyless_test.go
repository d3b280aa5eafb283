package verify_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

func keylessOptions(w *vt.World) verify.Options {
	o := options(w)
	o.TrustedRoot = w.Sigstore.Root
	return o
}

// A release whose provenance, statement and one of two sign-offs are signed with certificates is as good as one with keys.
func TestKeylessRelease(t *testing.T) {
	t.Parallel()
	w := vt.NewKeylessWorld(t)
	r := dir(t, w.Release(t), keylessOptions(w))
	if err := r.Err(); err != nil || r.Levels["build"] != "SLSA_BUILD_LEVEL_3" {
		t.Fatalf("%v, %v", err, r.Levels)
	}
	for i, want := range []string{vt.Keyless("first").String(), w.Keys["second"].KeyID()} {
		if s := r.SignOffs[i]; !s.Counted || s.KeyID != want {
			t.Errorf("sign-off %+v, want %s", s, want)
		}
	}
	file, err := verify.File(context.Background(), filepath.Join(w.Release(t), vt.Archive), keylessOptions(w))
	if err != nil || file.Err() != nil {
		t.Errorf("file: %v, %v", err, file.Err())
	}
}

// What is wrong with provenance is refused by the same codes, whoever signed it how.
func TestBadKeylessProvenanceIsRefused(t *testing.T) {
	t.Parallel()
	w := vt.NewKeylessWorld(t)
	for name, tt := range badProvenance(w) {
		if name == "signed by a manager" {
			continue // first signs with a certificate here; below
		}
		if r := dir(t, w.Release(t, tt.change), keylessOptions(w)); gate.Code(r.Err()) != tt.code {
			t.Errorf("%s: %v, want %s", name, r.Err(), tt.code)
		}
	}
	r := dir(t, w.Release(t, func(d *vt.Draft) { d.Signer = w.Keys["first"] }), keylessOptions(w))
	if err := r.Err(); gate.Code(err) != "no-trusted-signer" || !strings.Contains(err.Error(), "first@age.example") || !strings.Contains(err.Error(), "build-service@age.example") {
		t.Errorf("signed by a manager: %v", err)
	}
}

// Certificates count only with the trusted root that the trust file names.
func TestKeylessWithoutItsRoot(t *testing.T) {
	t.Parallel()
	w := vt.NewKeylessWorld(t)
	release := w.Release(t)
	if r := dir(t, release, options(w)); gate.Code(r.Err()) != "trusted-root-missing" {
		t.Errorf("no root: %v", r.Err())
	}
	o := keylessOptions(w)
	o.TrustedRoot = signtest.New(t, vt.Now).Root
	if _, err := verify.Dir(context.Background(), release, o); gate.Code(err) != "trusted-root-mismatch" {
		t.Errorf("another root: %v", err)
	}
	keys := vt.NewWorld(t)
	o = options(keys)
	o.TrustedRoot = w.Sigstore.Root
	if _, err := verify.Dir(context.Background(), release, o); gate.Code(err) != "trusted-root-mismatch" {
		t.Errorf("a root that nobody asked for: %v", err)
	}
	if r := dir(t, release, options(keys)); gate.Code(r.Err()) != "no-trusted-signer" {
		t.Errorf("a trust file without keyless identities: %v", r.Err())
	}
}

// Sign-offs by certificate count once for each manager, and not for others.
func TestKeylessSignOffs(t *testing.T) {
	t.Parallel()
	w := vt.NewKeylessWorld(t)
	for name, c := range map[string]struct {
		by   []string
		code string
	}{
		"two managers":         {[]string{"first", "third"}, ""},
		"one manager twice":    {[]string{"first", "first"}, "sign-off-missing"},
		"one and an associate": {[]string{"first", "newcomer"}, "sign-off-missing"},
		"one and a stranger":   {[]string{"first", "stranger"}, "sign-off-missing"},
	} {
		r := dir(t, w.Release(t, func(d *vt.Draft) {
			d.SignOffs = nil
			for i, by := range c.by {
				d.SignOffs = append(d.SignOffs, vt.SignOff{By: by, File: by + strings.Repeat("-again", i)})
			}
		}), keylessOptions(w))
		if gate.Code(r.Err()) != c.code {
			t.Errorf("%s: %v, want %q", name, r.Err(), c.code)
		}
	}
}

func TestBundle(t *testing.T) {
	t.Parallel()
	w := vt.NewKeylessWorld(t)
	folder := w.Release(t)
	path := filepath.Join(folder, vt.Archive)
	bundle, err := os.ReadFile(path + stage.BundleSuffix)
	if err != nil {
		t.Fatal(err)
	}
	file, err := verify.FileDigests(path)
	if err != nil {
		t.Fatal(err)
	}
	who := vt.Keyless("build-service")
	good := verify.BundleOptions{TrustedRoot: w.Sigstore.Root, Now: vt.Now, Signers: []verify.Signer{{Issuer: who.Issuer, Subject: who.Subject}}}
	signer := func(s verify.Signer) func(*verify.BundleOptions) {
		return func(o *verify.BundleOptions) { o.Signers = []verify.Signer{s} }
	}
	public, err := w.Keys["second"].PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, code string
		change     func(*verify.BundleOptions)
	}{
		{"as it is", "", func(*verify.BundleOptions) {}},
		{"one of several signers", "", func(o *verify.BundleOptions) {
			o.Signers = slices.Insert(o.Signers, 0, verify.Signer{Issuer: who.Issuer, Subject: "eve@age.example"})
		}},
		{"by pattern", "", signer(verify.Signer{Issuer: who.Issuer, SubjectPattern: `[a-z-]+@age\.example`})},
		{"with its predicate type", "", func(o *verify.BundleOptions) { o.PredicateType = "https://slsa.dev/provenance/v1" }},
		{"another predicate type", "wrong-predicate", func(o *verify.BundleOptions) { o.PredicateType = "https://spdx.dev/Document/v2.3" }},
		{"another subject", "no-trusted-signer", signer(verify.Signer{Issuer: who.Issuer, Subject: "eve@age.example"})},
		{"another issuer", "no-trusted-signer", signer(verify.Signer{Issuer: "https://accounts.evil.example", Subject: who.Subject})},
		{"a part of the subject as pattern", "no-trusted-signer", signer(verify.Signer{Issuer: who.Issuer, SubjectPattern: `age\.example`})},
		{"a pattern with alternatives", "no-trusted-signer", signer(verify.Signer{Issuer: who.Issuer, SubjectPattern: `x|age\.example`})},
		{"a pattern of several lines", "no-trusted-signer", signer(verify.Signer{Issuer: who.Issuer, SubjectPattern: `(?m)^service@age\.example$`})},
		{"a pattern as subject", "no-trusted-signer", signer(verify.Signer{Issuer: who.Issuer, Subject: `.*@age.example`})},
		{"before it was signed", "timestamp-invalid", func(o *verify.BundleOptions) { o.Now = vt.Now.AddDate(0, 0, -1) }},
		{"another instance", "cert-untrusted", func(o *verify.BundleOptions) { o.TrustedRoot = signtest.New(t, vt.Now).Root }},
		{"a key instead", "no-trusted-signer", func(o *verify.BundleOptions) { o.Signers, o.Key = nil, public }},
	} {
		o := good
		c.change(&o)
		r, err := verify.Bundle(bundle, file, o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if gate.Code(r.Err()) != c.code || (c.code == "") != (r.Verdict == verify.Accepted) || c.code == "" && r.Signer != who.String() {
			t.Errorf("%s: %v, want %q; signer %s", c.name, r.Err(), c.code, r.Signer)
		}
	}
	if r, err := verify.Bundle(bundle, verify.Digests{"sha256": strings.Repeat("0", 64)}, good); err != nil || gate.Code(r.Err()) != "subject-mismatch" {
		t.Errorf("another file: %v, %v", err, r.Err())
	}
	other := verify.Digests{"sha256": file["sha256"], "sha512": strings.Repeat("0", 128)}
	if r, err := verify.Bundle(bundle, other, good); err != nil || r.Err() != nil {
		t.Errorf("a digest that the statement does not have: %v, %v", err, r.Err())
	}
	bySecond, err := os.ReadFile(filepath.Join(folder, stage.SignOffFolder, "second"+stage.BundleSuffix))
	if err != nil {
		t.Fatal(err)
	}
	listing, err := verify.FileDigests(filepath.Join(folder, stage.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := verify.Bundle(bySecond, listing, verify.BundleOptions{Key: public}); err != nil || r.Err() != nil || r.Signer != w.Keys["second"].KeyID() {
		t.Errorf("by key: %v, %v", err, r.Err())
	}
	if r, err := verify.Bundle(bySecond, listing, verify.BundleOptions{Key: public, TrustedRoot: w.Sigstore.Root}); err != nil || gate.Code(r.Err()) != "timestamp-missing" {
		t.Errorf("by key and log: %v, %v", err, r.Err())
	}
}

func TestBundleOptionsRefused(t *testing.T) {
	t.Parallel()
	root := signtest.New(t, vt.Now).Root
	ann := verify.Signer{Issuer: "https://accounts.example", Subject: "ann@age.example"}
	for name, c := range map[string]struct {
		code string
		o    verify.BundleOptions
	}{
		"nobody":                          {"usage", verify.BundleOptions{TrustedRoot: root}},
		"key and signer":                  {"usage", verify.BundleOptions{TrustedRoot: root, Key: []byte("x"), Signers: []verify.Signer{ann}}},
		"no root":                         {"usage", verify.BundleOptions{Signers: []verify.Signer{ann}}},
		"no issuer":                       {"usage", verify.BundleOptions{TrustedRoot: root, Signers: []verify.Signer{{Subject: "ann@age.example"}}}},
		"no subject":                      {"usage", verify.BundleOptions{TrustedRoot: root, Signers: []verify.Signer{{Issuer: "https://accounts.example"}}}},
		"text and pattern":                {"usage", verify.BundleOptions{TrustedRoot: root, Signers: []verify.Signer{{Issuer: "x", Subject: "x", SubjectPattern: "x"}}}},
		"a pattern of none":               {"usage", verify.BundleOptions{TrustedRoot: root, Signers: []verify.Signer{{Issuer: "x", SubjectPattern: "("}}}},
		"a pattern that closes the group": {"usage", verify.BundleOptions{TrustedRoot: root, Signers: []verify.Signer{{Issuer: "x", SubjectPattern: "a)|(?:.*"}}}},
		"a huge pattern":                  {"usage", verify.BundleOptions{TrustedRoot: root, Signers: []verify.Signer{{Issuer: "x", SubjectPattern: strings.Repeat("a", 5000)}}}},
		"no key":                          {"key-malformed", verify.BundleOptions{Key: []byte("x")}},
		"no trusted root":                 {"trusted-root-invalid", verify.BundleOptions{TrustedRoot: []byte("{}"), Signers: []verify.Signer{ann}}},
	} {
		if _, err := verify.Bundle(nil, verify.Digests{}, c.o); gate.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

// Provenance that real builders made verifies offline, over the very file that it is about, and names the builder's workflow.
func TestPublishedProvenance(t *testing.T) {
	t.Parallel()
	root := os.Getenv("SELLO_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "vectors")
	}
	paths, err := filepath.Glob(filepath.Join(root, "slsa-provenance", "gha_*", "provenance.sigstore.json"))
	if err != nil || len(paths) == 0 {
		t.Skipf("no published provenance at %s: set SELLO_VECTORS to its folder", root)
	}
	trusted, err := os.ReadFile(filepath.Join(root, "sigstore-bundles", "public-good.trusted_root.json"))
	if err != nil {
		t.Fatal(err)
	}
	o := verify.BundleOptions{TrustedRoot: trusted, Signers: []verify.Signer{{Issuer: "https://token.actions.githubusercontent.com", SubjectPattern: `https://github\.com/.*/\.github/workflows/.*`}}}
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		bundle, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := os.ReadFile(filepath.Join(filepath.Dir(path), "artifact.sha256"))
		if err != nil {
			t.Fatal(err)
		}
		file := verify.Digests{"sha256": strings.TrimSpace(string(sum))}
		if r, err := verify.Bundle(bundle, file, o); err != nil || r.Err() != nil {
			t.Errorf("%s: %v, %v", name, err, r.Err())
		} else {
			t.Logf("%s: by %s", name, r.Signer)
		}
		if r, err := verify.Bundle(bundle, verify.Digests{"sha256": strings.Repeat("0", 64)}, o); err != nil || gate.Code(r.Err()) != "subject-mismatch" {
			t.Errorf("%s: another file: %v, %v", name, err, r.Err())
		}
		for field, code := range map[string]string{`"payload":"`: "signature-invalid", `"sig":"`: "signature-invalid", `"rawBytes":"`: ""} {
			_, after, found := strings.Cut(strings.NewReplacer(`": "`, `":"`).Replace(string(bundle)), field)
			if !found {
				t.Errorf("%s: no %s", name, field)
				continue
			}
			value, _, _ := strings.Cut(after, `"`)
			i := len(value) / 2
			changed := strings.Replace(string(bundle), value, value[:i]+map[bool]string{true: "B", false: "A"}[value[i] == 'A']+value[i+1:], 1)
			if r, err := verify.Bundle([]byte(changed), file, o); err != nil || r.Err() == nil || code != "" && gate.Code(r.Err()) != code {
				t.Errorf("%s: another %s: %v, want %s", name, field, r.Err(), code)
			}
		}
	}
	t.Logf("%d provenance bundles of other builders", len(paths))
}
