// Package imagetest makes images for tests: out of given files, or out of the packages that are installed on this Debian machine.
package imagetest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
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
	layer, err := layerOf(ctx, blobs, entries, at)
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

// layerOf is image.Layer for all that layers of other tools hold: absolute symlinks, and names that differ in case alone.
func layerOf(ctx context.Context, blobs *image.Blobs, entries []pack.Entry, at time.Time) (image.LayerDesc, error) {
	diff := sha256.New()
	desc, err := blobs.Put(ctx, ocispec.MediaTypeImageLayerGzip, func(w io.Writer) error {
		z, err := pack.NewGzip(w)
		if err != nil {
			return err
		}
		tw := tar.NewWriter(io.MultiWriter(z, diff))
		for _, e := range entries {
			if err := write(tw, e, at); err != nil {
				return err
			}
		}
		return errors.Join(tw.Close(), z.Close())
	})
	return image.LayerDesc{Descriptor: desc, DiffID: digest.NewDigest(digest.SHA256, diff)}, err
}

func write(tw *tar.Writer, e pack.Entry, at time.Time) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: e.Name, Size: e.Size, Mode: 0o644, ModTime: at}
	if e.Executable {
		h.Mode = 0o755
	}
	if e.Link != "" {
		h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, e.Link, 0
	}
	if err := tw.WriteHeader(h); err != nil || e.Link != "" {
		return err
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(tw, r)
	return err
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
