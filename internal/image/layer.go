package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/pack"
)

// LayerDesc is a layer as a manifest and a configuration name it.
type LayerDesc struct {
	// Descriptor names the compressed bytes.
	Descriptor ocispec.Descriptor
	// DiffID is the digest of the uncompressed tar.
	DiffID digest.Digest
}

// Layer packs the entries into a layer, tar compressed with gzip. An entry's name is its path in the image
// without the leading slash. Owner and group are 0, modes 0644 or 0755, every time is at in
// whole seconds, and folders come first of what they hold. Each entry is opened and read once.
//
// Memory is a few MB for each core, whatever the size.
func Layer(ctx context.Context, blobs *Blobs, entries []pack.Entry, at time.Time) (LayerDesc, error) {
	diff := sha256.New()
	desc, err := blobs.Put(ctx, ocispec.MediaTypeImageLayerGzip, func(w io.Writer) error {
		z, err := pack.NewGzip(w)
		if err != nil {
			return err
		}
		if err := pack.WriteTar(ctx, io.MultiWriter(z, diff), entries, pack.Options{Time: at}); err != nil {
			return err
		}
		return z.Close()
	})
	if err != nil {
		return LayerDesc{}, fmt.Errorf("make layer: %w", err)
	}
	return LayerDesc{Descriptor: desc, DiffID: digest.NewDigest(digest.SHA256, diff)}, nil
}
