package registrytest

import (
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Proxy stands in front of a registry, counts requests, and fails as it is told to.
type Proxy struct {
	// Host is host:port of the proxy on loopback.
	Host string
	// Before sees each request first; when it returns true it has answered itself.
	Before func(w http.ResponseWriter, r *http.Request) bool
	// After may change an answer of the registry.
	After func(*http.Response) error

	mu             sync.Mutex
	counts, passed map[string]int
}

// NewProxy starts a proxy, with plain HTTP, before the registry at host.
func NewProxy(t testing.TB, host string) *Proxy {
	t.Helper()
	p := &Proxy{counts: map[string]int{}, passed: map[string]int{}}
	s := httptest.NewServer(p.Handler(host))
	t.Cleanup(s.Close)
	p.Host = strings.TrimPrefix(s.URL, "http://")
	return p
}

// Handler is the proxy before the registry at host.
func (p *Proxy) Handler(host string) http.Handler {
	to := &url.URL{Scheme: "http", Host: host}
	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // so that the registry names the proxy in its answers
		},
		ModifyResponse: func(r *http.Response) error {
			if p.After != nil {
				return p.After(r)
			}
			return nil
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.count(p.counts, r)
		if p.Before != nil && p.Before(w, r) {
			return
		}
		p.count(p.passed, r)
		reverse.ServeHTTP(w, r)
	})
}

func (p *Proxy) count(counts map[string]int, r *http.Request) {
	kind := "other"
	for _, k := range []string{"/blobs/uploads/", "/blobs/", "/manifests/", "/referrers/", "/tags/"} {
		if strings.Contains(r.URL.Path, k) {
			kind = strings.Trim(k, "/")
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	counts[r.Method+" "+kind]++
}

// Counts gives how often each kind of request came ("PUT blobs/uploads"), and starts anew.
func (p *Proxy) Counts() (counts map[string]int, all int) {
	counts = p.take(p.counts)
	for _, n := range counts {
		all += n
	}
	return counts, all
}

// Passed is Counts of the requests that Before let through to the registry.
func (p *Proxy) Passed() map[string]int { return p.take(p.passed) }

func (p *Proxy) take(counts map[string]int) map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := maps.Clone(counts)
	clear(counts)
	return taken
}

// Drop breaks the connection without an answer.
func Drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
}
