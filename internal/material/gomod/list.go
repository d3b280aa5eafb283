package gomod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

// goPackage is what `go list` says of one package, as far as it matters here.
type goPackage struct {
	ImportPath string
	Name       string
	Standard   bool
	DepOnly    bool
	Module     *goModule
	Imports    []string
	ImportMap  map[string]string
	Error      *struct {
		ImportStack []string
		Pos         string
		Err         string
	}
}

// goModule is the module of a package.
type goModule struct {
	Path    string
	Version string
	Main    bool
	Replace *goModule
}

// listing is the import graph of one target.
type listing struct {
	target   material.Target
	packages map[string]goPackage
	matched  []string // import paths that the patterns name
}

// where is the folder and the flags with which the go command looks at the source.
type where struct {
	dir   string
	gomod []byte // when set, each run gets a folder of its own with this go.mod, in the place of dir
	env   []string
	mod   string // value of -mod
	only  string // module that programs must be of; "" for any
}

// list asks for the import graph of each target, two at a time: the work is half waiting.
func (s *session) list(ctx context.Context, w where, targets []material.Target) ([]listing, error) {
	out := make([]listing, len(targets))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for i, t := range targets {
		g.Go(func() (err error) {
			out[i], err = s.listOne(ctx, w, t)
			return err
		})
	}
	return out, g.Wait()
}

func (s *session) listOne(ctx context.Context, w where, t material.Target) (listing, error) {
	s.f.opts.Progress("resolve modules for " + t.Name)
	args := []string{"list", "-e", "-deps", "-json=ImportPath,Name,Standard,DepOnly,Module,Imports,ImportMap,Error",
		"-mod=" + w.mod, "-trimpath", "-buildvcs=false", "-pgo=off", "-modcacherw"}
	if len(t.Tags) > 0 {
		args = append(args, "-tags="+strings.Join(t.Tags, ","))
	}
	args = append(append(args, "--"), t.Packages...)
	dir, err := s.listDir(w)
	if err != nil {
		return listing{}, err
	}
	out, err := s.run(ctx, dir, s.proxied(false, append(w.env, targetEnviron(t)...)...), args...)
	if err != nil {
		return listing{}, listFailed(t, err)
	}
	l, err := parseListing(out)
	if err != nil {
		return listing{}, err
	}
	l.target = t
	return l, s.checkListing(l, w.only)
}

// listDir gives the folder that a listing runs in. With -mod=mod the go command writes its
// findings into go.mod and go.sum, which two runs at once cannot share.
func (s *session) listDir(w where) (string, error) {
	if w.gomod == nil {
		return w.dir, nil
	}
	dir, err := os.MkdirTemp(s.dir, "main-*")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "go.mod"), w.gomod, 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("create scratch module: %w", err)
	}
	return dir, nil
}

func listFailed(t material.Target, err error) error {
	if gate.Code(err) != "" || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &gate.Refusal{Code: "go-list-failed", Class: gate.Failed, What: "the go command cannot resolve the packages", Where: t.Name,
		Fix: "make this work first: go list -deps -mod=readonly " + strings.Join(t.Packages, " "), Cause: err}
}

// parseListing reads the stream of objects that `go list -json` prints.
func parseListing(out []byte) (listing, error) {
	l := listing{packages: map[string]goPackage{}}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err != nil {
			return l, fmt.Errorf("read output of go list: %w", err)
		}
		l.packages[p.ImportPath] = p
		if !p.DepOnly {
			l.matched = append(l.matched, p.ImportPath)
		}
	}
}

// checkListing refuses what would not compile. Packages that no program needs may be broken.
func (s *session) checkListing(l listing, only string) error {
	for _, name := range l.matched {
		if p := l.packages[name]; p.Error != nil && p.Name == "" {
			return s.packageError(l.target, p, "packages-not-found", "a package is not there for this target")
		}
	}
	mains := l.mains(only)
	if len(mains) == 0 {
		return &gate.Refusal{Code: "no-programs", Class: gate.Usage, What: "the patterns match no program", Where: l.target.Name,
			Expected: "at least one main package", Actual: fmt.Sprintf("%s: %d packages, none of them main", strings.Join(l.target.Packages, " "), len(l.matched)),
			Fix: "set builds[].go.packages to the folders of the programs"}
	}
	for _, name := range l.closure(mains) {
		if p := l.packages[name]; p.Error != nil {
			return s.packageError(l.target, p, "go-list-failed", "a package cannot be compiled for this target")
		}
	}
	return nil
}

func (s *session) packageError(t material.Target, p goPackage, code, what string) error {
	text := strings.TrimSpace(p.Error.Err)
	if p.Error.Pos != "" {
		text = p.Error.Pos + ": " + text
	}
	if err := s.explain(text, nil); err != nil {
		return err
	}
	return &gate.Refusal{Code: code, Class: gate.Usage, What: what + ": " + p.ImportPath, Where: t.Name,
		Fix: "mend the package, or builds[].go.packages, platforms and tags", Cause: errors.New(text)}
}

// mains gives the programs among the matched packages, sorted.
func (l listing) mains(only string) []string {
	var out []string
	for _, name := range l.matched {
		p := l.packages[name]
		if p.Name == "main" && p.Module != nil && (only == "" || p.Module.Path == only) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// closure gives the packages that are linked into programs, with them, sorted.
func (l listing) closure(from []string) []string {
	seen := map[string]bool{}
	for todo := slices.Clone(from); len(todo) > 0; {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		p, ok := l.packages[name]
		if seen[name] || !ok {
			continue
		}
		seen[name] = true
		for _, i := range p.Imports {
			todo = append(todo, p.imported(i))
		}
	}
	out := make([]string, 0, len(seen))
	for name := range seen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// imported resolves an import, for the standard library's own vendored packages.
func (p goPackage) imported(name string) string {
	if to, ok := p.ImportMap[name]; ok {
		return to
	}
	return name
}

// programs describes the main packages.
func (l listing) programs(only string) []material.Program {
	var out []material.Program
	for _, name := range l.mains(only) {
		out = append(out, material.Program{ImportPath: name, BinaryName: binaryName(name), Module: l.packages[name].Module.Path})
	}
	return out
}

// binaryName is the last element of the import path, or the one before it when that is a major version.
func binaryName(importPath string) string {
	dir, name := path.Split(importPath)
	if dir != "" && isMajor(name) {
		return path.Base(dir)
	}
	return name
}

// isMajor reports whether s is v2, v3 and so on.
func isMajor(s string) bool {
	if len(s) < 2 || s[0] != 'v' || s[1] == '0' || s == "v1" {
		return false
	}
	return !strings.ContainsFunc(s[1:], func(r rune) bool { return r < '0' || r > '9' })
}

// edges gives the imports between modules among what is linked.
func edges(ls []listing, only string) []material.Edge {
	seen := map[material.Edge]bool{}
	for _, l := range ls {
		for _, name := range l.closure(l.mains(only)) {
			p := l.packages[name]
			for _, i := range p.Imports {
				to := l.packages[p.imported(i)]
				if p.Module != nil && to.Module != nil && p.Module.Path != to.Module.Path {
					seen[material.Edge{From: p.Module.String(), To: to.Module.String()}] = true
				}
			}
		}
	}
	out := make([]material.Edge, 0, len(seen))
	for e := range seen {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b material.Edge) int { return strings.Compare(a.From+"\n"+a.To, b.From+"\n"+b.To) })
	return out
}

func (m *goModule) String() string {
	if m.Version == "" {
		return m.Path
	}
	return m.Path + "@" + m.Version
}
