package goproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"sync"

	"github.com/sello-release/sello/internal/gate"
)

// sumdb is the way to the checksum database, found on the first request.
type sumdb struct {
	name     string // "" when GOSUMDB is off
	explicit string // URL from GOSUMDB, if it has one

	once sync.Once
	base upstream
	err  error
}

// serveSumDB passes a request on. The go command checks the signatures and proofs in the answers.
func (p *Proxy) serveSumDB(ctx context.Context, w http.ResponseWriter, req Request) {
	if p.sumdb.name == "" || req.Module != p.sumdb.name {
		http.NotFound(w, nil)
		return
	}
	if req.Path == "supported" {
		w.WriteHeader(http.StatusOK)
		return
	}
	p.sumdb.once.Do(func() { p.sumdb.base, p.sumdb.err = p.findSumDB(p.ctx) })
	var data []byte
	err := p.sumdb.err
	if err == nil {
		err = p.get(ctx, p.sumdb.base, req, p.opts.Limits.File, func(r io.Reader) (err error) {
			data, err = io.ReadAll(r)
			return err
		})
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			err = p.fail(unreachableSumDB(req.Module, err))
		}
		answerError(w, err)
		return
	}
	w.Write(data) //nolint:errcheck // a client that went away
}

// findSumDB follows the rule of the proxy protocol: the first proxy that says it
// supports the database passes requests on; without one, the database is asked directly.
func (p *Proxy) findSumDB(ctx context.Context) (upstream, error) {
	if p.sumdb.explicit != "" {
		u, err := url.Parse(p.sumdb.explicit)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "file" {
			return upstream{}, errors.New("the URL in GOSUMDB is not an https, http or file URL")
		}
		kind := "http"
		if u.Scheme == "file" {
			kind = "file"
		}
		return upstream{kind: kind, url: u}, nil
	}
	for _, u := range p.list {
		if u.url == nil {
			break
		}
		under := u
		at := u.url.JoinPath("sumdb", p.sumdb.name)
		under.url = at
		err := p.get(ctx, under, Request{Kind: kindSumDB, Module: p.sumdb.name, Path: "supported"}, p.opts.Limits.File, func(r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err == nil {
			return under, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !u.fallBack {
			return upstream{}, err
		}
	}
	u, err := url.Parse("https://" + p.sumdb.name)
	if err != nil {
		return upstream{}, errors.New("the name in GOSUMDB is not a host name")
	}
	return upstream{kind: "http", url: u}, nil
}

func unreachableSumDB(name string, err error) *gate.Refusal {
	return &gate.Refusal{Code: "sumdb-unreachable", Class: gate.Failed, Where: name, What: "the checksum database could not be asked",
		Fix: "check the network, `go env GOSUMDB` and `go env GOPROXY`", Cause: fmt.Errorf("ask checksum database: %w", err)}
}
