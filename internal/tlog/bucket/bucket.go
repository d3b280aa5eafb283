// Package bucket keeps a transparency log in a bucket of package store.
package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/tlog"
)

// Folder is where a project's log is, below the project's folder in the production bucket.
const Folder = "log"

// Open gives the log of a project in its production bucket. Nothing is read yet; a bucket without a log has an empty one.
func Open(b store.Bucket, project string, id *tlog.Identity) *tlog.Log {
	return tlog.Open(Objects(b, project), id)
}

// Objects gives where the log of a project lies.
func Objects(b store.Bucket, project string) tlog.Objects {
	return objects{b, project + "/" + Folder + "/"}
}

// objects are the objects of a bucket below a prefix.
type objects struct {
	bucket store.Bucket
	prefix string
}

// String is where they are.
func (o objects) String() string { return store.Place(o.bucket, o.prefix) }

// Lock implements tlog.Objects.
func (o objects) Lock(ctx context.Context) (func(), error) {
	if l, ok := o.bucket.(store.Locker); ok {
		return l.LockBucket(ctx)
	}
	return func() {}, nil
}

// Read implements tlog.Objects.
func (o objects) Read(ctx context.Context, name string, limit int64) (data []byte, version string, err error) {
	var r io.ReadCloser
	if s, ok := o.bucket.(store.Swapper); ok {
		r, _, version, err = s.GetVersion(ctx, o.prefix+name)
	} else {
		r, _, err = o.bucket.Get(ctx, o.prefix+name)
	}
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	if data, err = io.ReadAll(io.LimitReader(r, limit+1)); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", o.prefix+name, err)
	}
	return data, version, nil
}

// Write implements tlog.Objects.
func (o objects) Write(ctx context.Context, name string, data []byte) error {
	return o.bucket.Put(ctx, o.prefix+name, bytes.NewReader(data), options(name))
}

// Swap implements tlog.Objects. Where the bucket has locks instead of conditions, the lock is held.
func (o objects) Swap(ctx context.Context, name, version string, data []byte) error {
	s, ok := o.bucket.(store.Swapper)
	if !ok {
		return o.Write(ctx, name, data)
	}
	err := s.Swap(ctx, o.prefix+name, version, bytes.NewReader(data), options(name))
	if errors.Is(err, store.ErrChanged) {
		return fmt.Errorf("%w: %w", tlog.ErrChanged, err)
	}
	return err
}

// options gives the media types of C2SP tlog-tiles: text for a checkpoint, bytes for tiles.
func options(name string) store.PutOptions {
	if strings.Contains(name, "/") {
		return store.PutOptions{ContentType: "application/octet-stream"}
	}
	return store.PutOptions{ContentType: "text/plain; charset=utf-8"}
}
