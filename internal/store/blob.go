package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
)

// Limits on time. There is none on a whole object: only on how long nothing happens.
const (
	answerTime = 60 * time.Second // until the store answers, retries of its client included
	readTime   = 60 * time.Second // without a byte while reading
	writeTime  = 5 * time.Minute  // without progress while writing; the last parts are on their way meanwhile
)

// listPage is how many objects are listed by one request.
const listPage = 1000

// blobBucket is a bucket in an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure
// Blob Storage. The client is made by the first call, not before.
//
// An object appears when the store has all of it, so that a writer that is killed leaves nothing under its name. (In
// S3 the parts of a large object stay behind unseen; a lifecycle rule that ends incomplete uploads removes them.)
//
// There are no locks. An exclusive Put is a conditional write, which the store refuses when the name is
// taken, and Swap one that it refuses when the object is not the one that was read. Stores that are only said to speak S3
// are tried once before they are relied on; one that ignores conditions is refused with code store-no-conditions.
type blobBucket struct {
	scheme string
	name   string // of the bucket or container
	prefix string // of every object; "" or ends in '/'
	query  url.Values
	via    provider

	answer, read, write time.Duration

	mu     sync.Mutex
	bucket *blob.Bucket
	tried  bool // the store keeps to conditions
}

// provider is what object stores differ in.
type provider interface {
	// open makes the client. It asks nothing of the store.
	open(ctx context.Context) (*blob.Bucket, error)
	// version names what r reads; "" when it cannot.
	version(r *blob.Reader) string
	// onlyAt makes a write conditional on the object's being at version still.
	onlyAt(version string) func(as func(any) bool) error
	// copy copies src as it is at version, inside the store, and makes it visible under c.key in one step that
	// refuses to replace. errSourceChanged says that src is at another version. See CopyFrom.
	copy(ctx context.Context, c blobCopy) error
	// copies holds when copy works.
	copies() bool
	// cause classifies an error of the store.
	cause(err error) cause
	// doubtful holds when it is not known whether the store keeps to conditions.
	doubtful() bool
	// access says how to give this process access, for messages.
	access() string
}

// blobCopy is a copy inside one object store.
type blobCopy struct {
	to, from       *blob.Bucket
	bucket, key    string
	source, srcKey string // bucket and key
	version        string
	size           int64
	contentType    string
}

var _ interface {
	Bucket
	FolderLister
	Copier
	Swapper
	io.Closer
} = (*blobBucket)(nil)

// String gives the bucket's place, for messages.
func (b *blobBucket) String() string {
	return strings.TrimSuffix(b.scheme+"://"+b.name+"/"+b.prefix, "/")
}

// where names an object in messages.
func (b *blobBucket) where(name string) string { return b.String() + "/" + name }

// address is a URL of name that a reader can use: with the bucket's options.
func (b *blobBucket) address(name string) string {
	u := url.URL{Scheme: b.scheme, Host: b.name, Path: "/" + name, RawQuery: b.query.Encode()}
	return u.String()
}

func (b *blobBucket) key(name string) string { return b.prefix + name }

// account tells apart what needs another client: copies inside the store need the same one.
func (b *blobBucket) account() string {
	q := url.Values{}
	for k, v := range b.query {
		if k != "prefix" {
			q[k] = v
		}
	}
	return b.scheme + "?" + q.Encode()
}

// open gives the client.
func (b *blobBucket) open(ctx context.Context) (*blob.Bucket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bucket != nil {
		return b.bucket, nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.answer)
	defer cancel()
	bucket, err := b.via.open(ctx)
	if err != nil {
		return nil, b.explain(ctx, "open", b.String(), err)
	}
	b.bucket = bucket
	return bucket, nil
}

// Close gives back the client's connections. Later calls open it again.
func (b *blobBucket) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bucket == nil {
		return nil
	}
	err := b.bucket.Close()
	b.bucket = nil
	return err
}

// Get implements Bucket.
func (b *blobBucket) Get(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	r, info, _, err := b.GetVersion(ctx, name)
	return r, info, err
}

