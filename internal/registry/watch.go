package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

var (
	errStalled = errors.New("no byte came or went for too long")
	errTooLong = errors.New("the request took too long")
)

// minRate is how slow a transfer may be on the whole, in bytes a second.
const minRate = 32 << 10

// watch ends a request that stands still or takes too long.
type watch struct {
	cancel context.CancelCauseFunc
	stall  *time.Timer
	total  *time.Timer
	pause  time.Duration // how long it may stand still
}

func startWatch(cancel context.CancelCauseFunc, pause, limit time.Duration) *watch {
	return &watch{
		cancel: cancel, pause: pause,
		stall: time.AfterFunc(pause, func() { cancel(errStalled) }),
		total: time.AfterFunc(limit, func() { cancel(errTooLong) }),
	}
}

func (w *watch) stop() {
	w.stall.Stop()
	w.total.Stop()
	w.cancel(nil)
}

// watched sends the request once, under a watch that lasts until its answer is closed.
func (t *transport) watched(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	w := startWatch(cancel, t.o.Stall, t.limit(max(req.ContentLength, 0)))
	r := req.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &sent{ReadCloser: r.Body, w: w}
	}
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		w.stop()
		return nil, reason(ctx, err)
	}
	w.stall.Stop()
	w.total.Reset(t.limit(max(resp.ContentLength, req.ContentLength, 0)))
	resp.Body = &received{ReadCloser: resp.Body, w: w, ctx: ctx}
	resp.Request = req
	return resp, nil
}

// limit is how long a transfer of n bytes may take as a whole.
func (t *transport) limit(n int64) time.Duration {
	return t.o.Timeout + time.Duration(n/minRate)*time.Second
}

// reason prefers why the watch ended the request over what that looked like.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) || errors.Is(cause, errTooLong) {
		return cause
	}
	return err
}

// sent is a request's body. While we wait for its source, the watch does not count:
// the source has one of its own.
type sent struct {
	io.ReadCloser
	w *watch
}

func (s *sent) Read(p []byte) (int, error) {
	s.w.stall.Stop()
	n, err := s.ReadCloser.Read(p)
	s.w.stall.Reset(s.w.pause)
	return n, err
}

// received is an answer's body. The watch counts while somebody reads.
type received struct {
	io.ReadCloser
	w   *watch
	ctx context.Context
}

func (r *received) Read(p []byte) (int, error) {
	r.w.stall.Reset(r.w.pause)
	n, err := r.ReadCloser.Read(p)
	r.w.stall.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = reason(r.ctx, err)
	}
	return n, err
}

func (r *received) Close() error {
	err := r.ReadCloser.Close()
	r.w.stop()
	return err
}
