package release

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/trust"
)

// What is attached to an image is taken in each form, what cannot be judged is named, and nothing that is there is lost.
func TestPinEvidence(t *testing.T) {
	ctx, ours := t.Context(), newPublisher(t)
	memory, name := registrytest.NewMemory(), registrytest.InProcess(t)+"/team/base"
	base := memory.Image(t, registrytest.Spec{})
	sum := base.Digest.Encoded()
	to, err := registry.Open(name, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	push := func(desc ocispec.Descriptor) {
		t.Helper()
		if _, err := registry.Copy(ctx, memory, to, desc, registry.CopyOptions{WithoutReferrers: true}); err != nil {
			t.Fatal(err)
		}
	}
	push(base)
	write := func(dir string) *Project {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "sello.yaml"), []byte("project: hello\nsource: https://example.com/hello\nbuilds: [{go: {packages: [.], platforms: [linux/amd64]}}]\nimages: [{name: registry.example/hello, base: '"+name+"@"+base.Digest.String()+"'}]\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := Open(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	made, _ := repository(t, map[string]string{})
	p := write(made.Repo.Root())
	pin := func() Evidenced {
		t.Helper()
		found, err := p.PinEvidence(ctx)
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %+v", err, found)
		}
		return found[0]
	}
	if got := pin(); got.Found+got.Other != 0 || got.Path != "" {
		t.Errorf("nothing is attached: %+v", got)
	}

	manifest := func(layers ...ocispec.Descriptor) ocispec.Manifest {
		return ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: memory.Add(ocispec.MediaTypeEmptyJSON, []byte("{}")), Layers: layers}
	}
	bundle := manifest(memory.Add(sign.MediaType, []byte(ours.built(sum))))
	bundle.ArtifactType, bundle.Subject = sign.MediaType, &ocispec.Descriptor{MediaType: base.MediaType, Digest: base.Digest, Size: base.Size}
	push(memory.AddJSON(ocispec.MediaTypeImageManifest, bundle))
	if got := pin(); got.Found != 1 || got.New != 1 || got.Path != evidenceFile(sum) {
		t.Errorf("a bundle: %+v", got)
	}

	envelope, annotations := certified(t, ours, sum)
	layer := memory.Add("application/vnd.dsse.envelope.v1+json", envelope)
	layer.Annotations = annotations
	bad := memory.Add("application/vnd.dsse.envelope.v1+json", []byte("{}"))
	root := memory.AddJSON(ocispec.MediaTypeImageManifest, manifest(layer, bad))
	push(root)
	if err := to.Tag(ctx, root, attTag(base)); err != nil {
		t.Fatal(err)
	}
	if got := pin(); got.Found != 2 || got.New != 1 || len(got.Unusable) != 1 || !strings.Contains(got.Unusable[0], bad.Digest.String()[:19]) {
		t.Errorf("under cosign's tag: %+v", got)
	}
	data, err := os.ReadFile(filepath.Join(p.Repo.Root(), evidenceFile(sum)))
	if err != nil {
		t.Fatal(err)
	}
	if found, err := sign.Collect(data); err != nil || len(found) != 2 || found[0].Bundle.Certificate || !found[1].Bundle.Certificate {
		t.Errorf("what was written: %v, %+v", err, found)
	}
	if got := pin(); got.New != 0 {
		t.Errorf("again: %+v", got)
	}

	if err := os.RemoveAll(filepath.Join(p.Repo.Root(), inputFolder)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(p.Repo.Root(), inputFolder)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.PinEvidence(ctx); err == nil {
		t.Error("written through a link")
	}
	if err := os.Remove(filepath.Join(p.Repo.Root(), inputFolder)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".git", filepath.Join(p.Repo.Root(), inputFolder)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.PinEvidence(ctx); gate.Code(err) != "source-not-a-folder" {
		t.Errorf("through a link in the repository: %v", err)
	}
}

// certified is a statement about a digest as cosign attached it before it wrote bundles, signed with a certificate.
func certified(t *testing.T, p publisher, sum string) (envelope []byte, annotations map[string]string) {
	t.Helper()
	instance := signtest.New(t, time.Now())
	var b struct {
		VerificationMaterial struct{ Certificate struct{ RawBytes []byte } }
		DSSEEnvelope         json.RawMessage
	}
	payload := p.statement(attest.ProvenanceType, sum, builtBy("https://builder.example/b", "https://publisher.example/base"))
	if err := json.Unmarshal(instance.Sign(t, trust.Keyless{Issuer: "https://issuer.example", Subject: "ann@publisher.example"}, payload), &b); err != nil {
		t.Fatal(err)
	}
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.VerificationMaterial.Certificate.RawBytes})
	return b.DSSEEnvelope, map[string]string{"dev.sigstore.cosign/certificate": string(leaf)}
}
