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
	"github.com/sello-release/sello/internal/strictjson"
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

// ReadLayout gives the roots that the index.json of an OCI image layout names, and its blobs.
func ReadLayout(dir *os.Root) (*Blobs, []ocispec.Descriptor, error) {
	var l ocispec.ImageLayout
	data, err := readSmall(dir, ocispec.ImageLayoutFile)
	if err == nil {
		err = malformedOr(ocispec.ImageLayoutFile, strictjson.Unmarshal(data, &l))
	}
	if err == nil && l.Version != ocispec.ImageLayoutVersion {
		err = unsupported("version of the layout", l.Version, ocispec.ImageLayoutVersion)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read image layout: %w", err)
	}
	if data, err = readSmall(dir, ocispec.ImageIndexFile); err != nil {
		return nil, nil, fmt.Errorf("read image layout: %w", err)
	}
	doc, err := parseDocument(data, ocispec.MediaTypeImageIndex)
	if err != nil {
		return nil, nil, fmt.Errorf("read image layout: %w", malformed(ocispec.ImageIndexFile, err))
	}
	return &Blobs{dir: dir}, doc.manifests, nil
}

func malformedOr(where string, err error) error {
	if err == nil {
		return nil
	}
	return malformed(where, err)
}

func readSmall(dir *os.Root, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(data) > maxManifest {
		err = tooLarge(name, maxManifest, int64(len(data)))
	}
	return data, err
}
