package release

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
)

// imageDocuments writes the bills of materials of the stage's images into dir. They are taken from the attestations in the
// stage's image layout, and are those whose digests stage.json names.
func (s *staged) imageDocuments(ctx context.Context, dir string) error {
	if len(s.list.Images) == 0 {
		return nil
	}
	from, err := registry.OpenLayout(ctx, s.Images())
	if err != nil {
		return err
	}
	for _, img := range s.list.Images {
		for platform, want := range img.SBOMs {
			target := img.Index
			if platform != "" {
				target = img.Platforms[platform]
			}
			doc, err := documentOf(ctx, from, target, want)
			if err != nil {
				return fmt.Errorf("read the bill of materials of %s: %w", img.Name, err)
			}
			name := img.ShortName() + "_" + strings.ReplaceAll(orText(platform, "index"), "/", "-") + stage.SBOMSuffix
			if err := writeFile(filepath.Join(dir, stage.ImagesFolder, name), doc); err != nil {
				return fmt.Errorf("write the bill of materials of %s: %w", img.Name, err)
			}
		}
	}
	return nil
}

// imageProvenances gives the builder's provenance of the stage's images, from the attestations in its image layout.
func (s *staged) imageProvenances(ctx context.Context, t *trust.Trust) (out []attest.Provenance, err error) {
	if len(s.list.Images) == 0 {
		return nil, nil
	}
	from, err := registry.OpenLayout(ctx, s.Images())
	if err != nil {
		return nil, err
	}
	for _, img := range s.list.Images {
		one, err := provenanceOf(ctx, from, t, img.Index)
		if err != nil {
			return nil, fmt.Errorf("read provenance of image %s: %w", img.Name, err)
		}
		out = append(out, *one)
	}
	return out, nil
}

// provenanceOf finds, among what is attached to an image, the builder's provenance of it.
func provenanceOf(ctx context.Context, from *registry.Layout, t *trust.Trust, index string) (*attest.Provenance, error) {
	referrers, err := from.Referrers(ctx, ocispec.Descriptor{Digest: godigest.Digest(index)}, sign.MediaType)
	if err != nil {
		return nil, err
	}
	for _, r := range referrers {
		blobs, err := readReferrer(ctx, from, r)
		if err != nil {
			return nil, err
		}
		for _, d := range blobs {
			if d.MediaType != sign.MediaType {
				continue
			}
			data, err := readBlob(ctx, from, d)
			if err != nil {
				return nil, err
			}
			statement, err := builtProvenance(t, data)
			if gate.Code(err) == "wrong-predicate" { // a bill of materials, a signature
				continue
			}
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(statement.Subject, func(s attest.Subject) bool { return "sha256:"+s.Digest["sha256"] == index }) {
				return &statement.Predicate, nil
			}
		}
	}
	return nil, &gate.Refusal{Code: "attestation-missing", Where: index, What: "an image of the stage has no provenance", Expected: "provenance by the builder, attached to it", Actual: "none", Fix: "stage the release again"}
}

// documentOf finds, among what is attached to an image, the document with the digest.
func documentOf(ctx context.Context, from *registry.Layout, target, want string) ([]byte, error) {
	referrers, err := from.Referrers(ctx, ocispec.Descriptor{Digest: godigest.Digest(target)}, sign.MediaType)
	if err != nil {
		return nil, err
	}
	for _, r := range referrers {
		data, err := readReferrer(ctx, from, r)
		if err != nil {
			return nil, err
		}
		for _, d := range data {
			if d.MediaType != sign.MediaType {
				continue
			}
			doc, err := documentIn(ctx, from, d)
			if err != nil {
				return nil, err
			}
			if "sha256:"+digest.Bytes(doc) == want {
				return doc, nil
			}
		}
	}
	return nil, &gate.Refusal{Code: "evidence-missing", Where: target, What: "an image of the stage has no bill of materials", Expected: want, Actual: "none with this digest", Fix: "stage the release again"}
}

// readReferrer gives the blobs of a referrer.
func readReferrer(ctx context.Context, from *registry.Layout, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	data, err := readBlob(ctx, from, desc)
	if err != nil {
		return nil, err
	}
	m, err := registry.ParseManifest(desc, data)
	if err != nil {
		return nil, err
	}
	return m.Blobs, nil
}

// documentIn gives the predicate of a bundle's statement when that is an SPDX document, in canonical form; else nil.
func documentIn(ctx context.Context, from *registry.Layout, desc ocispec.Descriptor) ([]byte, error) {
	data, err := readBlob(ctx, from, desc)
	if err != nil {
		return nil, err
	}
	bundle, err := sign.ParseBundle(data)
	if err != nil {
		return nil, err
	}
	if bundle.Envelope == nil {
		return nil, nil
	}
	statement, err := attest.Decode[json.RawMessage](bundle.Envelope.Payload, attest.SPDXType)
	if err != nil {
		return nil, nil //nolint:nilerr // it says something else
	}
	return attest.Canonical(statement.Predicate)
}

// readBlob reads small content, which the layout compares with its digest.
func readBlob(ctx context.Context, from *registry.Layout, desc ocispec.Descriptor) ([]byte, error) {
	if desc.Size > sign.MaxBundle {
		return nil, &gate.Refusal{Code: "object-too-large", Where: desc.Digest.String(), What: "this file is larger than it can be", Expected: fmt.Sprintf("at most %d bytes", sign.MaxBundle), Actual: fmt.Sprint(desc.Size)}
	}
	r, err := from.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