// GetVersion implements Swapper.
func (b *blobBucket) GetVersion(ctx context.Context, name string) (io.ReadCloser, Info, string, error) {
	if err := errors.Join(ctx.Err(), CheckName(name)); err != nil {
		return nil, Info{}, "", err
	}
	bucket, err := b.open(ctx)
	if err != nil {
		return nil, Info{}, "", err
	}
	w := watch(ctx)
	w.start(b.answer)
	r, err := bucket.NewReader(w.ctx, b.key(name), nil)
	w.pause()
	if err != nil {
		w.stop()
		return nil, Info{}, "", b.explain(ctx, "read", b.where(name), w.why(err))
	}
	info := Info{Name: name, Size: r.Size(), ModTime: r.ModTime()}
	return &blobReader{r: r, b: b, name: name, watch: w}, info, b.via.version(r), nil
}

// blobReader reads an object, and ends when no byte comes for too long.
type blobReader struct {
	r     *blob.Reader
	b     *blobBucket
	name  string
	watch *watchdog
}

func (r *blobReader) Read(p []byte) (int, error) {
	r.watch.start(r.b.read)
	n, err := r.r.Read(p)
	r.watch.pause()
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.b.explain(r.watch.ctx, "read", r.b.where(r.name), r.watch.why(err))
	}
	return n, err
}

func (r *blobReader) Close() error {
	r.watch.stop()
	return r.r.Close()
}

// List implements Bucket.
func (b *blobBucket) List(ctx context.Context, prefix string) ([]Info, error) {
	var infos []Info
	err := b.pages(ctx, prefix, "", func(o *blob.ListObject) error {
		name := strings.TrimPrefix(o.Key, b.prefix)
		if o.Size == 0 && strings.HasSuffix(name, "/") {
			return nil // what consoles make when asked for a folder
		}
		if err := CheckName(name); err != nil {
			return err
		}
		if len(infos) == maxObjects {
			return tooMany(b.String())
		}
		infos = append(infos, Info{Name: name, Size: o.Size, ModTime: o.ModTime})
		return nil
	})
	sort.Slice(infos, func(i, j int) bool { return infos[i].Name < infos[j].Name })
	return infos, err
}

// Folders implements FolderLister.
func (b *blobBucket) Folders(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := b.pages(ctx, prefix, "/", func(o *blob.ListObject) error {
		if !o.IsDir {
			return nil
		}
		if len(names) == maxObjects {
			return tooMany(b.String())
		}
		name := strings.TrimSuffix(strings.TrimPrefix(o.Key, b.prefix+prefix), "/")
		names = append(names, name)
		return CheckName(prefix + name)
	})
	sort.Strings(names)
	return names, err
}

// pages calls each for what a listing gives, without the folder for the bucket's own use.
func (b *blobBucket) pages(ctx context.Context, prefix, delimiter string, each func(*blob.ListObject) error) error {
	if err := errors.Join(ctx.Err(), checkPrefix(prefix)); err != nil {
		return err
	}
	bucket, err := b.open(ctx)
	if err != nil {
		return err
	}
	own := b.key(tempFolder) + "/"
	o := &blob.ListOptions{Prefix: b.key(prefix), Delimiter: delimiter}
	for token := blob.FirstPageToken; len(token) > 0; {
		var objects []*blob.ListObject
		w := watch(ctx)
		w.start(b.answer)
		objects, token, err = bucket.ListPage(w.ctx, token, listPage, o)
		w.stop()
		if err != nil {
			return b.explain(ctx, "list", b.where(prefix), w.why(err))
		}
		for _, object := range objects {
			if strings.HasPrefix(object.Key, own) {
				continue
			}
			if err := each(object); err != nil {
				return err
			}
		}
	}
	return nil
}

// watchdog ends a context when a call takes too long, and only then.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

// errStalled is why a watchdog ended a context.
var errStalled = errors.New("the object store does not answer")

func watch(ctx context.Context) *watchdog {
	w := &watchdog{}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w
}

// start allows the call that follows so much time.
func (w *watchdog) start(limit time.Duration) {
	w.limit = limit
	if w.timer != nil {
		w.timer.Reset(limit)
		return
	}
	w.timer = time.AfterFunc(limit, func() { w.cancel(fmt.Errorf("%w: nothing for %s", errStalled, limit)) })
}

func (w *watchdog) pause() { w.timer.Stop() }

// stop ends the context, and with it what was begun.
func (w *watchdog) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.cancel(nil)
}

// why is err, or that the time was over when that is what it came from.
func (w *watchdog) why(err error) error {
	if cause := context.Cause(w.ctx); err != nil && errors.Is(cause, errStalled) {
		return cause
	}
	return err
}
