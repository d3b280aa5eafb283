package gomod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material/cas"
	"github.com/sello-release/sello/internal/material/goproxy"
)

// fetched is one module version in a session's module cache, with every hash computed from its bytes.
type fetched struct {
	module.Version
	mod     goproxy.Record // of the go.mod file
	modH1   string
	zip     goproxy.Record // zero when only the go.mod file was needed
	h1      string
	dir     string // the unpacked files, where there is a zip
	modFile string

	exempt     string // why the checksum database was not asked; "" when it was
	verifiedBy string // name of the checksum database that has the hashes
	verifiedAt time.Time
	published  time.Time // as its source states; zero when nobody asked, or it does not say
}

func (m fetched) hasZip() bool { return m.h1 != "" }

// collect reads a session's module cache: what the go command took from the proxy, and nothing else.
func (s *session) collect(ctx context.Context) ([]fetched, error) {
	root := filepath.Join(s.modcache(), "cache", "download")
	var found []fetched
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == root {
			return nil
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".mod") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		req, err := goproxy.ParseRequest(filepath.ToSlash(rel))
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		found = append(found, fetched{Version: module.Version{Path: req.Module, Version: req.Version}, modFile: path})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read module cache: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range found {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := s.prove(&found[i]); err != nil {
				return fmt.Errorf("verify %s: %w", found[i].Version, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b fetched) int { return strings.Compare(a.String(), b.String()) })
	return found, nil
}

// prove ties together what the proxy recorded, what the go command unpacked, and what it computed.
func (s *session) prove(m *fetched) error {
	var err error
	if m.mod, err = s.recorded(m.Version, cas.Mod); err != nil {
		return err
	}
	data, err := os.ReadFile(m.modFile)
	if err != nil {
		return err
	}
	if got := digest.Bytes(data); got != m.mod.SHA256 {
		return changed("go.mod", m.mod.SHA256, got)
	}
	if m.modH1, err = goModHash(data); err != nil {
		return err
	}
	said, err := os.ReadFile(strings.TrimSuffix(m.modFile, ".mod") + ".ziphash")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.zip, err = s.recorded(m.Version, cas.Zip); err != nil {
		return err
	}
	return s.proveZip(m, strings.TrimSpace(string(said)))
}

func (s *session) proveZip(m *fetched, said string) error {
	path, err := s.f.store.Path(m.zip.SHA256)
	if err != nil {
		return err
	}
	if m.h1, err = dirhash.HashZip(path, dirhash.Hash1); err != nil {
		return fmt.Errorf("hash zip: %w", err)
	}
	if m.h1 != said {
		return changed("zip", said, m.h1)
	}
	if m.dir, err = s.unpackedDir(m.Version); err != nil {
		return err
	}
	inFolder, err := hashTree(m.dir, m.String(), nil)
	if errors.Is(err, fs.ErrNotExist) {
		m.dir = "" // downloaded to compare its hash, not to be read
		return nil
	}
	if err != nil {
		return err
	}
	if inFolder != m.h1 {
		return changed("unpacked folder", m.h1, inFolder)
	}
	return nil
}

func (s *session) unpackedDir(mv module.Version) (string, error) {
	path, err := module.EscapePath(mv.Path)
	if err != nil {
		return "", err
	}
	version, err := module.EscapeVersion(mv.Version)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.modcache(), filepath.FromSlash(path)+"@"+version), nil
}

func (s *session) recorded(mv module.Version, kind string) (goproxy.Record, error) {
	k := cas.Key{Module: mv.Path, Version: mv.Version, Kind: kind}
	r, ok := s.proxy.Record(k)
	if !ok {
		return r, fmt.Errorf("the %s did not come through the proxy", kind)
	}
	return r, nil
}

func changed(what, want, got string) error {
	return &gate.Refusal{Code: "fetch-changed", Class: gate.Refused, What: "a file of the module cache is not the one that was downloaded: " + what,
		Expected: want, Actual: got, Fix: "run again; if it happens again, look at who writes to the scratch folder"}
}

// remember names the verified bytes in the index, so that the next run needs no network.
func (f *Fetcher) remember(ms []fetched) error {
	for _, m := range ms {
		if err := f.rememberFile(m, m.mod, m.modH1); err != nil {
			return err
		}
		if m.hasZip() {
			if err := f.rememberFile(m, m.zip, m.h1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Fetcher) rememberFile(m fetched, r goproxy.Record, h1 string) error {
	e := cas.Entry{SHA256: r.SHA256, Size: r.Size, H1: h1, Location: r.Upstream, Time: r.Time, VerifiedBy: m.verifiedBy}
	if m.verifiedBy != "" {
		e.VerifiedAt = &m.verifiedAt
	}
	if old, ok := f.index.Get(r.Key); ok && old.SHA256 == e.SHA256 && old.VerifiedBy != "" && (e.VerifiedBy == "" || e.VerifiedBy == old.VerifiedBy) {
		return nil
	}
	return f.index.Put(r.Key, e)
}

// rememberInfo keeps the .info files that the go command asked for. Nothing vouches for them, and no build reads them.
func (s *session) rememberInfo(ms []fetched) error {
	for _, m := range ms {
		r, ok := s.proxy.Record(cas.Key{Module: m.Path, Version: m.Version.Version, Kind: cas.Info})
		if !ok || r.Cached {
			continue
		}
		if err := s.f.index.Put(r.Key, cas.Entry{SHA256: r.SHA256, Size: r.Size, Location: r.Upstream, Time: r.Time}); err != nil {
			return err
		}
	}
	return nil
}

// forget drops what the index says of a module, after its bytes turned out to be other ones.
func (f *Fetcher) forget(mv module.Version) {
	for _, kind := range []string{cas.Zip, cas.Mod, cas.Info} {
		f.index.Drop(cas.Key{Module: mv.Path, Version: mv.Version, Kind: kind}) //nolint:errcheck // a hint; the next run finds out
	}
}

// readStored reads a small stored file.
func (s *session) readStored(ctx context.Context, k cas.Key) ([]byte, error) {
	file, err := s.proxy.Fetch(ctx, k)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}
