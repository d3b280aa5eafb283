package goproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material/cas"
)

// codeDenied is the one code that is compared with.
const codeDenied = "fetch-denied"

// Direct fetches from version control, as GOPROXY=direct does.
type Direct interface {
	// Fetch gives the answer to r, or an error that is fs.ErrNotExist when there is none. The caller closes it.
	Fetch(ctx context.Context, r Request) (io.ReadCloser, error)
}

// statusError is an answer that is neither the file nor "not found".
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", e.code, http.StatusText(e.code), e.text))
}

var (
	errFirst = errors.New("no answer in time")
	errIdle  = errors.New("the answer stalled")
	errTotal = errors.New("the answer took too long")
)

func transport(l Limits) http.RoundTripper {
	d := &net.Dialer{Timeout: min(15*time.Second, l.First)}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16,
		MaxConnsPerHost: 32, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 15 * time.Second, DisableCompression: true,
	}
}

// get asks one upstream, as often as Limits allow, and gives what it answers to
// sink. Sink is called again for each attempt.
func (p *Proxy) get(ctx context.Context, u upstream, req Request, limit int64, sink func(io.Reader) error) error {
	p.mu.Lock()
	dead := p.dead[u.String()]
	p.mu.Unlock()
	if dead != nil {
		return dead
	}
	var err error
	for attempt := range p.opts.Limits.Attempts {
		if attempt > 0 {
			select {
			case <-time.After(p.opts.Limits.Backoff << (attempt - 1)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		err = p.try(ctx, u, req, limit, sink)
		if err == nil || ctx.Err() != nil || !transient(err) {
			break
		}
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil {
		return err
	}
	return p.refuse(u, req, err)
}

// try makes one attempt.
func (p *Proxy) try(ctx context.Context, u upstream, req Request, limit int64, sink func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	total := time.AfterFunc(p.opts.Limits.Total, func() { cancel(errTotal) })
	defer total.Stop()
	timer := time.AfterFunc(p.opts.Limits.First, func() { cancel(errFirst) })
	defer timer.Stop()
	body, err := p.open(ctx, u, req)
	if err == nil {
		defer body.Close()
		timer.Stop()
		idle := time.AfterFunc(p.opts.Limits.Idle, func() { cancel(errIdle) })
		defer idle.Stop()
		r := &watched{r: body, timer: idle, idle: p.opts.Limits.Idle, left: limit}
		err = sink(r)
		if r.over {
			err = fmt.Errorf("%w: more than %d bytes", cas.ErrTooLarge, limit)
		}
	}
	if cause := context.Cause(ctx); err != nil && (errors.Is(cause, errFirst) || errors.Is(cause, errIdle) || errors.Is(cause, errTotal)) {
		return cause
	}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		return urlErr.Err // without the URL, which may hold credentials
	}
	return err
}

func (p *Proxy) open(ctx context.Context, u upstream, req Request) (io.ReadCloser, error) {
	switch u.kind {
	case "off":
		return nil, errOff
	case "direct":
		if p.opts.Direct == nil {
			return nil, errOff
		}
		return p.opts.Direct.Fetch(ctx, req)
	case "file":
		return openFile(u.url, req.Path)
	}
	return p.openHTTP(ctx, u.url, req.Path)
}

var errOff = errors.New("module lookup is off")

func openFile(base *url.URL, path string) (io.ReadCloser, error) {
	root := base.Path
	if runtime.GOOS == "windows" {
		root = strings.TrimPrefix(root, "/")
	}
	name := filepath.Join(filepath.FromSlash(root), filepath.FromSlash(path))
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	return os.Open(name)
}

func (p *Proxy) openHTTP(ctx context.Context, base *url.URL, path string) (io.ReadCloser, error) {
	target := *base
	target.Path = strings.TrimSuffix(base.Path, "/") + "/" + path
	target.RawPath = ""
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	p.creds.authorize(r)
	resp, err := (&http.Client{Transport: p.opts.Client}).Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text := ""
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		text = strings.ToValidUTF8(strings.TrimSpace(string(b)), "")
	}
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return nil, fmt.Errorf("%w: %s", fs.ErrNotExist, text)
	}
	return nil, &statusError{resp.StatusCode, text}
}

// watched stops a stream that stalls or grows beyond its limit.
type watched struct {
	r     io.Reader
	timer *time.Timer
	idle  time.Duration
	left  int64
	over  bool
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	w.timer.Reset(w.idle)
	if w.left -= int64(n); w.left < 0 {
		w.over = true
		return 0, cas.ErrTooLarge
	}
	return n, err
}

// transient reports whether another attempt may help.
func transient(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.code >= 500 || status.code == http.StatusTooManyRequests
	}
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, cas.ErrTooLarge) && !errors.Is(err, errOff) && !errors.Is(err, errTotal)
}

// refuse turns what is left after the last attempt into a refusal, and remembers
// an upstream that cannot be reached so that it is not tried for every module.
func (p *Proxy) refuse(u upstream, req Request, err error) error {
	refusal := func(code, what, fix string) *gate.Refusal {
		return &gate.Refusal{Code: code, Class: gate.Failed, What: what + ": " + req.subject(), Where: u.String(), Fix: fix, Cause: p.scrub(u, err)}
	}
	const another = "try again, or name another proxy: go env -w GOPROXY=…"
	var r *gate.Refusal
	var status *statusError
	var netErr *net.OpError
	switch {
	case errors.Is(err, errFirst), errors.Is(err, errIdle), errors.Is(err, errTotal):
		r = refusal("fetch-timeout", "the module proxy is too slow", another)
	case errors.Is(err, cas.ErrTooLarge):
		r = refusal("fetch-too-large", "the module proxy sends more than a module may have", "use a version that is smaller; the limit is that of the go command")
	case errors.Is(err, errOff):
		r = refusal("fetch-off", "the GOPROXY setting allows no download", "go env -w GOPROXY=…, or run once with the network on to fill the cache")
	case errors.As(err, &status) && (status.code == http.StatusUnauthorized || status.code == http.StatusForbidden):
		r = refusal("fetch-denied", "the module proxy denies access", "put credentials for "+u.String()+" into .netrc or the GOPROXY URL")
		r.Where = req.Module
	case errors.As(err, &status), u.kind == "direct":
		r = refusal("fetch-proxy-failed", "the module proxy answers with an error", another)
	default:
		r = refusal("fetch-proxy-unreachable", "the module proxy cannot be reached", "check the network and `go env GOPROXY`")
		if errors.As(err, &netErr) && netErr.Op == "dial" {
			p.mu.Lock()
			p.dead[u.String()] = r
			p.mu.Unlock()
		}
	}
	if req.Kind == kindSumDB {
		return r // becomes the cause of sumdb-unreachable
	}
	return p.fail(r)
}

// scrub keeps credentials out of an error's text, whatever produced it.
func (p *Proxy) scrub(u upstream, err error) error {
	text := err.Error()
	var secrets []string
	if u.url != nil && u.url.User != nil {
		pw, _ := u.url.User.Password()
		secrets = append(secrets, pw, url.QueryEscape(pw), u.url.User.Username())
	}
	if u.url != nil {
		secrets = append(secrets, u.url.RawQuery)
		secrets = append(secrets, p.creds[u.url.Hostname()].password)
	}
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return errors.New(text)
}

func (r Request) subject() string {
	switch {
	case r.Kind == kindSumDB:
		return "checksum database " + r.Module
	case r.Version != "":
		return r.Module + "@" + r.Version
	}
	return r.Module
}
