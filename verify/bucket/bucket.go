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

	"github.com/sello-release/sello/internal/bucketfiles"
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
	return bucketfiles.Of(b, ""), nil
}
