package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/web"
)

// webBucket is what a web server publishes of a bucket: it is read by name, and never listed or written.
type webBucket struct {
	base   *url.URL
	client *web.Client
}

// OpenPublished is Open for who only reads, and takes what a web server publishes, too: https://host/path and http. Its List and Put give
// errors.ErrUnsupported.
func OpenPublished(rawURL, base string) (Bucket, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return Open(rawURL, base)
	}
	if u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, &gate.Refusal{Code: "bucket-url", Class: gate.Usage, What: "this is no URL of what a server publishes", Where: u.Redacted(), Expected: "https://host/path", Fix: "give the URL of the folder that the project's own folder is in"}
	}
	return &webBucket{u, web.New()}, nil
}

// Has reports whether a bucket has an object; web servers are asked without reading it.
func Has(ctx context.Context, b Bucket, name string) (bool, error) {
	w, ok := b.(*webBucket)
	if !ok {
		return exists(ctx, b, name)
	}
	u, err := w.at(name)
	if err != nil {
		return false, err
	}
	found, err := w.client.Has(ctx, u)
	if err != nil {
		return false, unreachable(ctx, u, err)
	}
	return found, nil
}

// String is where the bucket is.
func (w *webBucket) String() string { return w.base.Redacted() }

func (w *webBucket) at(name string) (*url.URL, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	return w.base.JoinPath(name), nil
}

// Get implements Bucket.
func (w *webBucket) Get(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	u, err := w.at(name)
	if err != nil {
		return nil, Info{}, err
	}
	r, err := w.client.Get(ctx, u)
	if err != nil {
		return nil, Info{}, unreachable(ctx, u, err)
	}
	return webFile{r, ctx, u}, Info{Name: name}, nil
}

// unreachable is an error of a server: store-unreachable, as of an object store. What is not there stays fs.ErrNotExist.
func unreachable(ctx context.Context, u *url.URL, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read %s: %w", u.Redacted(), err)
	case ctx.Err() != nil:
		return fmt.Errorf("read %s: %w", u.Redacted(), ctx.Err())
	}
	return &gate.Refusal{Code: "store-unreachable", Class: gate.Failed, What: "the web server cannot be read", Where: u.Redacted(), Cause: err, Fix: "check the URL and the connection, then run the same command again"}
}

// webFile is a file that is being read; a connection that breaks off is a server that cannot be reached.
type webFile struct {
	io.ReadCloser
	ctx context.Context //nolint:containedctx // of the read
	at  *url.URL
}

// Read implements io.Reader.
func (f webFile) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // as readers give it
		err = unreachable(f.ctx, f.at, err)
	}
	return n, err
}

// Put implements Bucket.
func (w *webBucket) Put(context.Context, string, io.Reader, PutOptions) error {
	return fmt.Errorf("write to a web server: %w", errors.ErrUnsupported)
}

// List implements Bucket.
func (w *webBucket) List(context.Context, string) ([]Info, error) {
	return nil, fmt.Errorf("list a web server: %w", errors.ErrUnsupported)
}
