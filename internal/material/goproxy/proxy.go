// Package goproxy is a Go module proxy on loopback that records what it hands out.
//
// It stands between the go command and whatever the user's own settings name:
// proxies over http, https or file, version control ("direct"), or nothing
// ("off"). It follows the rules of `go help goproxy` for lists, GONOPROXY and
// GOPRIVATE, passes checksum-database requests on, and answers from the
// content store when a version is there whose hash was verified before.
//
// It promises: every answer that names a module version goes through the content
// store and is recorded with its SHA-256, where it came from and when; credentials (in a URL or
// in .netrc) are sent to the upstream they belong to and appear in no record, error or answer;
// each request ends, within its timeouts, its size limit and its number of attempts.
//
// It refuses requests that do not carry its secret prefix, and paths that are
// not of the protocol. It does not verify modules: the go command does, against go.sum and the
// checksum database, and only then does the caller put a name to the bytes (Index).
package goproxy

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material/cas"
)

// Limits bound every request. Zero fields mean the default.
type Limits struct {
	Attempts int           // per upstream; default 3
	Backoff  time.Duration // before the second attempt, doubled after each; default 300ms
	First    time.Duration // until the first byte of an answer; default 60s
	Idle     time.Duration // between two reads of an answer; default 30s
	Total    time.Duration // one attempt; default 10m
	Zip      int64         // bytes of a module zip; default 500 MB, as golang.org/x/mod/zip allows
	File     int64         // bytes of any other answer; default 16 MB
}

func (l Limits) withDefaults() Limits {
	def := Limits{Attempts: 3, Backoff: 300 * time.Millisecond, First: time.Minute, Idle: 30 * time.Second, Total: 10 * time.Minute, Zip: 500 << 20, File: 16 << 20}
	if l.Attempts == 0 {
		l.Attempts = def.Attempts
	}
	for _, d := range []struct {
		p *time.Duration
		v time.Duration
	}{{&l.Backoff, def.Backoff}, {&l.First, def.First}, {&l.Idle, def.Idle}, {&l.Total, def.Total}} {
		if *d.p == 0 {
			*d.p = d.v
		}
	}
	if l.Zip == 0 {
		l.Zip = def.Zip
	}
	if l.File == 0 {
		l.File = def.File
	}
	return l
}

// Options configure a Proxy.
type Options struct {
	Settings Settings
	Store    *cas.Store
	Index    *cas.Index        // read only; nil for none
	Direct   Direct            // serves "direct"; nil means that direct is refused
	Netrc    string            // path of the user's .netrc file; empty for none
	Limits   Limits            // see there
	Client   http.RoundTripper // default: a transport that honours HTTPS_PROXY and so on
}

// Record is one answer that named a module version.
type Record struct {
	cas.Key
	SHA256   string
	Size     int64
	Upstream string    // where the bytes came from, without credentials
	Time     time.Time // when they were downloaded
	Cached   bool      // answered from the content store
}

// Proxy is a running proxy. Close stops it.
type Proxy struct {
	opts     Options
	list     []upstream
	creds    netrc
	secret   string
	server   *http.Server
	listener net.Listener
	ctx      context.Context // ends with Close; requests to upstreams end with it
	cancel   context.CancelFunc
	sumdb    sumdb

	mu       sync.Mutex
	records  map[cas.Key]Record
	locks    map[cas.Key]*sync.Mutex
	dead     map[string]*gate.Refusal // upstreams that could not be reached, by name
	failures []*gate.Refusal
}

// Start listens on loopback.
func Start(ctx context.Context, o Options) (*Proxy, error) {
	o.Limits = o.Limits.withDefaults()
	list, err := parseList(o.Settings)
	if err != nil {
		return nil, err
	}
	if o.Client == nil {
		o.Client = transport(o.Limits)
	}
	creds, err := readNetrc(o.Netrc)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	p := &Proxy{
		opts: o, list: list, creds: creds, secret: rand.Text(), listener: listener,
		records: map[cas.Key]Record{}, locks: map[cas.Key]*sync.Mutex{}, dead: map[string]*gate.Refusal{},
	}
	p.sumdb.name, p.sumdb.explicit = o.Settings.sumDB()
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	go p.server.Serve(listener) //nolint:errcheck // ends with Close
	return p, nil
}

// URL is the value of GOPROXY for a go command that is to use p.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() + "/" + p.secret }

// GOSUMDB is the value of GOSUMDB for a go command that is to use p.
func (p *Proxy) GOSUMDB() string { return p.opts.Settings.goSumDB() }

// Close stops p and the requests that it still serves.
func (p *Proxy) Close() error {
	p.cancel()
	return p.server.Close()
}

// Records gives every module file handed out so far, sorted by module, version and kind.
func (p *Proxy) Records() []Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Record, 0, len(p.records))
	for _, r := range p.records {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Record) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// Record gives the answer to k, if there was one.
func (p *Proxy) Record(k cas.Key) (Record, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.records[k]
	return r, ok
}

// Failure gives the first reason why an upstream did not answer as it should,
// preferring one whose module or upstream text speaks of. A failure is no reason to stop by
// itself: the go command asks for module paths that need not exist.
func (p *Proxy) Failure(text string) *gate.Refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	var denied *gate.Refusal
	for _, f := range p.failures {
		if f.Code != codeDenied {
			return f
		}
		if denied == nil && f.Where != "" && strings.Contains(text, f.Where) {
			denied = f
		}
	}
	return denied
}

func (p *Proxy) fail(r *gate.Refusal) *gate.Refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, r)
	return r
}

// lock serialises the work on one file, so that it is downloaded once.
func (p *Proxy) lock(k cas.Key) func() {
	p.mu.Lock()
	l, ok := p.locks[k]
	if !ok {
		l = new(sync.Mutex)
		p.locks[k] = l
	}
	p.mu.Unlock()
	l.Lock()
	return l.Unlock
}
