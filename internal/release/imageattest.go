package release

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/spdx"
	"github.com/sello-release/sello/internal/sign"
)

// describeImage writes an image's SPDX documents, one a platform and one for the index, in the form in which
// they are attested, and gives their digests.
func (a *assembly) describeImage(ctx context.Context, s *imageSteps) (map[string]string, error) {
	out := map[string]string{}
	var all []sbom.Image
	for i, platform := range s.plan.On {
		in, err := a.imageInput(ctx, s, i)
		if err != nil {
			return nil, err
		}
		all = append(all, in)
		model, err := sbom.ForImage(a.sbomMeta(), in, a.moduleGraph())
		if err != nil {
			return nil, fmt.Errorf("describe image %s for %s: %w", s.plan.Name, platform, err)
		}
		doc, err := spdx.JSON(model)
		if err != nil {
			return nil, err
		}
		if out[platform.String()], err = a.keepImageSBOM(s, platform.String(), doc); err != nil {
			return nil, err
		}
	}
	model, err := sbom.ForIndex(a.sbomMeta(), s.plan.Name, s.index.Value().Digest.Encoded(), all, a.moduleGraph())
	if err != nil {
		return nil, fmt.Errorf("describe image %s: %w", s.plan.Name, err)
	}
	doc, err := spdx.JSON(model)
	if err != nil {
		return nil, err
	}
	out[""], err = a.keepImageSBOM(s, "", doc)
	return out, err
}

// imageInput says what the image of one platform consists of.
func (a *assembly) imageInput(ctx context.Context, s *imageSteps, i int) (sbom.Image, error) {
	platform, built := s.plan.On[i], s.platforms[i].Value()
	in := sbom.Image{Name: s.plan.Name, Platform: platform.String(), Manifest: built.Manifest.Digest.Encoded()}
	base, err := a.base(ctx, s.plan, platform)
	if err != nil {
		return in, err
	}
	if base != nil {
		in.Base, _, _ = definition.ParseBase(s.plan.Base)
		in.BaseDigest = base.Manifest.Digest.Encoded()
		for _, l := range base.Layers {
			in.Layers = append(in.Layers, sbom.Layer{SHA256: l.Digest.Encoded(), Base: true})
		}
		cache, err := a.baseBlobs()
		if err != nil {
			return in, err
		}
		scan := sbom.NewScan()
		err = image.Files(ctx, cache, base.Manifest, image.Limits{}, func(f image.File) error {
			if !f.Mode.IsRegular() {
				return nil
			}
			return scan.Visit(f.Path, f.Size, func() (io.ReadCloser, error) { return io.NopCloser(f.Content), nil })
		})
		if err == nil {
			in.Packages, in.BaseBinaries, err = scan.Result()
		}
		if err != nil {
			return in, fmt.Errorf("read base image %s: %w", s.plan.Base, err)
		}
	}
	for _, l := range built.Layers {
		in.Layers = append(in.Layers, sbom.Layer{SHA256: l.Digest.Encoded()})
	}
	if in.Files, err = a.members(imageMembers(s.plan, platform)); err != nil {
		return in, err
	}
	if in.Inside, err = a.insideImage(ctx, s.plan, in.Files); err != nil {
		return in, err
	}
	binaries := a.imageBinaries(s.plan, platform)
	programs, err := a.readBinaries(binaries)
	if err != nil {
		return in, err
	}
	for _, f := range in.Files {
		for _, program := range binaries {
			b, ok := programs[program.Name]
			if ok && strings.HasSuffix(program.Name, "/"+baseName(f.Name)) && program.SHA256 == f.SHA256 {
				b.Name = f.Name
				in.Binaries = append(in.Binaries, b)
			}
		}
	}
	return in, nil
}

// insideImage looks into the programs and archives that an image has from the source: they were not built for it.
func (a *assembly) insideImage(ctx context.Context, img build.Image, files []sbom.File) (map[string]sbom.Content, error) {
	_, from, err := a.imageFiles(img)
	if err != nil {
		return nil, err
	}
	sources := map[string]string{}
	for _, f := range files {
		if source, ok := from[f.Name]; ok {
			sources[source] = f.SHA256
		}
	}
	return a.inside(ctx, a.sourceRoot(), sources)
}

