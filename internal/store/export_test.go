package store

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcerrors"
)

// OpenMem makes an object store in memory, to try what all object stores have in common. Its driver knows no
// condition but "absent": what depends on versions is tried on a real store.
func OpenMem() Bucket {
	return &blobBucket{scheme: "mem", name: "memory", query: url.Values{}, via: &memProvider{}, answer: answerTime, read: readTime, write: writeTime}
}

// SetTimes shortens the limits on time of an object store.
func SetTimes(b Bucket, d time.Duration) {
	blob := b.(*blobBucket)
	blob.answer, blob.read, blob.write = d, d, d
}

type memProvider struct {
	mu     sync.Mutex
	bucket *blob.Bucket
}

func (p *memProvider) open(context.Context) (*blob.Bucket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bucket == nil {
		p.bucket = memblob.OpenBucket(nil)
	}
	return p.bucket, nil
}

func (p *memProvider) version(r *blob.Reader) string { return r.ModTime().Format(time.RFC3339Nano) }

func (p *memProvider) onlyAt(string) func(func(any) bool) error {
	return func(func(any) bool) error { return nil }
}

func (p *memProvider) copies() bool { return false }

func (p *memProvider) copy(context.Context, blobCopy) error { return errors.ErrUnsupported }

func (p *memProvider) cause(err error) cause {
	switch {
	case err == nil:
	case gcerrors.Code(err) == gcerrors.NotFound || strings.Contains(err.Error(), "no blob"):
		return causeAbsent
	case gcerrors.Code(err) == gcerrors.FailedPrecondition:
		return causeCondition
	}
	return causeOther
}

func (p *memProvider) doubtful() bool { return false }
func (p *memProvider) access() string { return "nothing" }

// Secrets is what scrub makes of an error.
func Secrets(err error) string { return scrub(err).Error() }
