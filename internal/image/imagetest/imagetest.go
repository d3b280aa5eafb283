// Package imagetest makes images for tests: out of given files, or out of the packages that are installed on this Debian machine.
package imagetest

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/pack"
	"github.com/sello-release/sello/internal/registry"
)

// File is an entry with the given content.
func File(name string, content []byte, executable bool) pack.Entry {
	return pack.Entry{Name: name, Executable: executable, Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
}

// Copy is an entry with the content of a file.
func Copy(t testing.TB, name, from string) pack.Entry {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	return pack.Entry{Name: name, Executable: info.Mode()&0o111 != 0, Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(from) }}
}

// Push makes an image of the entries, in one layer, for one platform, below an index, and pushes it to repository. It gives
// repository@sha256:… of the index.
func Push(t testing.TB, repository, platform string, entries []pack.Entry) string {
	t.Helper()
	ctx, at := t.Context(), time.Unix(1_700_000_000, 0)
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	blobs, err := image.NewBlobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := definition.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := image.Layer(ctx, blobs, entries, at)
	if err != nil {
		t.Fatal(err)
	}
	made, err := image.Build(ctx, blobs, image.Spec{Platform: p, Layers: []image.AddedLayer{{LayerDesc: layer}}, Created: at})
	if err != nil {
		t.Fatal(err)
	}
	index, err := image.Index(ctx, blobs, []ocispec.Descriptor{made.Manifest}, nil)
	if err != nil {
		t.Fatal(err)
	}
	to, err := registry.Open(repository, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Copy(ctx, source{blobs}, to, index, registry.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	return repository + "@" + index.Digest.String()
}

// source is a folder of blobs that nothing refers to.
type source struct{ *image.Blobs }

func (source) Referrers(context.Context, ocispec.Descriptor, string) ([]ocispec.Descriptor, error) {
	return nil, nil
}

// usable reports whether a path can be copied, and what it is.
func usable(path string) (info os.FileInfo, ok bool) {
	info, err := os.Lstat(path)
	return info, err == nil && (info.Mode().IsRegular() || info.Mode()&os.ModeSymlink != 0)
}

// real gives a path whose folder is not reached through symlinks: /bin/sh is /usr/bin/sh on most systems.
func real(path string) (string, error) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}