// imageSBOMPath is where an image's SPDX document waits to be attested; "" is the index's.
func (a *assembly) imageSBOMPath(s *imageSteps, platform string) string {
	return a.path("image-sboms", s.plan.ShortName(), strings.ReplaceAll(orText(platform, "index"), "/", "-")+".spdx.json")
}

func (a *assembly) keepImageSBOM(s *imageSteps, platform string, doc []byte) (string, error) {
	canonical, err := attest.Canonical(json.RawMessage(doc))
	if err != nil {
		return "", err
	}
	return "sha256:" + digest.Bytes(canonical), writeFile(a.imageSBOMPath(s, platform), canonical)
}

// addImageAttestations adds a step an image that attests it.
func (a *assembly) addImageAttestations(g *flow.Graph, invocation string, signer sign.Signer) []flow.Node {
	var out []flow.Node
	for _, img := range a.images {
		needs := flow.Needs(img.index, img.described)
		if a.summed != nil { // as other attestations: when there is nothing left that can fail
			needs = append(needs, a.summed)
		}
		img.attested = flow.Add(g, flow.Step[[]ocispec.Descriptor]{
			Name: "attest/image/" + img.plan.ShortName(), Needs: needs,
			// A stage holds an image's attestations by digest. A run that was killed while it wrote them has to go on with the same.
			Key: func() (string, error) { return keyOf([]string{signer.KeyID(), a.project.Engine.Info().BuilderID}) },
			Run: func(ctx context.Context, _ *flow.Run) ([]ocispec.Descriptor, error) {
				return a.attestImage(ctx, img, invocation, signer)
			},
			Valid: func(referrers []ocispec.Descriptor) error { return a.attestationsStillThere(img, referrers) },
		})
		out = append(out, img.attested)
	}
	return out
}

// attestImage signs what there is to say about an image (provenance over all of it, an SBOM a platform and for the index,
// and a bare signature), writes each bundle as a referrer of what it speaks of, and gives the referrers.
func (a *assembly) attestImage(ctx context.Context, s *imageSteps, invocation string, signer sign.Signer) ([]ocispec.Descriptor, error) {
	blobs, err := a.blobs()
	if err != nil {
		return nil, err
	}
	w := &imageAttester{blobs: blobs, signer: signer, created: a.plan.Time.Format(time.RFC3339)}
	subjects := []attest.Subject{{Name: s.plan.Name, Digest: map[string]string{"sha256": s.index.Value().Digest.Encoded()}}}
	targets := []ocispec.Descriptor{s.index.Value()}
	names := []string{""}
	for i, t := range s.platforms {
		subjects = append(subjects, attest.Subject{Name: s.plan.Name + "/" + s.plan.On[i].String(), Digest: map[string]string{"sha256": t.Value().Manifest.Digest.Encoded()}})
		targets, names = append(targets, t.Value().Manifest), append(names, s.plan.On[i].String())
	}
	provenance, err := a.imageProvenance(ctx, s, invocation)
	if err != nil {
		return nil, err
	}
	statement, err := attest.NewProvenance(subjects, provenance)
	if err != nil {
		return nil, err
	}
	if err := w.sign(ctx, attest.ProvenanceType, statement, targets...); err != nil {
		return nil, err
	}
	signed, err := attest.NewStatement(subjects, attest.ImageSignatureType, struct{}{})
	if err != nil {
		return nil, err
	}
	if err := w.sign(ctx, attest.ImageSignatureType, signed, targets...); err != nil {
		return nil, err
	}
	for i, name := range names {
		doc, err := os.ReadFile(a.imageSBOMPath(s, name))
		if err != nil {
			return nil, fmt.Errorf("read SBOM: %w", err)
		}
		described, err := attest.NewStatement(subjects[i:i+1], attest.SPDXType, json.RawMessage(doc))
		if err != nil {
			return nil, err
		}
		if err := w.sign(ctx, attest.SPDXType, described, targets[i]); err != nil {
			return nil, err
		}
	}
	return w.referrers, nil
}

// attestationsStillThere is imageStillThere for what was attested of an image.
func (a *assembly) attestationsStillThere(s *imageSteps, referrers []ocispec.Descriptor) error {
	if err := a.blobsStillThere(s.plan, referrers); err != nil {
		return err
	}
	blobs, err := a.blobs()
	if err != nil {
		return err
	}
	for _, d := range referrers {
		data, err := image.ReadBlob(context.Background(), blobs, d, registry.MaxManifest)
		if err != nil {
			return err
		}
		m, err := registry.ParseManifest(d, data)
		if err != nil {
			return err
		}
		if err := a.blobsStillThere(s.plan, m.Blobs); err != nil {
			return err
		}
	}
	return nil
}

