// Package bucket lets verify read releases where they are published: in object stores.
//
//	report, err := verify.Any(ctx, "s3://releases/age/v1.4.2/?region=eu-west-1", verify.Options{TrustFile: data, Buckets: bucket.Open})
//
// It is a package of its own so that a program says whether object stores are read at all.
//
// Credentials come from the environment, as each store's own tools take them; URLs that hold any are refused, as are options
// that would send credentials to another host. Nothing is written. Names in a bucket that could
// not be files of a release are refused; time without an answer is bounded; objects are read as they come and never stored.
package bucket

import (
	"context"
	"io"

	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/verify"
)

// Open opens the bucket at rawURL: s3://bucket, gs://bucket or azblob://container, with options such as region,
// endpoint and prefix. It asks nothing of the store before the source is used. The source is an io.Closer.
func Open(_ context.Context, rawURL string) (verify.Source, error) {
	b, err := store.Open(rawURL, ".")
	if err != nil {
		return nil, err
	}
	return Source(b, ""), nil
}

// Source reads the part of b under prefix, which is empty or ends in a slash.
func Source(b store.Bucket, prefix string) verify.Source { return source{b, prefix} }

type source struct {
	b      store.Bucket
	prefix string
}

func (s source) List(ctx context.Context, prefix string) ([]verify.Entry, error) {
	infos, err := s.b.List(ctx, s.prefix+prefix)
	if err != nil {
		return nil, err
	}
	entries := make([]verify.Entry, 0, len(infos))
	for _, info := range infos {
		entries = append(entries, verify.Entry{Name: info.Name[len(s.prefix):], Size: info.Size})
	}
	return entries, nil
}

func (s source) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, _, err := s.b.Get(ctx, s.prefix+name)
	return r, err
}

// Close gives back the bucket's connections.
func (s source) Close() error {
	if c, ok := s.b.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
