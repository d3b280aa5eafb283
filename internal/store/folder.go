package store

import (
	"context"
	"io"

	"github.com/sello-release/sello/internal/digest"
)

// Folder is the part of a bucket below a prefix, which is empty or ends in a slash.
type Folder struct {
	Bucket Bucket
	Prefix string
}

// Open opens the object of that name below the prefix, and gives its size in bytes.
func (f Folder) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	r, info, err := f.Bucket.Get(ctx, f.Prefix+name)
	return r, info.Size, err
}

// Put is PutDigest below the prefix.
func (f Folder) Put(ctx context.Context, name string, size int64, sha256 string, open func() (io.ReadCloser, error)) error {
	_, err := PutDigest(ctx, f.Bucket, f.Prefix+name, digest.Sums{Size: size, SHA256: sha256}, open)
	return err
}

// String names the folder as Place does.
func (f Folder) String() string { return Place(f.Bucket, f.Prefix) }