// imageProvenance describes how an image was made: from the base, and from programs whose own provenance tells the rest.
func (a *assembly) imageProvenance(ctx context.Context, s *imageSteps, invocation string) (attest.Provenance, error) {
	p := a.newProvenance(attest.ImageBuildType, "sello.yaml#images."+s.plan.ShortName(), invocation)
	materials := slices.Clone(a.origin.materials)
	for i, platform := range s.plan.On {
		built := s.platforms[i].Value()
		took(&p.RunDetails.Metadata, built.Started, built.Finished)
		for _, b := range a.imageBinaries(s.plan, platform) {
			materials = append(materials, material.Material{Name: b.Name, Digest: map[string]string{"sha256": b.SHA256}})
		}
		base, err := a.base(ctx, s.plan, platform)
		if err != nil {
			return p, err
		}
		if base != nil {
			repository, _, _ := definition.ParseBase(s.plan.Base)
			materials = append(materials, base.Materials(repository)...)
		}
	}
	p.BuildDefinition.ResolvedDependencies = distinct(materials)
	return p, nil
}

// imageAttester signs statements and writes them as referrers (OCI image specification 1.1, Manifest: subject).
type imageAttester struct {
	blobs     *image.Blobs
	signer    sign.Signer
	created   string
	referrers []ocispec.Descriptor
}

// sign signs one statement, and attaches the bundle to each target. Annotations are those that cosign writes and looks for.
func (w *imageAttester) sign(ctx context.Context, predicateType string, statement interface{ Encode() ([]byte, error) }, targets ...ocispec.Descriptor) error {
	payload, err := statement.Encode()
	if err != nil {
		return err
	}
	bundle, err := sign.SignStatement(ctx, w.signer, attest.PayloadType, payload)
	if err != nil {
		return fmt.Errorf("sign image: %w", err)
	}
	for _, target := range targets {
		desc, err := attachment(ctx, w.blobs, bundle, predicateType, w.created, target)
		if err != nil {
			return err
		}
		w.referrers = append(w.referrers, desc)
	}
	return nil
}

// predicateAnnotation is where a referrer says of what kind its statement is.
const predicateAnnotation = "dev.sigstore.bundle.predicateType"

// attachment writes a bundle and the manifest that makes it a referrer of target.
func attachment(ctx context.Context, blobs *image.Blobs, bundle []byte, predicateType, created string, target ocispec.Descriptor) (ocispec.Descriptor, error) {
	return attach(ctx, blobs, target, sign.MediaType,
		map[string]string{ocispec.AnnotationCreated: created, "dev.sigstore.bundle.content": "dsse-envelope", predicateAnnotation: predicateType},
		layerContent{mediaType: sign.MediaType, data: bundle})
}

// layerContent is what becomes a layer of a referrer; title is the name under which tools like oras store it, "" for none.
type layerContent struct {
	mediaType, title string
	data             []byte
}

// attach writes contents and the manifest that makes them a referrer of target.
func attach(ctx context.Context, blobs *image.Blobs, target ocispec.Descriptor, artifactType string, annotations map[string]string, contents ...layerContent) (ocispec.Descriptor, error) {
	put := func(mediaType string, data []byte) (ocispec.Descriptor, error) {
		return blobs.Put(ctx, mediaType, func(out io.Writer) error {
			_, err := io.Copy(out, bytes.NewReader(data))
			return err
		})
	}
	config, err := put(ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data)
	if err != nil {
		return config, err
	}
	var layers []ocispec.Descriptor
	for _, c := range contents {
		layer, err := put(c.mediaType, c.data)
		if err != nil {
			return layer, err
		}
		if c.title != "" {
			layer.Annotations = map[string]string{ocispec.AnnotationTitle: c.title}
		}
		layers = append(layers, layer)
	}
	subject := ocispec.Descriptor{MediaType: target.MediaType, Digest: target.Digest, Size: target.Size}
	data, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType,
		Config: config, Layers: layers, Subject: &subject, Annotations: annotations})
	if err != nil {
		return config, fmt.Errorf("encode referrer: %w", err)
	}
	desc, err := put(ocispec.MediaTypeImageManifest, data)
	desc.ArtifactType, desc.Annotations = artifactType, annotations
	return desc, err
}
