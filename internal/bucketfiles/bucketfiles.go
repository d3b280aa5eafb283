// Package bucketfiles gives package verify what lies in a bucket. It keeps no files, and trusts no names: store refuses those that are no file's.
package bucketfiles

import (
	"context"
	"io"

	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/verify"
)

// Of reads the part of b under prefix, which is empty or ends in a slash. The source is an io.Closer.
func Of(b store.Bucket, prefix string) verify.Source { return source{b, prefix} }

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
