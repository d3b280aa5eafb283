package gomod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/cas"
)

// Module fetches a published module by its exact version, checked against the
// checksum database, and unpacks it into a folder below work, which the caller removes.
func (f *Fetcher) Module(ctx context.Context, modPath, version, work string) (material.ModuleSource, error) {
	mv := module.Version{Path: modPath, Version: version}
	if err := module.Check(modPath, version); err != nil || module.CanonicalVersion(version) != version {
		return material.ModuleSource{}, &gate.Refusal{Code: "module-version-inexact", Class: gate.Usage, What: "the module version cannot be pinned", Where: mv.String(),
			Expected: "a module path and an exact version: v1.2.3", Fix: "go list -m -versions " + modPath, Cause: err}
	}
	f.opts.Progress("fetch module " + mv.String())
	work, err := filepath.Abs(work)
	if err != nil {
		return material.ModuleSource{}, fmt.Errorf("locate scratch folder: %w", err)
	}
	s, err := f.open(ctx, work, "")
	if err != nil {
		return material.ModuleSource{}, err
	}
	defer s.close()
	m, err := s.fetchModule(ctx, mv)
	if err != nil {
		return material.ModuleSource{}, err
	}
	ms := []fetched{m}
	if err := s.checkSumDB(ctx, ms); err != nil {
		return material.ModuleSource{}, err
	}
	src, err := s.unpackModule(ctx, ms[0], filepath.Join(work, "module"))
	if err != nil {
		return src, err
	}
	if err := f.remember(ms); err != nil {
		return src, err
	}
	return src, s.rememberInfo(ms)
}

// fetchModule takes a module's zip and go.mod file from the proxy, and hashes them.
func (s *session) fetchModule(ctx context.Context, mv module.Version) (fetched, error) {
	m := fetched{Version: mv}
	gomod, err := s.readStored(ctx, cas.Key{Module: mv.Path, Version: mv.Version, Kind: cas.Mod})
	if err != nil {
		return m, moduleMissing(mv, err)
	}
	if m.modH1, err = goModHash(gomod); err != nil {
		return m, err
	}
	zip, err := s.proxy.Fetch(ctx, cas.Key{Module: mv.Path, Version: mv.Version, Kind: cas.Zip})
	if err != nil {
		return m, moduleMissing(mv, err)
	}
	defer zip.Close()
	if m.h1, err = dirhash.HashZip(zip.Name(), dirhash.Hash1); err != nil {
		return m, badZip(mv, err)
	}
	if m.mod, err = s.recorded(mv, cas.Mod); err != nil {
		return m, err
	}
	m.zip, err = s.recorded(mv, cas.Zip)
	return m, err
}

func moduleMissing(mv module.Version, err error) error {
	if gate.Code(err) != "" {
		return err
	}
	return &gate.Refusal{Code: "module-not-found", Class: gate.Failed, What: "the module could not be fetched", Where: mv.String(),
		Fix: "check the version: go list -m -versions " + mv.Path, Cause: err}
}

func badZip(mv module.Version, err error) error {
	return &gate.Refusal{Code: "module-zip-invalid", Class: gate.Refused, What: "the module's zip is not one", Where: mv.String(), Fix: "try another proxy: go env -w GOPROXY=…", Cause: err}
}

func (s *session) unpackModule(ctx context.Context, m fetched, dir string) (material.ModuleSource, error) {
	src := material.ModuleSource{Path: m.Path, Version: m.Version.Version, H1: m.h1, Dir: dir, Material: m.material("")}
	src.Material.Name = "source"
	zip, err := s.f.store.Path(m.zip.SHA256)
	if err != nil {
		return src, err
	}
	src.Zip = zip
	if err := os.RemoveAll(dir); err != nil {
		return src, fmt.Errorf("unpack module: %w", err)
	}
	if err := modzip.Unzip(dir, m.Version, zip); err != nil {
		return src, badZip(m.Version, err)
	}
	h1, err := hashTree(dir, m.String(), nil)
	if err != nil {
		return src, err
	}
	if h1 != m.h1 {
		return src, changed("unpacked folder", m.h1, h1)
	}
	src.GoMod, err = s.readStored(ctx, m.mod.Key)
	return src, err
}

