package goproxy

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/material/cas"
)

// Kinds of requests besides those of cas.
const (
	kindList   = "list"
	kindLatest = "latest"
	kindSumDB  = "sumdb"
)

// maxPath bounds a request's path, in bytes.
const maxPath = 4096

// Request is one request of the proxy protocol.
type Request struct {
	Kind    string // cas.Zip, cas.Mod, cas.Info, list, latest, sumdb
	Module  string
	Version string // for a .info file it may be a query like a branch; else canonical
	Path    string // as it goes to an upstream, relative to its URL
}

// Key is the request's place in the index. It is only meaningful when Pinned.
func (r Request) Key() cas.Key {
	return cas.Key{Module: r.Module, Version: r.Version, Kind: r.Kind}
}

// Pinned reports whether the answer is a file of one module version, which never changes.
func (r Request) Pinned() bool {
	return r.Version != "" && module.CanonicalVersion(r.Version) == r.Version
}

var errNotProtocol = errors.New("not a path of the module proxy protocol")

// ParseRequest reads a decoded URL path without its leading slash and prefix.
func ParseRequest(path string) (Request, error) {
	if len(path) > maxPath || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return Request{}, errNotProtocol
	}
	if rest, ok := strings.CutPrefix(path, "sumdb/"); ok {
		return parseSumDB(rest)
	}
	if mod, ok := strings.CutSuffix(path, "/@latest"); ok {
		return newRequest(kindLatest, mod, "")
	}
	mod, file, ok := strings.Cut(path, "/@v/")
	if !ok {
		return Request{}, errNotProtocol
	}
	if file == "list" {
		return newRequest(kindList, mod, "")
	}
	for _, kind := range []string{cas.Zip, cas.Mod, cas.Info} {
		if version, ok := strings.CutSuffix(file, "."+kind); ok {
			return newRequest(kind, mod, version)
		}
	}
	return Request{}, errNotProtocol
}

// newRequest takes the module and the version in their escaped forms.
func newRequest(kind, mod, version string) (Request, error) {
	path, err := module.UnescapePath(mod)
	if err != nil {
		return Request{}, fmt.Errorf("%w: %w", errNotProtocol, err)
	}
	r := Request{Kind: kind, Module: path}
	switch kind {
	case kindLatest:
		r.Path = mod + "/@latest"
		return r, nil
	case kindList:
		r.Path = mod + "/@v/list"
		return r, nil
	}
	if r.Version, err = module.UnescapeVersion(version); err != nil {
		return Request{}, fmt.Errorf("%w: %w", errNotProtocol, err)
	}
	if kind != cas.Info && !r.Pinned() {
		return Request{}, fmt.Errorf("%w: version %q is not canonical", errNotProtocol, r.Version)
	}
	r.Path = mod + "/@v/" + version + "." + kind
	return r, nil
}

// parseSumDB accepts <name>/{supported,latest,lookup/…,tile/…}. Module holds the name, Version nothing.
func parseSumDB(rest string) (Request, error) {
	for elem := range strings.SplitSeq(rest, "/") {
		if elem == "" || elem == "." || elem == ".." || strings.ContainsFunc(elem, notSumDBRune) {
			return Request{}, errNotProtocol
		}
	}
	for _, op := range []string{"/supported", "/latest"} {
		if name, ok := strings.CutSuffix(rest, op); ok {
			return Request{Kind: kindSumDB, Module: name, Path: op[1:]}, nil
		}
	}
	for _, op := range []string{"/lookup/", "/tile/"} {
		if name, arg, ok := strings.Cut(rest, op); ok && name != "" && arg != "" {
			return Request{Kind: kindSumDB, Module: name, Path: op[1:] + arg}, nil
		}
	}
	return Request{}, errNotProtocol
}

func notSumDBRune(r rune) bool {
	sumDB := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~!@+", r)
	return !sumDB
}
