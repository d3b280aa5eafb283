package image

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/definition"
)

// maxFetches is how many blobs are fetched at a time.
const maxFetches = 4

// FetchBase copies the image at root into blobs, for all the platforms, and gives it for each in their order. Blobs that are
// there, and whole, are not fetched. Progress, when set, is told of each blob once, one call at a time, and
// whether it had to be fetched.
func FetchBase(ctx context.Context, from Fetcher, root ocispec.Descriptor, platforms []definition.Platform, to *Blobs,
	progress func(blob ocispec.Descriptor, fetched bool)) ([]*Base, error) {
	f := &fetcher{from: from, to: to, progress: progress, done: map[blobKey]bool{}}
	var bases []*Base
	for _, p := range platforms {
		b, err := ReadBase(ctx, f, root, p)
		if err != nil {
			return nil, err
		}
		bases = append(bases, b)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxFetches)
	for _, b := range bases {
		for _, d := range b.Layers {
			if f.claim(d) {
				group.Go(func() error { return f.fetch(ctx, d) })
			}
		}
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("fetch base image: %w", err)
	}
	return bases, nil
}

// fetcher reads through a folder of blobs.
type fetcher struct {
	from     Fetcher
	to       *Blobs
	progress func(ocispec.Descriptor, bool)

	mu   sync.Mutex
	done map[blobKey]bool // there, or about to be
}

// Fetch gives the blob out of the folder, and brings it there before when need be.
func (f *fetcher) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if f.claim(d) {
		if err := f.fetch(ctx, d); err != nil {
			return nil, err
		}
	}
	return f.to.Fetch(ctx, d)
}

// blobKey holds the size too: two descriptors of one digest that disagree on it are both looked into.
type blobKey struct {
	digest digest.Digest
	size   int64
}

func (f *fetcher) claim(d ocispec.Descriptor) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := blobKey{d.Digest, d.Size}
	first := !f.done[k]
	f.done[k] = true
	return first
}

func (f *fetcher) fetch(ctx context.Context, d ocispec.Descriptor) error {
	good, err := f.to.Good(ctx, d)
	if err != nil {
		return err
	}
	if !good {
		r, err := f.from.Fetch(ctx, d)
		if err != nil {
			return fmt.Errorf("fetch %s: %w", d.Digest, err)
		}
		defer r.Close()
		if err := f.to.Push(ctx, d, r); err != nil {
			return err
		}
	}
	if f.progress != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.progress(d, !good)
	}
	return nil
}
