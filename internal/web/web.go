// Package web reads files from web servers, and posts to services, none of which is trusted.
//
// # Promises
//
// A read ends: a server that does not answer, or that sends nothing for a while, is an error. Redirects are followed a few
// times, and never from https to http. The bytes come as they were published, without a transport's compression.
//
// # What it does not do
//
// It does not judge what was read, and does not bound how much there is of it: whoever reads does.
package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Limits on a read.
const (
	maxRedirects = 5
	answerTime   = 30 * time.Second // until a server answers
	stallTime    = 60 * time.Second // without a single byte
)

// Client reads from web servers. It may be used by several goroutines.
type Client struct {
	Stall time.Duration // without a single byte, until a read is given up
	http  *http.Client
}

// New gives a client. The environment's proxies are used.
func New() *Client {
	return &Client{Stall: stallTime, http: &http.Client{
		CheckRedirect: checkRedirect,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: answerTime}).DialContext,
			TLSHandshakeTimeout:   answerTime,
			ResponseHeaderTimeout: answerTime,
			ForceAttemptHTTP2:     true,
			DisableCompression:    true,
		},
	}}
}

// Close ends connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("a redirect from https to " + req.URL.Scheme)
	}
	return nil
}

// Get reads a file. An error wraps fs.ErrNotExist when the server does not have it (403, 404, 410).
func (c *Client) Get(ctx context.Context, u *url.URL) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := c.do(ctx, http.MethodGet, u) //nolint:bodyclose // body closes it
	if err != nil {
		cancel(nil)
		return nil, err
	}
	b := &body{ctx: ctx, cancel: cancel, from: resp.Body, stall: c.Stall}
	b.timer = time.AfterFunc(c.Stall, func() { cancel(fmt.Errorf("no data for %s", c.Stall)) })
	return b, nil
}

// Has asks whether the server has a file, without reading it.
func (c *Client) Has(ctx context.Context, u *url.URL) (bool, error) {
	resp, err := c.do(ctx, http.MethodHead, u)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, resp.Body.Close()
}

func (c *Client) do(ctx context.Context, method string, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp, nil
	case http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		err = &fs.PathError{Op: "read", Path: u.Redacted(), Err: fs.ErrNotExist}
	default:
		err = fmt.Errorf("the server answers %s", resp.Status)
	}
	return nil, errors.Join(err, resp.Body.Close())
}

// Answer is what a service says to what was posted.
type Answer struct {
	Status    int
	MediaType string // as it was sent, with parameters
	Body      []byte
}

// Post sends data, and gives the answer whatever its status; a redirect is one and is not followed. An answer of more than limit bytes is an error, as
// is one that takes longer than the time without a byte that a read may take.
func (c *Client) Post(ctx context.Context, u *url.URL, mediaType string, data []byte, limit int64) (*Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Stall, fmt.Errorf("no answer for %s", c.Stall))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", mediaType)
	direct := *c.http
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := direct.Do(req)
	if err != nil {
		return nil, orCause(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, orCause(ctx, err)
	case int64(len(body)) > limit:
		return nil, fmt.Errorf("an answer of more than %d bytes", limit)
	}
	return &Answer{resp.StatusCode, resp.Header.Get("Content-Type"), body}, nil
}

// orCause says why a request was ended, where it was.
func orCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// body is a file that is being read.
type body struct {
	ctx    context.Context //nolint:containedctx // whose cause says why a read ended
	cancel context.CancelCauseFunc
	from   io.ReadCloser
	timer  *time.Timer
	stall  time.Duration
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if n > 0 {
		b.timer.Reset(b.stall)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // as readers give it
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.timer.Stop()
	defer b.cancel(nil)
	return b.from.Close()
}
