package keyless

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// Bounds on one request.
const (
	oneTry    = 30 * time.Second
	maxAnswer = 4 << 20 // bytes
	firstWait = 250 * time.Millisecond
	mostWait  = 15 * time.Second
)

// newTransport keeps as many connections as there are signatures on their way.
func newTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost, t.MaxIdleConns = parallel, 0
	return t
}

// patience makes requests until they are answered, for a bounded time: connections that fail, answers that do not come,
// 429 and 5xx are tried again after pauses that double. Every answer is bounded in size and read whole. It follows no redirects: a token
// goes where the signing configuration says and nowhere else.
type patience struct {
	ctx  context.Context // sigstore-go's clients do not pass theirs on
	next http.RoundTripper
	wait time.Duration
	note func(string)
}

func (s *Signer) patience(ctx context.Context) *patience {
	return &patience{ctx: ctx, next: s.transport, wait: s.Wait, note: s.Note}
}

// unreachable is why a service counts as down.
type unreachable struct{ err error }

func (u *unreachable) Error() string { return u.err.Error() }
func (u *unreachable) Unwrap() error { return u.err }

// RoundTrip makes a request.
func (p *patience) RoundTrip(r *http.Request) (*http.Response, error) {
	end := time.Now().Add(p.wait)
	for pause := firstWait; ; pause = min(2*pause, mostWait) {
		answer, err := p.once(r, min(oneTry, p.wait))
		if err == nil {
			return answer, nil
		}
		var down *unreachable
		if !errors.As(err, &down) {
			return nil, err
		}
		rest := pause + rand.N(pause/2)
		if time.Now().Add(rest).After(end) {
			return nil, err
		}
		p.note(fmt.Sprintf("%s does not answer, trying again in %s", r.URL.Host, rest.Round(100*time.Millisecond)))
		select {
		case <-time.After(rest):
		case <-p.ctx.Done():
			return nil, context.Cause(p.ctx)
		}
	}
}

func (p *patience) once(r *http.Request, limit time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	r = r.Clone(ctx)
	if r.GetBody != nil {
		var err error
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	answer, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, p.failed(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, p.failed(err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return nil, fmt.Errorf("%s: redirects are not followed", answer.Status)
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests:
		return nil, &unreachable{fmt.Errorf("%s: %.200q", answer.Status, body)}
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// failed tells a service that is down from a user who stops.
func (p *patience) failed(err error) error {
	if cause := context.Cause(p.ctx); cause != nil {
		return cause
	}
	return &unreachable{err}
}
