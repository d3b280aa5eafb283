package image

import (
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// content is a manifest with its configuration, both checked.
type content struct {
	manifest  ocispec.Descriptor
	configAt  ocispec.Descriptor
	layers    []ocispec.Descriptor // as named by the manifest, with OCI's media types
	config    *config
	fetchedAs []ocispec.Descriptor // the layers as their own media types name them
}

// readDocument reads a manifest or an index.
func readDocument(ctx context.Context, from Fetcher, desc ocispec.Descriptor) (*document, error) {
	data, err := ReadBlob(ctx, from, desc, maxManifest)
	if err != nil {
		return nil, err
	}
	d, err := parseDocument(data, desc.MediaType)
	if err != nil {
		return nil, malformed(desc.Digest.String(), err)
	}
	return d, nil
}

// readContent reads the configuration that the manifest doc names.
func readContent(ctx context.Context, from Fetcher, manifest ocispec.Descriptor, doc *document) (*content, error) {
	if t := doc.config.MediaType; t != ocispec.MediaTypeImageConfig && t != dockerConfig {
		return nil, unsupported("media type of the configuration", t, ocispec.MediaTypeImageConfig)
	}
	c := &content{manifest: manifest, configAt: doc.config, fetchedAs: doc.layers}
	for _, l := range doc.layers {
		t, ok := layerTypes[l.MediaType]
		if !ok {
			return nil, unsupported("media type of a layer", l.MediaType, "tar, plain or compressed with gzip or zstd, and free to distribute")
		}
		c.layers = append(c.layers, ocispec.Descriptor{MediaType: t, Digest: l.Digest, Size: l.Size, Annotations: l.Annotations})
	}
	data, err := ReadBlob(ctx, from, doc.config, maxConfig)
	if err != nil {
		return nil, err
	}
	if c.config, err = parseConfig(data); err != nil {
		return nil, malformed(doc.config.Digest.String(), err)
	}
	if len(c.config.diffIDs) != len(c.layers) {
		return nil, malformed(doc.config.Digest.String(), fmt.Errorf("%d layers in the manifest, %d in the configuration", len(c.layers), len(c.config.diffIDs)))
	}
	return c, nil
}

// readManifest reads the manifest of one platform and its configuration.
func readManifest(ctx context.Context, from Fetcher, manifest ocispec.Descriptor) (*content, error) {
	doc, err := readDocument(ctx, from, manifest)
	if err != nil {
		return nil, err
	}
	if doc.isIndex() {
		return nil, unsupported("an index where the manifest of one platform is needed", doc.mediaType, ocispec.MediaTypeImageManifest)
	}
	return readContent(ctx, from, manifest, doc)
}

// listed is a manifest that an index lists, and how to get there.
type listed struct {
	desc ocispec.Descriptor
	path []ocispec.Descriptor // indexes, outermost first
}

// finder lists the manifests of an index and of those in it.
type finder struct {
	from Fetcher
	read int
	out  []listed
}

func (f *finder) list(ctx context.Context, index ocispec.Descriptor, doc *document, above []ocispec.Descriptor) error {
	path := append(slices.Clip(above), index)
	for _, m := range doc.manifests {
		if m.MediaType != ocispec.MediaTypeImageIndex && m.MediaType != dockerIndex {
			f.out = append(f.out, listed{m, path})
			continue
		}
		f.read++
		if len(path) >= maxDepth || f.read > maxIndexes || slices.ContainsFunc(path, sameDigest(m.Digest)) {
			return indexLoop(m)
		}
		inner, err := readDocument(ctx, f.from, m)
		if err != nil {
			return err
		}
		if err := f.list(ctx, m, inner, path); err != nil {
			return err
		}
	}
	if len(f.out) > maxListed {
		return indexLoop(index)
	}
	return nil
}

func sameDigest(d digest.Digest) func(ocispec.Descriptor) bool {
	return func(o ocispec.Descriptor) bool { return o.Digest == d }
}
