package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

// Done says how an object came to be where it should be.
type Done int

const (
	// Written: this call put it there.
	Written Done = iota + 1
	// AlreadyThere: the same bytes were there before.
	AlreadyThere
)

func (d Done) String() string {
	switch d {
	case Written:
		return "written"
	case AlreadyThere:
		return "already there"
	}
	return "not done"
}

// PutDigest makes sure that b holds the bytes with digest want under name. Other
// bytes that are already there are a store-conflict and stay. open is called when the
// object is absent; what it gives is digested while it is written, and never becomes
// visible under name when it is not what was wanted: store-digest-mismatch. A Finished file may be linked instead.
// want needs Size and SHA256; SHA512 is compared when it is set.
func PutDigest(ctx context.Context, b Bucket, name string, want digest.Sums, open func() (io.ReadCloser, error)) (Done, error) {
	return publish(ctx, b, name, want, func(o PutOptions) error {
		r, err := open()
		if err != nil {
			return fmt.Errorf("open source of %s: %w", name, err)
		}
		defer r.Close()
		if f, ok := r.(Finished); ok {
			if err := linkFinished(ctx, b, name, want, f, o); !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
		}
		return b.Put(ctx, name, verify(r, name, want), o)
	})
}

// Finished is a file that whoever gives it to PutDigest wrote and hashed itself, and that nobody changes any more. A bucket on
// the same file system gives it a second name instead of copying it: its bytes are not read again.
type Finished struct{ *os.File }

// linker is a bucket that can give a file a name in itself; errors.ErrUnsupported says that it cannot with this one.
type linker interface {
	link(ctx context.Context, name string, f *os.File, o PutOptions) error
}

func linkFinished(ctx context.Context, b Bucket, name string, want digest.Sums, f Finished, o PutOptions) error {
	l, ok := b.(linker)
	if !ok {
		return errors.ErrUnsupported
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != want.Size {
		return (&verifying{name: name, want: want}).mismatch(fmt.Sprintf("%d bytes", info.Size()))
	}
	return l.link(ctx, name, f.File, o)
}

// CopyDigest is PutDigest from another bucket, without the bytes passing through
// this process where both buckets can do that.
func CopyDigest(ctx context.Context, b Bucket, name string, want digest.Sums, from Bucket, fromName string) (Done, error) {
	return publish(ctx, b, name, want, func(o PutOptions) error {
		if c, ok := b.(Copier); ok {
			if err := c.CopyFrom(ctx, name, from, fromName, want, o); !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
		}
		r, _, err := from.Get(ctx, fromName)
		if err != nil {
			return err
		}
		defer r.Close()
		return b.Put(ctx, name, verify(r, name, want), o)
	})
}

func publish(ctx context.Context, b Bucket, name string, want digest.Sums, put func(PutOptions) error) (Done, error) {
	if !digest.IsSHA256(want.SHA256) {
		return 0, fmt.Errorf("publish %s: no SHA-256 was given", name)
	}
	if err := CheckName(name); err != nil {
		return 0, err
	}
	there, err := same(ctx, b, name, want)
	if err != nil || there {
		return AlreadyThere.unless(err), err
	}
	err = put(PutOptions{Exclusive: true, ContentType: contentType(name)})
	if err == nil {
		return Written, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return 0, err
	}
	// Somebody else was faster: what counts is what is there now.
	there, again := same(ctx, b, name, want)
	if again == nil && !there {
		again = err
	}
	return AlreadyThere.unless(again), again
}

func (d Done) unless(err error) Done {
	if err != nil {
		return 0
	}
	return d
}

// same reports whether name holds the wanted bytes; other bytes are a store-conflict.
func same(ctx context.Context, b Bucket, name string, want digest.Sums) (bool, error) {
	r, info, err := b.Get(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	if info.Size != want.Size {
		return false, conflict(b, name, want, fmt.Sprintf("%d bytes", info.Size))
	}
	w := hasher(want)
	n, err := io.CopyBuffer(w, io.LimitReader(digest.Until(ctx, r), want.Size+1), make([]byte, 1<<20))
	if err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	if got := w.Sums(); n != want.Size || got.SHA256 != want.SHA256 || got.SHA512 != want.SHA512 {
		return false, conflict(b, name, want, describe(got))
	}
	return true, nil
}

func conflict(b Bucket, name string, want digest.Sums, found string) error {
	return &gate.Refusal{
		Code: "store-conflict", What: "other bytes are published under this name, and what is published is never overwritten",
		Where: place(b, name), Expected: describe(want), Actual: found,
		Fix: "release under another version; if what is there was never announced, find out who wrote it before you remove it",
	}
}

func describe(s digest.Sums) string { return fmt.Sprintf("sha256:%s (%d bytes)", s.SHA256, s.Size) }

// place names an object with its bucket, where the bucket can name itself.
func place(b Bucket, name string) string {
	if f, ok := b.(*fileBucket); ok {
		return f.where(name)
	}
	if s, ok := b.(fmt.Stringer); ok {
		return s.String() + "/" + name
	}
	return name
}

func hasher(want digest.Sums) *digest.Writer {
	if want.SHA512 == "" {
		return digest.NewSHA256()
	}
	return digest.NewWriter()
}

// verify gives r's bytes, and at their end store-digest-mismatch instead of io.EOF when
// they were not the wanted ones. A source that is too long is cut off.
func verify(r io.Reader, name string, want digest.Sums) io.Reader {
	return &verifying{r: r, name: name, want: want, w: hasher(want)}
}

type verifying struct {
	r    io.Reader
	name string
	want digest.Sums
	w    *digest.Writer
	n    int64
}

func (v *verifying) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.n += int64(n)
	_, _ = v.w.Write(p[:n])
	if v.n > v.want.Size {
		return 0, v.mismatch(fmt.Sprintf("more than %d bytes", v.want.Size))
	}
	if errors.Is(err, io.EOF) {
		if got := v.w.Sums(); got.Size != v.want.Size || got.SHA256 != v.want.SHA256 || got.SHA512 != v.want.SHA512 {
			return 0, v.mismatch(describe(got))
		}
	}
	return n, err
}

func (v *verifying) mismatch(found string) error {
	return &gate.Refusal{
		Code: "store-digest-mismatch", What: "the source was replaced between check and use; nothing was written",
		Where: v.name, Expected: describe(v.want), Actual: found,
		Fix: "find out what changed the file, then run the same command again",
	}
}

// contentType is the media type of a published file, by its ending.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".txt", "":
		return "text/plain; charset=utf-8"
	case ".json":
		return "application/json"
	case ".jsonl":
		return "application/jsonl"
	case ".html":
		return "text/html; charset=utf-8"
	case ".gz":
		return "application/gzip"
	case ".zip":
		return "application/zip"
	}
	return "application/octet-stream"
}
