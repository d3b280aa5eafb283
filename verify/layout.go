package verify

import (
	"context"
	"io"
	"io/fs"

	"github.com/sello-release/sello/internal/registry"
)

// openLayout opens the OCI image layout in src.
func openLayout(ctx context.Context, src Source) (*registry.Layout, error) {
	entries, err := src.List(ctx, "")
	if err != nil {
		return nil, err
	}
	files := layoutFiles{src, map[string]int64{}}
	for _, e := range entries {
		if !e.Irregular {
			files.sizes[e.Name] = e.Size
		}
	}
	return registry.OpenLayout(ctx, files)
}

// layoutFiles is a source whose files have the sizes that it lists.
type layoutFiles struct {
	src   Source
	sizes map[string]int64
}

// Open implements registry.Files.
func (f layoutFiles) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	size, ok := f.sizes[name]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	r, err := f.src.Open(ctx, name)
	return r, size, err
}
