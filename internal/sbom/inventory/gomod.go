package inventory

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/sbom"
)

// goMain is a Go module whose sources lie in the folder, with the modules that it is built from.
type goMain struct {
	dir       string // in the folder; "" for its root
	path      string
	goVersion string // go1.26.8: of the toolchain; "" when go.mod names none
	goAtLeast string // what go.mod asks for at least
	modules   map[string]*goModule
	edges     map[edge]string // which package it is that imports
	vendored  bool
	notes     []string
}

// goModule is a module of the build list.
type goModule struct {
	debug.Module
	direct bool
	known  bool // its sources were there to be read for what they import
	used   bool // some package of it is imported
}

// edge says that packages of one module import packages of another.
type edge struct{ from, to string }

// readGoMain reads the module in that folder.
func readGoMain(ctx context.Context, dir *os.Root, found *folder, in string, o Options) (*goMain, error) {
	name := path.Join(in, "go.mod")
	m := &goMain{dir: in, path: path.Base("/" + in), modules: map[string]*goModule{}, edges: map[edge]string{}}
	data, err := readText(dir, name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	f, err := modfile.ParseLax(name, data, nil)
	if err != nil || f.Module == nil || checkPath(f.Module.Mod.Path) != nil {
		m.notes = append(m.notes, fmt.Sprintf("%s cannot be read, and what it requires is not described: %s", name, shortError(err)))
		return m, nil
	}
	m.path = f.Module.Mod.Path
	if f.Go != nil {
		m.goAtLeast = "go" + f.Go.Version
	}
	if m.goVersion = o.Go; m.goVersion == "" && f.Toolchain != nil && strings.HasPrefix(f.Toolchain.Name, "go1") {
		m.goVersion = f.Toolchain.Name
	}
	full, err := modfile.Parse(name, data, nil) // ParseLax leaves out replacements
	if err != nil {
		m.notes = append(m.notes, fmt.Sprintf("%s has mistakes, and only what it requires is described: %s", name, shortError(err)))
		full = f
	}
	sums := goSums(dir, in)
	m.require(full, sums)
	if f.Go == nil || semver.Compare("v"+f.Go.Version, "v1.17") < 0 {
		m.olderRequirements(full, sums, o.GoCache)
	}
	m.vendor(dir, sums)
	return m, m.readImports(ctx, dir, found, o)
}

func shortError(err error) string {
	if err == nil {
		return "it names no module"
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first[:min(len(first), 300)]
}

// checkPath refuses module paths that nothing can be called. A main module may be called as it likes, but for characters that cannot be shown.
func checkPath(p string) error {
	if p == "" || p != cleanName(p) {
		return fmt.Errorf("module path %q", p)
	}
	return nil
}

// require takes up what go.mod requires, replacements applied. From Go 1.17 on that is everything that is linked.
func (m *goMain) require(f *modfile.File, sums map[string]string) {
	for _, r := range f.Require {
		m.add(f, r.Mod, !r.Indirect, sums)
	}
}

func (m *goMain) add(f *modfile.File, mod module.Version, direct bool, sums map[string]string) {
	if module.Check(mod.Path, mod.Version) != nil {
		m.notes = append(m.notes, fmt.Sprintf("go.mod requires what cannot be a module: %s %s", cleanName(mod.Path), cleanName(mod.Version)))
		return
	}
	g := &goModule{Module: debug.Module{Path: mod.Path, Version: mod.Version, Sum: sums[mod.Path+" "+mod.Version]}, direct: direct}
	for _, r := range f.Replace {
		if r.Old.Path == mod.Path && (r.Old.Version == "" || r.Old.Version == mod.Version) {
			g.Replace = &debug.Module{Path: r.New.Path, Version: r.New.Version, Sum: sums[r.New.Path+" "+r.New.Version]}
			if r.Old.Version != "" {
				break // the narrower one counts
			}
		}
	}
	m.modules[mod.Path] = g
}

// goSums reads go.sum: the h1 hash of each "path version".
func goSums(dir *os.Root, in string) map[string]string {
	sums := map[string]string{}
	data, err := readText(dir, path.Join(in, "go.sum"))
	if err != nil {
		return sums
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 3 && sbom.IsH1(f[2]) {
			sums[f[0]+" "+f[1]] = f[2]
		}
	}
	return sums
}

// vendor reads vendor/modules.txt, which names the modules whose packages are vendored.
func (m *goMain) vendor(dir *os.Root, sums map[string]string) {
	data, err := readText(dir, path.Join(m.dir, "vendor", "modules.txt"))
	if err != nil {
		return
	}
	m.vendored = true
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 3 || f[0] != "#" || f[2] == "=>" || m.modules[f[1]] != nil || module.Check(f[1], f[2]) != nil {
			continue
		}
		m.modules[f[1]] = &goModule{Module: debug.Module{Path: f[1], Version: f[2], Sum: sums[f[1]+" "+f[2]]}}
	}
}

// olderRequirements selects versions as Go did before 1.17 (minimal version selection), by the go.mod files in the module cache.
func (m *goMain) olderRequirements(f *modfile.File, sums map[string]string, cache string) {
	queue := []string{}
	for p := range m.modules {
		queue = append(queue, p)
	}
	slices.Sort(queue)
	missing := map[string]bool{}
	read := map[string]bool{}
	for len(queue) > 0 {
		g := m.modules[queue[0]]
		queue = queue[1:]
		mod := g.linked()
		if read[mod.String()] || isFolder(mod.Path) {
			continue
		}
		read[mod.String()] = true
		required, ok := cachedRequirements(cache, mod)
		if !ok {
			missing[mod.String()] = true
			continue
		}
		for _, r := range required {
			if have := m.modules[r.Path]; have == nil || semver.Compare(r.Version, have.Version) > 0 {
				m.add(f, r, have != nil && have.direct, sums)
				if m.modules[r.Path] != nil {
					queue = append(queue, r.Path)
				}
			}
		}
	}
	if len(missing) > 0 {
		m.notes = append(m.notes, fmt.Sprintf("go.mod is of a Go before 1.17 and does not name all that is linked; %d of the modules that it names are not in "+
			"the module cache, and what they require is not known", len(missing)))
	}
}

// linked is the module that is used: the replacement where there is one.
func (g *goModule) linked() module.Version {
	if g.Replace != nil {
		return module.Version{Path: g.Replace.Path, Version: g.Replace.Version}
	}
	return module.Version{Path: g.Path, Version: g.Version}
}

func isFolder(p string) bool { return modfile.IsDirectoryPath(p) }

// cachedRequirements reads a module's go.mod in the module cache.
func cachedRequirements(cache string, mod module.Version) ([]module.Version, bool) {
	p, err1 := module.EscapePath(mod.Path)
	v, err2 := module.EscapeVersion(mod.Version)
	if cache == "" || err1 != nil || err2 != nil {
		return nil, false
	}
	data, err := os.ReadFile(filepath.Join(cache, "cache", "download", filepath.FromSlash(p), "@v", v+".mod"))
	if err != nil || len(data) > maxText {
		return nil, false
	}
	f, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		return nil, false
	}
	var out []module.Version
	for _, r := range f.Require {
		out = append(out, r.Mod)
	}
	return out, true
}