// published resolves the programs of a published module as `go install path@version`
// does: the module is a dependency of an empty main module, so replacements and go.sum play no part.
func (s *session) published(ctx context.Context, req ModulesRequest) (material.Modules, error) {
	src := req.Published
	if err := installable(src); err != nil {
		return material.Modules{}, err
	}
	targets, err := absolutePatterns(src.Path, req.Targets)
	if err != nil {
		return material.Modules{}, err
	}
	if err := hasPackages(src, targets); err != nil {
		return material.Modules{}, err
	}
	mv := module.Version{Path: src.Path, Version: src.Version}
	w := where{gomod: mainFor(mv, req.Toolchain.Version), mod: "mod", only: src.Path}
	ls, ms, err := s.resolve(ctx, w, targets)
	if err != nil {
		return material.Modules{}, err
	}
	if err := s.checkSumDB(ctx, ms); err != nil {
		return material.Modules{}, err
	}
	for _, m := range ms {
		if m.Version == mv && m.h1 != src.H1 {
			return material.Modules{}, changed("zip of "+mv.String(), src.H1, m.h1)
		}
	}
	if req.Times {
		s.date(ctx, ms)
	}
	m := describe(ls, w.only)
	m.Materials = materials(ms, nil)
	if err := s.finish(req.Work, &m, ms); err != nil {
		return m, err
	}
	return m, answerInstall(m.Cache, mv)
}

// installable refuses what `go install path@version` refuses, before anything is downloaded.
func installable(src *material.ModuleSource) error {
	f, err := parseModFile(src.Path+"@"+src.Version+"/go.mod", src.GoMod)
	if err != nil {
		return err
	}
	if len(f.Replace)+len(f.Exclude) == 0 {
		return nil
	}
	return &gate.Refusal{Code: "module-not-installable", Class: gate.Usage, What: "the module replaces or excludes others, so it cannot be built as a published module",
		Where: src.Path + "@" + src.Version + "/go.mod", Expected: "no replace and no exclude line, as go install path@version asks for",
		Actual: fmt.Sprintf("%d replace, %d exclude", len(f.Replace), len(f.Exclude)), Fix: "release from the module's git repository"}
}

// hasPackages refuses packages that the module does not hold. The go command would look for other modules that hold them, and
// would say what the proxy says of those.
func hasPackages(src *material.ModuleSource, targets []material.Target) error {
	root, err := os.OpenRoot(src.Dir)
	if err != nil {
		return fmt.Errorf("open module: %w", err)
	}
	defer root.Close()
	for _, t := range targets {
		for _, p := range t.Packages {
			dir := strings.TrimPrefix(strings.TrimPrefix(p, src.Path), "/")
			if strings.Contains(p, "...") || dir == "" {
				continue
			}
			if info, err := root.Stat(filepath.FromSlash(dir)); err == nil && info.IsDir() {
				continue
			}
			return &gate.Refusal{Code: "module-package-missing", Class: gate.Usage, What: "the module does not hold the package " + p, Where: src.Path + "@" + src.Version,
				Expected: "a folder " + dir + " in the module", Actual: "no such folder", Fix: "correct builds[].go.packages, or release a version of the module that holds it"}
		}
	}
	return nil
}

var reGoVersion = regexp.MustCompile(`^go(1\.[0-9]+(\.[0-9]+|rc[0-9]+|beta[0-9]+)?)`)

// mainFor writes the empty main module. Its language is the toolchain's, as that of `go install path@version` is.
func mainFor(mv module.Version, toolchain string) []byte {
	text := "module sello.invalid/release\n\n"
	if m := reGoVersion.FindStringSubmatch(toolchain); m != nil {
		text += "go " + m[1] + "\n\n"
	}
	return []byte(text + "require " + mv.Path + " " + mv.Version + "\n")
}

// absolutePatterns turns patterns that are relative to the module into import paths.
func absolutePatterns(modPath string, targets []material.Target) ([]material.Target, error) {
	out := make([]material.Target, len(targets))
	for i, t := range targets {
		out[i], out[i].Packages = t, nil
		for _, p := range t.Packages {
			full := p
			if p == "." || p == "..." || strings.HasPrefix(p, "./") {
				full = path.Join(modPath, p)
			}
			if full != modPath && !strings.HasPrefix(full, modPath+"/") {
				return nil, badTarget(t, "a pattern leads out of the module", p, "name packages of "+modPath)
			}
			out[i].Packages = append(out[i].Packages, full)
		}
	}
	return out, nil
}

// answerInstall adds what `go install path@version` asks a proxy about the module itself: its
// versions, to look for a deprecation notice, and the version's .info file. Both are made from the version alone.
func answerInstall(cache string, mv module.Version) error {
	escaped, err := module.EscapePath(mv.Path)
	if err != nil {
		return fmt.Errorf("lay out modules: %w", err)
	}
	version, err := module.EscapeVersion(mv.Version)
	if err != nil {
		return fmt.Errorf("lay out modules: %w", err)
	}
	info, err := json.Marshal(struct{ Version string }{mv.Version})
	if err != nil {
		return fmt.Errorf("lay out modules: %w", err)
	}
	dir := filepath.Join(cache, "cache", "download", filepath.FromSlash(escaped), "@v")
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "list"), []byte(mv.Version+"\n"), 0o444),
		os.WriteFile(filepath.Join(dir, version+".info"), info, 0o444))
	if err != nil {
		return fmt.Errorf("lay out modules: %w", err)
	}
	return nil
}
