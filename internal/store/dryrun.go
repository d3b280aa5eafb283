package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/sello-release/sello/internal/digest"
)

// DryRun is a bucket that is read as it is and never written. A Put goes through
// everything that a real one would, to the last byte of its source, and ends as a
// real one would, but only leaves an entry in Writes.
type DryRun struct {
	under Bucket

	mu     sync.Mutex
	writes []Write
	taken  map[string]bool
}

// Write is one object that would have been written.
type Write struct {
	Name      string
	Exclusive bool
	Sums      digest.Sums
}

// NewDryRun makes a dry run over b.
func NewDryRun(b Bucket) *DryRun { return &DryRun{under: b, taken: map[string]bool{}} }

var _ interface {
	Bucket
	FolderLister
} = (*DryRun)(nil)

// Writes gives what would have been written, in order.
func (d *DryRun) Writes() []Write {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Write(nil), d.writes...)
}

// Get implements Bucket: what would have been written cannot be read.
func (d *DryRun) Get(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	return d.under.Get(ctx, name)
}

// List implements Bucket.
func (d *DryRun) List(ctx context.Context, prefix string) ([]Info, error) {
	return d.under.List(ctx, prefix)
}

// Folders implements FolderLister.
func (d *DryRun) Folders(ctx context.Context, prefix string) ([]string, error) {
	return folders(ctx, d.under, prefix)
}

// Put implements Bucket.
func (d *DryRun) Put(ctx context.Context, name string, r io.Reader, o PutOptions) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if o.Exclusive {
		there, err := exists(ctx, d.under, name)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("write %s: %w", place(d.under, name), fs.ErrExist)
		}
	}
	sums, err := digest.Reader(digest.Until(ctx, r))
	if err = errors.Join(err, ctx.Err()); err != nil {
		return fmt.Errorf("write %s: %w", place(d.under, name), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.Exclusive && d.taken[name] {
		return fmt.Errorf("write %s: %w", place(d.under, name), fs.ErrExist)
	}
	d.taken[name] = true
	d.writes = append(d.writes, Write{Name: name, Exclusive: o.Exclusive, Sums: sums})
	return nil
}
