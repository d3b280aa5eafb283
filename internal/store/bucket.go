package store

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sello-release/sello/internal/digest"
)

// Bucket maps names to content. Errors wrap fs.ErrNotExist when a name is
// absent and fs.ErrExist when an exclusive Put finds it taken.
type Bucket interface {
	// Get opens the object's content. Only regular content is ever opened.
	Get(ctx context.Context, name string) (io.ReadCloser, Info, error)
	// Put writes r to its end under name: whole or not at all. An error of r's
	// leaves the name as it was and is returned, wrapped.
	Put(ctx context.Context, name string, r io.Reader, o PutOptions) error
	// List gives every object whose name starts with prefix, sorted by name.
	// A prefix that is not empty ends in '/'. A prefix without objects gives none.
	List(ctx context.Context, prefix string) ([]Info, error)
}

// Info describes an object.
type Info struct {
	Name    string
	Size    int64 // bytes
	ModTime time.Time
}

// PutOptions say how an object is written.
type PutOptions struct {
	// Exclusive: never replace. Without it the old content is replaced in one moment.
	Exclusive bool
	// ContentType is the object's media type, where the bucket keeps one.
	ContentType string
}

// Copier is implemented by buckets that can take an object over from another
// bucket of their kind without its bytes passing through this process.
type Copier interface {
	// CopyFrom copies from's object fromName to name as Put would. Before the copy
	// appears under name its own bytes are compared with want; others are a
	// store-digest-mismatch. When from is of another kind the error wraps
	// errors.ErrUnsupported and nothing has happened.
	CopyFrom(ctx context.Context, name string, from Bucket, fromName string, want digest.Sums, o PutOptions) error
}

// FolderLister is implemented by buckets that can list the next level below a
// prefix without listing everything below it.
type FolderLister interface {
	// Folders gives the names, without slashes, of the folders right below prefix, sorted.
	Folders(ctx context.Context, prefix string) ([]string, error)
}

// Locker is implemented by buckets that can give one process at a time the right
// to move markers.
type Locker interface {
	// LockBucket waits until the bucket is free. The lock ends with unlock or with the process.
	LockBucket(ctx context.Context) (unlock func(), err error)
}

// ErrChanged says that an object is not the one that was read.
var ErrChanged = errors.New("the object has changed since it was read")

// Swapper is implemented by buckets that have no locks, but can replace an object on the condition
// that nobody else has since it was read.
type Swapper interface {
	// GetVersion is Get that also names what it reads.
	GetVersion(ctx context.Context, name string) (r io.ReadCloser, info Info, version string, err error)
	// Swap writes r under name as Put would if the object is still at version; "" means that there is none. Otherwise
	// the error wraps ErrChanged, and nothing has happened.
	Swap(ctx context.Context, name, version string, r io.Reader, o PutOptions) error
}

// Sweeper is implemented by buckets in which a killed writer can leave a
// temporary file. Nothing with a name of its own is ever swept.
type Sweeper interface {
	// Sweep deletes temporary files last written before olderThan ago, and says how many.
	Sweep(ctx context.Context, olderThan time.Duration) (int, error)
}
