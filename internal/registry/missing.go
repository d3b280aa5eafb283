package registry

import (
	"context"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Missing gives what the layout names and does not have: see Missing.
func (l *Layout) Missing(ctx context.Context) ([]ocispec.Descriptor, error) {
	return Missing(ctx, l, l.Entries()...)
}

// Missing gives what roots name, directly and through manifests, and from does not have, each once. It reads manifests, and
// looks at everything else by size: a blob of another size is registry-digest-mismatch. What a missing manifest names is not known.
func Missing(ctx context.Context, from Source, roots ...ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	var missing []ocispec.Descriptor
	seen := map[digest.Digest]bool{}
	level := roots
	for depth := 0; len(level) > 0; depth++ {
		if depth > MaxDepth {
			return nil, loop(level[0].Digest)
		}
		var fresh []ocispec.Descriptor
		for _, d := range level {
			if !seen[d.Digest] {
				seen[d.Digest] = true
				fresh = append(fresh, bare(d))
			}
		}
		there, below, err := look(ctx, from, fresh)
		if err != nil {
			return nil, err
		}
		level = nil
		for i, d := range fresh {
			if !there[i] {
				missing = append(missing, d)
			}
			level = append(level, below[i]...)
		}
	}
	return missing, nil
}

// look says which of all are there, and what the manifests among them name.
func look(ctx context.Context, from Source, all []ocispec.Descriptor) (there []bool, below [][]ocispec.Descriptor, err error) {
	there, below = make([]bool, len(all)), make([][]ocispec.Descriptor, len(all))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, d := range all {
		g.Go(func() (err error) {
			if there[i], err = from.Exists(ctx, d); err != nil || !there[i] || !IsManifest(d.MediaType) {
				return err
			}
			m, _, err := readAndParse(ctx, from, d)
			if err == nil {
				below[i] = append(m.Blobs, m.Manifests...)
			}
			return err
		})
	}
	return there, below, g.Wait()
}
