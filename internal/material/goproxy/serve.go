package goproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material/cas"
)

// ServeHTTP answers one request of the protocol.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/"+p.secret+"/")
	if !ok || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	req, err := ParseRequest(path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	switch {
	case req.Kind == kindSumDB:
		p.serveSumDB(ctx, w, req)
	case req.Pinned():
		p.serveFile(ctx, w, req)
	default:
		p.servePassing(ctx, w, req)
	}
}

// serveFile answers from the content store, filling it first where needed.
func (p *Proxy) serveFile(ctx context.Context, w http.ResponseWriter, req Request) {
	f, err := p.obtain(ctx, req)
	if err != nil {
		answerError(w, err)
		return
	}
	defer f.Close()
	io.Copy(w, f) //nolint:errcheck // a client that went away
}

// servePassing answers what is not pinned (lists, latest, branches): passed on, neither kept nor recorded.
func (p *Proxy) servePassing(ctx context.Context, w http.ResponseWriter, req Request) {
	data, err := p.passing(ctx, req)
	if err != nil {
		answerError(w, err)
		return
	}
	w.Write(data) //nolint:errcheck // a client that went away
}

func (p *Proxy) passing(ctx context.Context, req Request) ([]byte, error) {
	var data []byte
	err := p.each(req.Module, func(u upstream) error {
		return p.get(ctx, u, req, p.opts.Limits.File, func(r io.Reader) (err error) {
			data, err = io.ReadAll(r)
			return err
		})
	})
	return data, err
}

func answerError(w http.ResponseWriter, err error) {
	code := http.StatusBadGateway
	var status *statusError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = http.StatusNotFound
	case errors.As(err, &status):
		code = status.code
	case gate.Code(err) == codeDenied:
		code = http.StatusForbidden
	}
	http.Error(w, err.Error(), code)
}

// Fetch gives a file of a module version, as a request for it would. The caller closes it.
func (p *Proxy) Fetch(ctx context.Context, k cas.Key) (*os.File, error) {
	mod, err := module.EscapePath(k.Module)
	if err != nil {
		return nil, fmt.Errorf("fetch module: %w", err)
	}
	version, err := module.EscapeVersion(k.Version)
	if err != nil {
		return nil, fmt.Errorf("fetch module: %w", err)
	}
	req, err := newRequest(k.Kind, mod, version)
	if err != nil {
		return nil, fmt.Errorf("fetch module: %w", err)
	}
	return p.obtain(ctx, req)
}

// obtain gives a pinned file, verified against its digest: from this run, from
// the index, or from an upstream, in this order.
func (p *Proxy) obtain(ctx context.Context, req Request) (*os.File, error) {
	k := req.Key()
	defer p.lock(k)()
	if rec, ok := p.Record(k); ok {
		if f, err := p.opts.Store.Open(rec.SHA256); err == nil {
			return f, nil
		}
	} else if f, err := p.fromIndex(k); err == nil {
		return f, nil
	}
	if err := p.download(ctx, req); err != nil {
		return nil, err
	}
	rec, _ := p.Record(k)
	return p.opts.Store.Open(rec.SHA256)
}

func (p *Proxy) fromIndex(k cas.Key) (*os.File, error) {
	if p.opts.Index == nil {
		return nil, fs.ErrNotExist
	}
	e, ok := p.opts.Index.Get(k)
	if !ok {
		return nil, fs.ErrNotExist
	}
	f, err := p.opts.Store.Open(e.SHA256)
	if err != nil {
		return nil, err
	}
	p.record(Record{Key: k, SHA256: e.SHA256, Size: e.Size, Upstream: e.Location, Time: e.Time, Cached: true})
	return f, nil
}

func (p *Proxy) record(r Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records[r.Key] = r
}

// download streams a file from the first upstream that has it into the content store.
func (p *Proxy) download(ctx context.Context, req Request) error {
	limit := p.opts.Limits.File
	if req.Kind == cas.Zip {
		limit = p.opts.Limits.Zip
	}
	return p.each(req.Module, func(u upstream) error {
		return p.get(ctx, u, req, limit, func(r io.Reader) error {
			sums, err := p.opts.Store.Put(r, limit)
			if err != nil {
				return err
			}
			p.record(Record{Key: req.Key(), SHA256: sums.SHA256, Size: sums.Size, Upstream: u.location(req), Time: time.Now().UTC().Truncate(time.Second)})
			return nil
		})
	})
}

// location is what a record calls the place that a file came from.
func (u upstream) location(req Request) string {
	if u.url == nil {
		return u.kind
	}
	at := *u.url
	at.Path, at.RawPath = strings.TrimSuffix(at.Path, "/")+"/"+req.Path, ""
	return redact(&at)
}

// each tries the upstreams that may serve a module, in order, as `go help goproxy` says.
func (p *Proxy) each(modPath string, try func(upstream) error) error {
	list := p.list
	if module.MatchPrefixPatterns(p.opts.Settings.GONOPROXY, modPath) {
		list = []upstream{{kind: "direct"}}
	}
	var best error
	for _, u := range list {
		err := try(u)
		if err == nil {
			return nil
		}
		missing := errors.Is(err, fs.ErrNotExist)
		if best == nil || errors.Is(best, fs.ErrNotExist) || u.kind == "direct" && !missing {
			best = err
		}
		if !missing && !u.fallBack {
			break
		}
	}
	return best
}
