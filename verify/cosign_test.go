package verify_test

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// run runs cosign with no home, no network proxy and nothing of the user's.
func run(t *testing.T, program string, env []string, args ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "PATH=" + os.Getenv("PATH")}, env...)
	cmd.Dir = t.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	t.Logf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out.String())
	return err
}

// A consumer needs none of our code: cosign accepts a bundle with the public key, and refuses a
// changed file, another key and another type. No network is used.
func TestCosignAcceptsOurBundles(t *testing.T) {
	t.Parallel()
	program := registrytest.Tool(t, "cosign")
	w := vt.NewWorld(t)
	release, keys := w.Release(t), t.TempDir()
	for _, name := range []string{"build-service", "first"} {
		public, err := w.Keys[name].PublicPEM()
		if err != nil {
			t.Fatal(err)
		}
		vt.Write(t, keys, name+".pub", public)
	}
	vt.Write(t, keys, "changed", []byte("an archive, changed"))
	archive := filepath.Join(release, vt.Archive)
	check := func(key, bundle, kind, file string) error {
		return run(t, program, nil, "verify-blob-attestation", "--bundle", filepath.Join(release, bundle), "--key", filepath.Join(keys, key+".pub"),
			"--type", kind, "--insecure-ignore-tlog=true", file)
	}
	if err := check("build-service", vt.Archive+stage.BundleSuffix, "slsaprovenance1", archive); err != nil {
		t.Errorf("provenance refused: %v", err)
	}
	if err := check("build-service", stage.ReleaseBundle, attest.ReleaseType, archive); err != nil {
		t.Errorf("release statement refused: %v", err)
	}
	if err := check("first", stage.SignOffFolder+"/first"+stage.BundleSuffix, attest.SignOffType, filepath.Join(release, stage.FileName)); err != nil {
		t.Errorf("sign-off refused: %v", err)
	}
	blob := func(key, file string) error {
		return run(t, program, nil, "verify-blob", "--bundle", archive+stage.BundleSuffix, "--key", filepath.Join(keys, key+".pub"), "--insecure-ignore-tlog=true", file)
	}
	if err := blob("build-service", archive); err != nil {
		t.Errorf("as a blob: %v", err)
	}
	if blob("first", archive) == nil || blob("build-service", filepath.Join(keys, "changed")) == nil {
		t.Error("as a blob another key, or a changed file, is accepted")
	}
	if check("build-service", vt.Archive+stage.BundleSuffix, "slsaprovenance1", filepath.Join(keys, "changed")) == nil {
		t.Error("a changed file is accepted")
	}
	if check("first", vt.Archive+stage.BundleSuffix, "slsaprovenance1", archive) == nil {
		t.Error("another key is accepted")
	}
	if check("build-service", vt.Archive+stage.BundleSuffix, "spdxjson", archive) == nil {
		t.Error("another type is accepted")
	}
}

