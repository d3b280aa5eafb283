// Package scaffold proposes a sello.yaml for a repository that has none.
//
// It reads go.mod files and Go sources as text and never runs the Go command or anything
// of the project. The files are taken for hostile: symbolic links are not followed, nothing
// outside the root is read, and sizes and numbers are bounded. What it proposes is accepted by
// definition.Parse; it is a proposal all the same, to be read before it is committed.
package scaffold

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

// Options are what the caller knows about the repository.
type Options struct {
	Remote    string // URL of the git remote, in any of git's forms; may be empty
	Source    string // canonical source URI, when the user gave one; goes before Remote
	Branch    string // the branch for releases; empty: main
	GoVersion string // of the Go command on this machine: go1.26.8; may be empty
}

// Found is what a repository has to release.
type Found struct {
	Project string
	Source  string // https URL, or pkg:golang/module
	// Repository is the https URL of this repository, when the source is a published module; may be empty.
	Repository string
	Branch     string // empty: the default
	Builds     []Build
	Warnings   []string // for the user: what to look at before releasing
}

// Build is one Go module with its programs.
type Build struct {
	Name      string
	Dir       string // of the module, "." for the root
	Module    string // its path
	Packages  []string
	Toolchain string // go1.X.Y, or "local"
	LDFlags   string
}

// Detect looks for Go modules and their programs below root.
//
// Programs are the main packages at a module's root and under cmd/; if there are none, all that are
// not examples, tests, tools, scripts or internal.
func Detect(ctx context.Context, root string, o Options) (Found, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return Found{}, fmt.Errorf("open repository: %w", err)
	}
	defer r.Close()
	s := &scan{fsys: r.FS()}
	if err := s.walk(ctx); err != nil {
		return Found{}, fmt.Errorf("look for Go modules: %w", err)
	}
	if src, err := definition.ParseSource(o.Source); err == nil && src.Module != "" && !s.holds(src.Module) {
		return published(src, o), nil
	}
	if len(s.modules) == 0 {
		return Found{}, &gate.Refusal{Code: "init-no-module", Class: gate.Usage, Where: root, What: "no Go module was found",
			Expected: "a go.mod file", Fix: "run this at the root of a repository with a Go module, or write sello.yaml by hand"}
	}
	found := Found{Warnings: s.warnings}
	s.names = map[string]string{}
	for _, m := range s.modules {
		if b, ok := s.build(m, o, &found); ok {
			found.Builds = append(found.Builds, b)
		}
	}
	if len(found.Builds) == 0 {
		return Found{}, &gate.Refusal{Code: "init-no-program", Class: gate.Usage, Where: root, What: "no Go program was found",
			Expected: "a package main at a module's root or under cmd/", Actual: strings.Join(found.Warnings, "; "), Fix: "write sello.yaml by hand; sello schema sello describes it"}
	}
	if err := found.name(s.modules[0].path, path.Base(strings.ReplaceAll(root, "\\", "/")), o); err != nil {
		return Found{}, err
	}
	found.nameBuilds()
	if n := len(found.Builds); n > 1 {
		found.Warnings = append(found.Warnings, fmt.Sprintf("there are %d Go modules with programs: each has a build and archives of its own; remove those that are not to be released", n))
	}
	return found, nil
}

// name decides project, source and branch.
func (f *Found) name(modulePath, folder string, o Options) error {
	f.Source = cmp.Or(o.Source, fromRemote(o.Remote), fromModule(modulePath))
	src, err := definition.ParseSource(f.Source)
	if err != nil {
		return &gate.Refusal{Code: "init-no-source", Class: gate.Usage, What: "the repository has no remote that others can reach, and its module path names none",
			Expected: "the https URL of the repository", Actual: cmp.Or(o.Source, redact(o.Remote), "module "+modulePath), Fix: "add --source https://… to the command"}
	}
	if o.Source == "" && fromRemote(o.Remote) == "" {
		f.Warnings = append(f.Warnings, "source: was guessed from the module path, because there is no remote: check it")
	}
	f.Project = projectName(strings.TrimSuffix(path.Base(cmp.Or(src.Git, stripMajor(src.Module))), ".git"), folder)
	if o.Branch != definition.DefaultBranch {
		f.Branch = o.Branch
	}
	return nil
}

// nameBuilds gives each build a name of its own: the project's for the first module at the
// root, the folder's for the others, the whole path where two folders have one name.
func (f *Found) nameBuilds() {
	count := map[string]int{}
	for _, b := range f.Builds {
		count[path.Base(b.Dir)]++
	}
	taken := map[string]bool{}
	for i := range f.Builds {
		b := &f.Builds[i]
		switch {
		case b.Dir == "." || len(f.Builds) == 1:
			b.Name = f.Project
		case count[path.Base(b.Dir)] > 1:
			b.Name = projectName(strings.ReplaceAll(b.Dir, "/", "-"), "build")
		default:
			b.Name = projectName(path.Base(b.Dir), "build")
		}
		for base, n := b.Name, 2; taken[b.Name]; n++ {
			b.Name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[b.Name] = true
	}
}

// build chooses a module's programs.
func (s *scan) build(m module, o Options, f *Found) (Build, bool) {
	var programs []*pkg
	for _, p := range s.packages {
		if p.module == m.dir && p.main {
			programs = append(programs, p)
		}
	}
	chosen := slices.DeleteFunc(slices.Clone(programs), func(p *pkg) bool { return !shipped(p.rel) })
	if len(chosen) == 0 { // cmd/tool may be a helper beside others, but not when it is all there is
		chosen = slices.DeleteFunc(slices.Clone(programs), func(p *pkg) bool { return !strings.HasPrefix(p.rel, "cmd/") })
	}
	if len(chosen) == 0 {
		chosen = slices.DeleteFunc(programs, func(p *pkg) bool { return !plausible(p.rel) })
	}
	if len(chosen) == 0 || !plausible(m.dir) {
		return Build{}, false
	}
	slices.SortFunc(chosen, func(a, b *pkg) int { return cmp.Compare(a.rel, b.rel) })
	if chosen = s.usable(m, chosen, f); len(chosen) == 0 {
		return Build{}, false
	}
	b := Build{Dir: m.dir, Module: m.path, Toolchain: toolchain(o.GoVersion, m)}
	for _, p := range chosen {
		b.Packages = append(b.Packages, pattern(p.rel))
		if p.cgo {
			f.Warnings = append(f.Warnings, fmt.Sprintf("%s imports \"C\": cgo is off in a release, so check that it builds without it, or take the package out", path.Join(m.dir, p.rel)))
		}
	}
	b.Packages = shorten(b.Packages, chosen, s, m)
	flags, notes := s.stamps(chosen)
	b.LDFlags = flags
	f.Warnings = append(f.Warnings, notes...)
	return b, true
}

func pattern(rel string) string {
	if rel == "." {
		return "."
	}
	return "./" + rel
}

// manyPackages is from how many programs on a pattern is easier to read than a list.
const manyPackages = 6

// shorten writes ./cmd/... for many programs, when it means the same.
func shorten(patterns []string, chosen []*pkg, s *scan, m module) []string {
	below, all := 0, 0
	for _, p := range chosen {
		if strings.HasPrefix(p.rel, "cmd/") {
			below++
		}
	}
	for _, p := range s.packages {
		if p.module == m.dir && p.main && strings.HasPrefix(p.rel, "cmd/") {
			all++
		}
	}
	if below < manyPackages || below != all {
		return patterns
	}
	out := slices.DeleteFunc(patterns, func(p string) bool { return strings.HasPrefix(p, "./cmd/") })
	return append(out, "./cmd/...")
}
