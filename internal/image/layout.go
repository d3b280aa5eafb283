package image

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/pack"
)

// WriteLayout makes the folder of blobs an OCI image layout whose index.json names the roots, in their order. A root is
// found by the annotation org.opencontainers.image.ref.name. An earlier index.json is replaced.
func WriteLayout(dir *os.Root, roots []ocispec.Descriptor) error {
	put := func(name string, v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, err = pack.ToFile(dir, name, func(w io.Writer) error { _, err := w.Write(data); return err })
		return err
	}
	if err := put(ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}); err != nil {
		return fmt.Errorf("write image layout: %w", err)
	}
	err := put(ocispec.ImageIndexFile, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: slices.Concat([]ocispec.Descriptor{}, roots)})
	if err != nil {
		return fmt.Errorf("write image layout: %w", err)
	}
	return nil
}
