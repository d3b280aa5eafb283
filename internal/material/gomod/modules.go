package gomod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/cas"
)

// ModulesRequest asks for the modules of a build.
type ModulesRequest struct {
	Toolchain material.Toolchain
	// Source is the root of the exported tree on the host, and Dir the folder of the
	// module in it, slash-separated. The tree is not written to.
	Source string
	Dir    string
	// NoWorkspace passes over go.work, as GOWORK=off does.
	NoWorkspace bool
	// Published is the module that is the source, in the place of Source and Dir. Patterns are then relative to it.
	Published *material.ModuleSource
	// Times asks the source of each module when the version was made.
	Times   bool
	Targets []material.Target
	// Work is a scratch folder of the caller's, who removes it. Modules.Cache is made in it.
	Work string
}

// Modules fetches and verifies everything that the build of the targets' programs
// reads besides its source and its toolchain.
//
// A module that an earlier run stored and that turns out not to be what go.sum
// names is fetched once more before it is refused: a private module may have been published again.
func (f *Fetcher) Modules(ctx context.Context, req ModulesRequest) (material.Modules, error) {
	if err := checkTargets(req.Targets); err != nil {
		return material.Modules{}, err
	}
	work, err := filepath.Abs(req.Work)
	if err != nil {
		return material.Modules{}, fmt.Errorf("locate scratch folder: %w", err)
	}
	req.Work = work
	m, err := f.modules(ctx, req)
	if stale := staleModule(err); stale.Path != "" {
		f.opts.Progress("fetch " + stale.String() + " again")
		m, err = f.modules(ctx, req)
	}
	return m, err
}

// errStale marks a mismatch of bytes that came from the content store, which forgot them by now.
type errStale struct {
	mod module.Version
	err error
}

func (e *errStale) Error() string { return e.err.Error() }
func (e *errStale) Unwrap() error { return e.err }

func staleModule(err error) module.Version {
	var stale *errStale
	if errors.As(err, &stale) {
		return stale.mod
	}
	return module.Version{}
}

func (f *Fetcher) modules(ctx context.Context, req ModulesRequest) (m material.Modules, err error) {
	s, err := f.open(ctx, req.Work, goTool(req.Toolchain.Root))
	if err != nil {
		return m, err
	}
	defer s.close()
	s.askWithNewest(req.Toolchain.Version)
	defer func() { err = s.markStale(err) }()
	if req.Published != nil {
		return s.published(ctx, req)
	}
	p, err := readPlan(req.Source, req.Dir, !req.NoWorkspace)
	if err != nil {
		return m, err
	}
	if p.vendor != "" {
		return s.vendored(ctx, req, p)
	}
	w := where{dir: filepath.Join(req.Source, filepath.FromSlash(p.dir)), env: p.environ(), mod: "readonly"}
	if p.work != "off" {
		if w.env, err = s.workBeside(p); err != nil {
			return m, err
		}
	}
	ls, ms, err := s.resolve(ctx, w, req.Targets)
	if err != nil {
		return m, err
	}
	for _, one := range ms {
		if err := p.sums.check(one); err != nil {
			return m, err
		}
	}
	if err := s.checkSumDB(ctx, ms); err != nil {
		return m, err
	}
	if req.Times {
		s.date(ctx, ms)
	}
	m = describe(ls, w.only)
	m.GoWork, m.Materials = p.work, materials(ms, replacing(ls))
	return m, s.finish(req.Work, &m, ms)
}

// environ tells the go command which workspace to use, so that it does not look for one above the source.
func (p plan) environ() []string {
	if p.work == "off" {
		return []string{"GOWORK=off"}
	}
	return []string{"GOWORK=" + filepath.Join(p.source, filepath.FromSlash(p.work))}
}

// resolve lists the targets and leaves exactly the modules of their programs in the
// module cache. Patterns may match packages that no program needs; then the programs are listed
// once more, by name, into an empty cache. (What the go command reads is more than what is linked: it also looks
// into modules that could hold a package, so the import graph alone does not tell.)
func (s *session) resolve(ctx context.Context, w where, targets []material.Target) ([]listing, []fetched, error) {
	ls, err := s.list(ctx, w, targets)
	if err != nil {
		return nil, nil, err
	}
	if needsOnlyPrograms(ls, w.only) {
		ms, err := s.collect(ctx)
		return ls, ms, err
	}
	for i := range targets {
		ls[i].target.Packages = ls[i].mains(w.only)
	}
	if err := os.Rename(s.modcache(), s.modcache()+"-first"); err != nil {
		return nil, nil, fmt.Errorf("empty module cache: %w", err)
	}
	again := make([]material.Target, len(ls))
	for i := range ls {
		again[i] = ls[i].target
	}
	if ls, err = s.list(ctx, w, again); err != nil {
		return nil, nil, err
	}
	ms, err := s.collect(ctx)
	return ls, ms, err
}

// needsOnlyPrograms reports whether no matched package needs a module that the programs do not link.
func needsOnlyPrograms(ls []listing, only string) bool {
	for _, l := range ls {
		linked := map[string]bool{}
		for _, name := range l.closure(l.mains(only)) {
			if m := l.packages[name].Module; m != nil {
				linked[m.String()] = true
			}
		}
		for _, p := range l.packages {
			if p.Module != nil && !p.Module.Main && !linked[p.Module.String()] {
				return false
			}
			if p.Error != nil {
				return false
			}
		}
	}
	return true
}

// describe gives the parts that come from the import graph.
func describe(ls []listing, only string) material.Modules {
	m := material.Modules{GoWork: "off", Programs: map[string][]material.Program{}, Graph: edges(ls, only)}
	for _, l := range ls {
		m.Programs[l.target.Name] = l.programs(only)
	}
	return m
}

// finish moves the verified modules to where they are mounted from, and names them in the index.
func (s *session) finish(work string, m *material.Modules, ms []fetched) error {
	cache, err := s.layOut(work, ms)
	if err != nil {
		return err
	}
	m.Cache = cache
	fips, err := s.layOutFIPS(cache)
	if err != nil {
		return err
	}
	m.Materials = append(m.Materials, fips...)
	sortMaterials(m.Materials)
	if err := s.f.remember(ms); err != nil {
		return err
	}
	return s.rememberInfo(ms)
}

// markStale makes the content store forget a module that go.sum contradicts, and says so.
func (s *session) markStale(err error) error {
	var r *gate.Refusal
	if !errors.As(err, &r) || r.Code != "module-sum-mismatch" {
		return err
	}
	path, version, ok := strings.Cut(r.Where, "@")
	version = strings.TrimSuffix(version, "/go.mod")
	if !ok {
		return err
	}
	mv := module.Version{Path: path, Version: version}
	cached := false
	for _, kind := range []string{cas.Zip, cas.Mod} {
		rec, ok := s.proxy.Record(cas.Key{Module: path, Version: version, Kind: kind})
		cached = cached || ok && rec.Cached
	}
	if !cached {
		return err
	}
	s.f.forget(mv)
	return &errStale{mod: mv, err: err}
}
