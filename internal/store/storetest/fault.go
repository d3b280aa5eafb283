package storetest

import (
	"context"
	"io"

	"github.com/sello-release/sello/internal/store"
)

// Fault is a bucket that fails on purpose. The zero hooks do nothing, so that a
// Fault without any passes the whole suite.
type Fault struct {
	store.Bucket
	// BeforePut is asked before a Put; its error is the Put's.
	BeforePut func(name string) error
	// AfterPut is asked after a Put that was done: an answer that was lost on its way.
	AfterPut func(name string) error
	// OnGet is asked before a Get; its error is the Get's.
	OnGet func(name string) error
	// Read may replace what a Get reads.
	Read func(name string, r io.ReadCloser) io.ReadCloser
}

// Get implements store.Bucket.
func (f *Fault) Get(ctx context.Context, name string) (io.ReadCloser, store.Info, error) {
	if f.OnGet != nil {
		if err := f.OnGet(name); err != nil {
			return nil, store.Info{}, err
		}
	}
	r, info, err := f.Bucket.Get(ctx, name)
	if err == nil && f.Read != nil {
		r = f.Read(name, r)
	}
	return r, info, err
}

// Put implements store.Bucket.
func (f *Fault) Put(ctx context.Context, name string, r io.Reader, o store.PutOptions) error {
	if f.BeforePut != nil {
		if err := f.BeforePut(name); err != nil {
			return err
		}
	}
	if err := f.Bucket.Put(ctx, name, r, o); err != nil {
		return err
	}
	if f.AfterPut != nil {
		return f.AfterPut(name)
	}
	return nil
}
