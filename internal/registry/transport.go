package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// transport repeats requests that fail for a moment, and looks at every answer before
// anything else does. It stands below authentication, so that each repetition is the
// very request that was sent.
type transport struct {
	base http.RoundTripper
	o    Options

	mu   sync.Mutex
	hold map[string]time.Time // by host: when it wants to hear from us again
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	for attempt := 1; ; attempt++ {
		if err := t.wait(ctx, req.URL.Host); err != nil {
			return nil, err
		}
		resp, err := t.watched(req)
		if err == nil && !passing(resp.StatusCode) {
			return t.guard(resp)
		}
		if err != nil && (ctx.Err() != nil || !worthRepeating(err, attempt)) {
			return nil, err
		}
		pause, asked := t.pause(resp, attempt)
		if asked {
			t.holdBack(req.URL.Host, pause)
		}
		if !repeatable(req) { // an upload: its caller starts it again
			return resp, err
		}
		if attempt >= t.o.Attempts || pause > t.o.MaxRetryAfter {
			return nil, t.giveUp(resp, err, pause)
		}
		drain(resp)
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		if req, err = again(req); err != nil {
			return nil, err
		}
	}
}

// passing reports whether a status may be gone at the next attempt.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// worthRepeating reports whether the next attempt may well meet something else.
func worthRepeating(err error, attempt int) bool {
	var r *gate.Refusal
	var dns *net.DNSError
	switch {
	case errors.As(err, &r), isTLS(err), errors.Is(err, errTooLong):
		return false
	case errors.As(err, &dns):
		return dns.IsTemporary || dns.IsTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return attempt < 4
	}
	return true
}

func repeatable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

func again(req *http.Request) (*http.Request, error) {
	r := req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("read the request again: %w", err)
		}
		r.Body = body
	}
	return r, nil
}

// pause says how long to wait before the next attempt, and whether the server asked for it.
func (t *transport) pause(resp *http.Response, attempt int) (time.Duration, bool) {
	if resp != nil {
		if d, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
			return d, true
		}
	}
	return t.backoff(attempt), false
}

// backoff doubles with each attempt, up to MaxWait; half of it is left to chance, so
// that many clients do not come back at once.
func (t *transport) backoff(attempt int) time.Duration {
	d := t.o.MaxWait
	if attempt < 20 {
		d = min(d, t.o.Backoff<<(attempt-1))
	}
	return d/2 + rand.N(d/2+1)
}

// retryAfter reads a Retry-After header: seconds or a date (RFC 9110, 10.2.3).
func retryAfter(v string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0), true
	}
	return 0, false
}

func (t *transport) holdBack(host string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := time.Now().Add(d); at.After(t.hold[host]) {
		t.hold[host] = at
	}
}

// wait waits until host wants to hear from us again.
func (t *transport) wait(ctx context.Context, host string) error {
	t.mu.Lock()
	d := time.Until(t.hold[host])
	t.mu.Unlock()
	switch {
	case d <= 0:
		return ctx.Err()
	case d > t.o.MaxRetryAfter:
		return throttled("", "for "+d.Round(time.Second).String())
	}
	return sleep(ctx, d)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// giveUp is the end of a request that was repeated often enough.
func (t *transport) giveUp(resp *http.Response, err error, pause time.Duration) error {
	if err != nil {
		return err
	}
	drain(resp)
	said := resp.Status
	if pause > t.o.MaxRetryAfter {
		said += ", for " + pause.String()
	}
	if resp.StatusCode == http.StatusTooManyRequests || pause > t.o.MaxRetryAfter {
		return throttled("", said)
	}
	return &gate.Refusal{Code: "registry-unavailable", Class: gate.Failed, What: fmt.Sprintf("the registry failed %d times", t.o.Attempts),
		Actual: printable(said), Fix: "run the same command again: what is done is kept"}
}

func drain(resp *http.Response) {
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
		resp.Body.Close()
	}
}

// guard refuses answers that no registry gives.
func (t *transport) guard(resp *http.Response) (*http.Response, error) {
	path := resp.Request.URL.Path
	blob := strings.Contains(path, "/blobs/")
	html := strings.HasPrefix(strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Type"))), "text/html")
	if html && resp.StatusCode/100 == 2 && !blob && !strings.Contains(path, "/referrers/") {
		resp.Body.Close()
		return nil, notOCI("a web page")
	}
	if at := resp.Header.Get("Location"); blob && resp.StatusCode == http.StatusAccepted && at != "" {
		if err := checkLocation(resp, at); err != nil {
			resp.Body.Close()
			return nil, err
		}
	}
	if !blob && resp.Request.Method == http.MethodGet {
		code := tooLarge("")
		if strings.Contains(path, "/referrers/") || strings.Contains(path, "/manifests/sha256-") {
			code = tooMany("", 0)
		}
		resp.Body = &limited{ReadCloser: resp.Body, left: MaxManifest, err: code}
	}
	return resp, nil
}

func notOCI(found string) error {
	return &gate.Refusal{Code: "registry-not-oci", What: "what answers here is no OCI registry", Actual: found,
		Fix: "check the host and the port; behind a login page or a proxy, log in there first"}
}

// limited gives err instead of more than left bytes.
type limited struct {
	io.ReadCloser
	left int64
	err  error
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, l.err
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n - 1, l.err
	}
	return n, err
}

// checkLocation refuses to upload to another host than the registry's.
func checkLocation(resp *http.Response, location string) error {
	to, err := resp.Request.URL.Parse(location)
	if err != nil || !sameOrigin(resp.Request.URL, to) {
		return redirected("the upload is to go to another host", resp.Request.URL, to)
	}
	return nil
}
