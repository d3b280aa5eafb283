package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	digests "github.com/sello-release/sello/internal/digest"
)

// Blobs opens content by its descriptor; Repository.Fetch and Layout.Fetch are of this form.
type Blobs func(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error)

// FilesWriter writes the files of a layout.
type FilesWriter interface {
	// Put makes sure that the file of that name holds the bytes with this size and SHA-256 (lower-case hex), compared
	// while they are written; other bytes that are there already are an error and stay.
	Put(ctx context.Context, name string, size int64, sha256 string, open func() (io.ReadCloser, error)) error
}

// WriteLayout writes an OCI image layout: everything that roots and referrers name, then oci-layout, then index.json,
// which names roots and then referrers, with the annotations that they bring along. A
// root gets its name from the annotation org.opencontainers.image.ref.name; skopeo and
// others need one when there are several.
//
// What is there with the same bytes stays; with other bytes it is a store-conflict. A
// layout without index.json was not written to its end.
func WriteLayout(ctx context.Context, to FilesWriter, blobs Blobs, roots, referrers []ocispec.Descriptor) error {
	w := &layoutWriter{to: to, blobs: blobs, seen: map[digest.Digest]bool{}}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	for _, d := range append(append([]ocispec.Descriptor(nil), roots...), referrers...) {
		if err := w.plan(ctx, d, 0); err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, d)
	}
	list, err := json.Marshal(index)
	if err != nil {
		return fmt.Errorf("encode index.json: %w", err)
	}
	if _, why := parseLayoutIndex(list); why != "" {
		return (&Layout{}).invalid(ocispec.ImageIndexFile, why)
	}
	if err := w.write(ctx); err != nil {
		return err
	}
	version, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return fmt.Errorf("encode oci-layout: %w", err)
	}
	if err := w.file(ctx, ocispec.ImageLayoutFile, version); err != nil {
		return err
	}
	return w.file(ctx, ocispec.ImageIndexFile, list)
}

type layoutWriter struct {
	to    FilesWriter
	blobs Blobs
	seen  map[digest.Digest]bool
	all   []ocispec.Descriptor // every part once, each after what it names
}

// plan lists everything that desc names, and desc.
func (w *layoutWriter) plan(ctx context.Context, desc ocispec.Descriptor, depth int) error {
	if depth > MaxDepth {
		return loop(desc.Digest)
	}
	if w.seen[desc.Digest] {
		return nil
	}
	w.seen[desc.Digest] = true
	if IsManifest(desc.MediaType) {
		m, err := w.parse(ctx, desc)
		if err != nil {
			return err
		}
		for _, d := range append(m.Blobs, m.Manifests...) {
			if err := w.plan(ctx, d, depth+1); err != nil {
				return err
			}
		}
	}
	w.all = append(w.all, desc)
	return nil
}

func (w *layoutWriter) parse(ctx context.Context, desc ocispec.Descriptor) (*Manifest, error) {
	rc, err := w.blobs(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data, err := readManifest(desc.Digest.String(), desc, rc)
	if err != nil {
		return nil, err
	}
	return ParseManifest(desc, data)
}

func (w *layoutWriter) write(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, d := range w.all {
		g.Go(func() error {
			return w.to.Put(ctx, blobName(d.Digest), d.Size, d.Digest.Encoded(), func() (io.ReadCloser, error) { return w.blobs(ctx, d) })
		})
	}
	return g.Wait()
}

func (w *layoutWriter) file(ctx context.Context, name string, data []byte) error {
	return w.to.Put(ctx, name, int64(len(data)), digests.Bytes(data), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
}
