package verify

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/store"
)

// openLayout opens the OCI image layout in src.
func openLayout(ctx context.Context, src Source) (*registry.Layout, error) {
	entries, err := src.List(ctx, "")
	if err != nil {
		return nil, err
	}
	b := readOnly{src, map[string]int64{}}
	for _, e := range entries {
		if !e.Irregular {
			b.sizes[e.Name] = e.Size
		}
	}
	return registry.OpenLayout(ctx, b, "")
}

// readOnly is a source as a bucket that nobody writes to.
type readOnly struct {
	Source
	sizes map[string]int64
}

func (b readOnly) Get(ctx context.Context, name string) (io.ReadCloser, store.Info, error) {
	size, ok := b.sizes[name]
	if !ok {
		return nil, store.Info{}, fs.ErrNotExist
	}
	r, err := b.Open(ctx, name)
	return r, store.Info{Name: name, Size: size}, err
}

func (readOnly) Put(context.Context, string, io.Reader, store.PutOptions) error {
	return errors.ErrUnsupported
}

func (readOnly) List(context.Context, string) ([]store.Info, error) {
	return nil, errors.ErrUnsupported
}
