package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign"
)

// registryPublisher makes the key of somebody who publishes images: NAME.key and NAME.pub.
func registryPublisher(ts *testscript.TestScript, _ *front, args []string) error {
	key, err := sign.Generate()
	if err != nil {
		return err
	}
	public, err := key.PublicPEM()
	if err != nil {
		return err
	}
	if err := os.WriteFile(ts.MkAbs(args[0]+".pub"), public, 0o644); err != nil {
		return err
	}
	return sign.WriteKeyFile(ts.MkAbs(args[0]+".key"), key, []byte("x"))
}

// registryAttest attaches a statement about an image to it, as its publisher does: a Sigstore bundle that refers to it, or an envelope under
// cosign's tag.
func registryAttest(ts *testscript.TestScript, _ *front, args []string) error {
	ctx := context.Background()
	to, subject, err := openImage(args[0])
	if err != nil {
		return err
	}
	bundle, err := signed(ts, args[1], args[2], args[3], subject.Digest.Encoded())
	if err != nil {
		return err
	}
	memory := registrytest.NewMemory()
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: memory.Add(ocispec.MediaTypeEmptyJSON, []byte("{}"))}
	if len(args) > 4 && args[4] == "tag" {
		var b struct{ DSSEEnvelope json.RawMessage }
		if err := json.Unmarshal(bundle, &b); err != nil {
			return err
		}
		m.Layers = []ocispec.Descriptor{memory.Add("application/vnd.dsse.envelope.v1+json", b.DSSEEnvelope)}
		root := memory.AddJSON(ocispec.MediaTypeImageManifest, m)
		if _, err := registry.Copy(ctx, memory, to, root, registry.CopyOptions{}); err != nil {
			return err
		}
		return to.Tag(ctx, root, strings.Replace(subject.Digest.String(), ":", "-", 1)+".att")
	}
	m.ArtifactType = sign.MediaType
	m.Layers = []ocispec.Descriptor{memory.Add(sign.MediaType, bundle)}
	m.Subject = &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	root := memory.AddJSON(ocispec.MediaTypeImageManifest, m)
	_, err = registry.Copy(ctx, memory, to, root, registry.CopyOptions{})
	return err
}

// registrySigned writes a statement about a digest into a file, as something that is in no registry has it.
func registrySigned(ts *testscript.TestScript, _ *front, args []string) error {
	sum, err := os.ReadFile(ts.MkAbs(args[4]))
	if err != nil {
		return err
	}
	bundle, err := signed(ts, args[1], args[2], args[3], strings.TrimSpace(string(sum)))
	if err != nil {
		return err
	}
	return os.WriteFile(ts.MkAbs(args[0]), append(bundle, '\n'), 0o644)
}

func signed(ts *testscript.TestScript, publisher, predicateType, file, sha256 string) ([]byte, error) {
	key, err := sign.ReadKeyFile(ts.MkAbs(publisher+".key"), func() ([]byte, error) { return []byte("x"), nil })
	if err != nil {
		return nil, err
	}
	predicate, err := os.ReadFile(ts.MkAbs(file))
	if err != nil {
		return nil, err
	}
	s, err := attest.NewStatement([]attest.Subject{{Name: "published", Digest: map[string]string{"sha256": sha256}}}, predicateType, json.RawMessage(predicate))
	if err != nil {
		return nil, err
	}
	payload, err := s.Encode()
	if err != nil {
		return nil, err
	}
	return sign.SignStatement(context.Background(), key, attest.PayloadType, payload)
}