// Keys go both ways: cosign signs with a key that we wrote, and we read a key that cosign wrote and a bundle that it signed.
func TestCosignAndOurKeys(t *testing.T) {
	t.Parallel()
	program := registrytest.Tool(t, "cosign")
	dir := t.TempDir()
	ours, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WriteKeyFile(filepath.Join(dir, "ours.key"), ours, []byte("open sesame")); err != nil {
		t.Fatal(err)
	}
	env := []string{"COSIGN_PASSWORD=open sesame"}
	if err := run(t, program, env, "generate-key-pair", "--output-key-prefix", filepath.Join(dir, "theirs")); err != nil {
		t.Fatalf("cosign makes no key: %v", err)
	}
	theirs, err := sign.ReadKeyFile(filepath.Join(dir, "theirs.key"), func() ([]byte, error) { return []byte("open sesame"), nil })
	if err != nil {
		t.Fatalf("cosign's key cannot be read: %v", err)
	}
	vt.Write(t, dir, "blob", []byte("a blob"))
	vt.Write(t, dir, "predicate.json", []byte(`{"purl":"pkg:generic/age@v1"}`))
	vt.Write(t, dir, "config.json", []byte(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}`))
	for name, k := range map[string]*sign.Key{"ours": ours, "theirs": theirs} {
		bundle := filepath.Join(dir, name+".json")
		if err := run(t, program, env, "attest-blob", "--key", filepath.Join(dir, name+".key"), "--predicate", filepath.Join(dir, "predicate.json"), "--type", attest.ReleaseType,
			"--bundle", bundle, "--signing-config", filepath.Join(dir, "config.json"), "--yes", filepath.Join(dir, "blob")); err != nil {
			t.Errorf("cosign does not sign with the key of %s: %v", name, err)
			continue
		}
		b, err := sign.ParseBundle(vt.Read(t, dir, name+".json"))
		if err != nil {
			t.Errorf("cosign's bundle cannot be read: %v\n%s", err, vt.Read(t, dir, name+".json"))
			continue
		}
		id, payload, err := sign.Verify(b, map[string]crypto.PublicKey{k.KeyID(): k.Public()})
		if err != nil || id != k.KeyID() {
			t.Errorf("cosign's bundle does not verify: %v", err)
			continue
		}
		// cosign writes statements of the older type, which are signed well and are not ours.
		if _, err := attest.Decode[attest.Release](payload, attest.ReleaseType); gate.Code(err) != "wrong-statement-type" {
			t.Errorf("what cosign signed: %v", err)
		}
	}
}

// cosign and package verify agree on keyless bundles of a private instance: on a good one, and on what is wrong with others.
func TestCosignAgreesOnKeylessBundles(t *testing.T) {
	t.Parallel()
	program := registrytest.Tool(t, "cosign")
	now := time.Now().UTC().Truncate(time.Second)
	instance, other := signtest.New(t, now), signtest.New(t, now)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("file", []byte("a file"))
	digests, err := verify.FileDigests(file)
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte(`{"_type":"https://in-toto.io/Statement/v1","predicate":{},"predicateType":"https://example.com/p","subject":[{"digest":{"sha256":"` + digests["sha256"] + `"},"name":"file"}]}`)
	ann, eve := vt.Keyless("ann"), vt.Keyless("eve")
	for i, c := range []struct {
		name, code string
		root       []byte
		bundle     []byte
	}{
		{"good", "", instance.Root, instance.Sign(t, ann, payload)},
		{"somebody else", "no-trusted-signer", instance.Root, instance.Sign(t, eve, payload)},
		{"another instance", "cert-untrusted", other.Root, instance.Sign(t, ann, payload)},
		{"another file", "subject-mismatch", instance.Root, instance.Sign(t, ann, bytes.Replace(payload, []byte(digests["sha256"]), []byte(strings.Repeat("0", 64)), 1))},
		{"no log entry", "log-missing", instance.Root, instance.Sign(t, ann, payload, func(d *signtest.Draft) { d.NoLog = true })},
		{"no time", "timestamp-missing", instance.Root, instance.Sign(t, ann, payload, func(d *signtest.Draft) { d.NoTimestamp = true })},
		{"expired", "cert-outside-validity", instance.Root, instance.Sign(t, ann, payload, func(d *signtest.Draft) { d.Issued = now.Add(-time.Hour) })},
		{"two signatures", "too-many-signatures", instance.Root, instance.Sign(t, ann, payload, func(d *signtest.Draft) {
			d.Bundle = func(b *protobundle.Bundle) {
				e := b.GetDsseEnvelope()
				e.Signatures = append(e.Signatures, e.Signatures[0])
			}
		})},
	} {
		bundle, root := write(fmt.Sprint(i, ".json"), c.bundle), write(fmt.Sprint(i, ".root.json"), c.root)
		err := run(t, program, nil, "verify-blob-attestation", "--bundle", bundle, "--trusted-root", root, "--certificate-identity", ann.Subject, "--certificate-oidc-issuer", ann.Issuer,
			"--type", "https://example.com/p", "--use-signed-timestamps", "--insecure-ignore-sct", file)
		asBlob := run(t, program, nil, "verify-blob", "--bundle", bundle, "--trusted-root", root, "--certificate-identity", ann.Subject, "--certificate-oidc-issuer", ann.Issuer,
			"--use-signed-timestamps", "--insecure-ignore-sct", file)
		if (asBlob == nil) != (err == nil) {
			t.Errorf("%s: as a blob cosign says %v", c.name, asBlob)
		}
		r, ours := verify.Bundle(c.bundle, digests, verify.BundleOptions{TrustedRoot: c.root, Signers: []verify.Signer{{Issuer: ann.Issuer, Subject: ann.Subject}}, PredicateType: "https://example.com/p"})
		if ours != nil || gate.Code(r.Err()) != c.code {
			t.Errorf("%s: %v, %v, want %q", c.name, ours, r.Err(), c.code)
		}
		if (err == nil) != (c.code == "") {
			t.Errorf("%s: cosign says %v", c.name, err)
		}
	}
}
