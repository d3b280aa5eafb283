package registry

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// PushFrom puts a blob there. open is called for every attempt, and gives the whole
// content each time; content that is not what desc says never becomes visible. An
// attempt whose answer was lost is looked for before the next one.
func (r *Repository) PushFrom(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	where := r.at(desc.Digest)
	first, denials := true, 0
	err := r.client.http.retry(ctx, func() error {
		if !first {
			if there, err := r.Exists(ctx, desc); err != nil || there {
				return err
			}
		}
		first = false
		err := r.pushOnce(ctx, desc, open)
		var answer *errcode.ErrorResponse
		if errors.As(err, &answer) && !uploadAgain(answer, &denials) {
			return final(err)
		}
		return err
	})
	if err == nil {
		r.client.has(r.ref, desc.Digest.String())
	}
	return explain(where, "registry-missing", err)
}

// uploadAgain reports whether an upload that was answered so is worth another attempt.
// A token can run out while the bytes are on their way, and a session can be lost.
func uploadAgain(a *errcode.ErrorResponse, denials *int) bool {
	switch a.StatusCode {
	case http.StatusUnauthorized:
		*denials++
		return *denials < 5
	case http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable:
		return a.Method == http.MethodPut
	}
	return a.Method == http.MethodPut && passing(a.StatusCode)
}

func (r *Repository) pushOnce(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	rc, err := open()
	if err != nil {
		return final(sourceError{err})
	}
	source := checked(rc, r.at(desc.Digest), desc)
	defer source.Close()
	return source.prefer(r.remote.Blobs().Push(ctx, desc, source))
}

// mount puts a blob there from another repository of the same registry, or sends it in
// the session that the registry opens instead. It reports whether bytes were sent.
func (r *Repository) mount(ctx context.Context, desc ocispec.Descriptor, from string, open func() (io.ReadCloser, error)) (sent bool, err error) {
	var source *keepError
	err = r.remote.Mount(ctx, desc, from, func() (io.ReadCloser, error) {
		sent = true
		rc, err := open()
		if err != nil {
			return nil, sourceError{err}
		}
		source = checked(rc, r.at(desc.Digest), desc)
		return source, nil
	})
	if source != nil {
		err = source.prefer(err)
	}
	if err == nil {
		r.client.has(r.ref, desc.Digest.String())
	}
	return sent, err
}

// keepError verifies an upload's source and remembers how reading it failed, because
// the connection's own error hides that. The transport can still be reading when it has
// returned an answer; after Close, nothing is read.
type keepError struct {
	mu     sync.Mutex
	r      io.Reader
	c      io.Closer
	err    error
	closed bool
}

func checked(rc io.ReadCloser, where string, desc ocispec.Descriptor) *keepError {
	if _, ok := rc.(*verified); ok {
		return &keepError{r: rc, c: rc}
	}
	return &keepError{r: verify(rc, where, desc), c: rc}
}

func (k *keepError) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return 0, fs.ErrClosed
	}
	n, err := k.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		k.err = err
	}
	return n, err
}

// Close implements io.Closer.
func (k *keepError) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	k.closed = true
	return k.c.Close()
}

// prefer gives the source's error, if there is one, instead of what it led to. It is
// final: sources that can try again have done so.
func (k *keepError) prefer(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil && k.err != nil {
		return final(sourceError{k.err})
	}
	return err
}
