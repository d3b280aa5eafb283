package image

import (
	"context"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

// Base is an image of one platform that others are built upon. Its manifest and
// configuration are verified; its layers need not be there.
type Base struct {
	// Root is the descriptor that the image was asked for by.
	Root ocispec.Descriptor
	// Indexes lead from Root to Manifest, outermost first. Empty when Root is the manifest.
	Indexes []ocispec.Descriptor
	// Manifest, Config and Layers are what the image consists of.
	Manifest, Config ocispec.Descriptor
	Layers           []ocispec.Descriptor
	// Platform is what the image says that it is for.
	Platform ocispec.Platform

	content *content
}

// Descriptors are the indexes, the manifest, the configuration and the layers: everything that the image consists of.
func (b *Base) Descriptors() []ocispec.Descriptor {
	return slices.Concat(b.Indexes, []ocispec.Descriptor{b.Manifest, b.Config}, b.Layers)
}

// ReadBase finds the image for the platform at root, which is an index, or a manifest
// whose configuration is for the platform. An image for a lower variant is taken when there is none for the
// very variant: linux/arm/v6 carries programs for linux/arm/v7.
func ReadBase(ctx context.Context, from Fetcher, root ocispec.Descriptor, platform definition.Platform) (*Base, error) {
	want := Platform(platform)
	doc, err := readDocument(ctx, from, root)
	if err != nil {
		return nil, fmt.Errorf("read base image: %w", err)
	}
	b := &Base{Root: root, Manifest: root}
	if doc.isIndex() {
		if doc, err = b.choose(ctx, from, doc, want); err != nil {
			return nil, fmt.Errorf("read base image: %w", err)
		}
	}
	c, err := readContent(ctx, from, b.Manifest, doc)
	if err != nil {
		return nil, fmt.Errorf("read base image: %w", err)
	}
	if have := c.config.platform; fit(want, inherit(have, b.Manifest.Platform)) == 0 {
		return nil, platformMissing(root, want, []string{platformName(have) + ", as the configuration says"})
	}
	b.content, b.Config, b.Layers, b.Platform = c, c.configAt, c.fetchedAs, normal(c.config.platform)
	return b, nil
}

// inherit gives the configuration's platform; of a variant that only the index names it takes the index's.
func inherit(have ocispec.Platform, index *ocispec.Platform) ocispec.Platform {
	if index != nil && have.Variant == "" && have.OS == index.OS && have.Architecture == index.Architecture {
		have.Variant = index.Variant
	}
	return have
}

// choose finds the manifest that fits best, the first of those that fit alike.
func (b *Base) choose(ctx context.Context, from Fetcher, index *document, want ocispec.Platform) (*document, error) {
	f := &finder{from: from}
	if err := f.list(ctx, b.Root, index, nil); err != nil {
		return nil, err
	}
	var names []string
	best := 0
	for _, l := range f.out {
		if l.desc.Platform == nil || l.desc.Platform.OS == "unknown" { // attestations that builders leave in indexes
			continue
		}
		names = append(names, platformName(*l.desc.Platform))
		if n := fit(want, *l.desc.Platform); n > best {
			best, b.Manifest, b.Indexes = n, l.desc, l.path
		}
	}
	if best == 0 {
		return nil, platformMissing(b.Root, want, names)
	}
	doc, err := readDocument(ctx, from, b.Manifest)
	if err == nil && doc.isIndex() {
		err = unsupported("an index that is listed as a manifest", b.Manifest.MediaType, ocispec.MediaTypeImageManifest)
	}
	return doc, err
}

func platformMissing(root ocispec.Descriptor, want ocispec.Platform, have []string) error {
	slices.Sort(have)
	have = slices.Compact(have)
	if len(have) > 20 {
		have = append(have[:20], "…")
	}
	actual := fmt.Sprintf("%.1000q", strings.Join(have, ", "))
	if len(have) == 0 {
		actual = "no platforms"
	}
	return &gate.Refusal{Code: CodePlatformMissing, What: "the base image is not there for the platform", Where: root.Digest.String(),
		Expected: platformName(want), Actual: actual, Fix: "use a base image that is there for all platforms of the image, or leave the platform out"}
}

func indexLoop(d ocispec.Descriptor) error {
	return &gate.Refusal{Code: CodeIndexLoop, What: "indexes of an image hold each other, or nest too deep", Where: d.Digest.String(),
		Expected: fmt.Sprintf("at most %d within each other, and %d in all", maxDepth, maxIndexes), Fix: "do not use the image"}
}