// goMain takes up a module with everything that it is built from.
func (d *describer) goMain(root string, m *goMain) error {
	main := d.b.MainModule(m.path, d.meta.Version)
	d.b.Relate(root, sbom.Contains, main)
	for _, text := range m.notes {
		d.b.Note(main, "%s", text)
	}
	if m.goVersion != "" || m.goAtLeast != "" { // the least version is no version that anything was built with
		stdlib, toolchain := d.b.GoParts(m.goVersion)
		why := ""
		if m.goAtLeast != "" {
			why = "go.mod asks for " + m.goAtLeast + " at least"
		}
		d.b.RelateSince(main, sbom.DependsOn, stdlib, why)
		d.b.RelateSince(toolchain, sbom.BuildToolOf, main, why)
	}
	elements := map[string]string{m.path: main}
	for _, p := range slices.Sorted(keys(m.modules)) {
		g := m.modules[p]
		element, err := d.b.Module(g.Module)
		if err != nil {
			return err
		}
		elements[p] = element
		switch {
		case !g.used && g.direct:
			d.b.RelateSince(main, sbom.DependsOn, element, "required by go.mod; no package that imports it was found")
		case !g.used:
			d.b.RelateSince(main, sbom.DependsOn, element, "required by go.mod for something that others need; no package that imports it was found")
		case !g.known && !isFolder(g.linked().Path):
			d.b.Note(element, "The sources of %s %s are neither vendored nor in the module cache: what it imports is not known", g.Path, g.Version)
		}
	}
	for e, by := range m.edges {
		d.b.RelateSince(elements[e.from], sbom.DependsOn, elements[e.to], "imported by "+cmp.Or(by, "its packages"))
	}
	return nil
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
