package inventory

import (
	"bytes"
	"cmp"
	"context"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/module"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/sbom"
)

// goPackage is a folder with Go files.
type goPackage struct {
	path  string // import path
	owner string // path of the module that it is in
	dir   *os.Root
	in    string  // in dir
	files []*node // in the folder that is described, where they were read already; nil elsewhere
}

// readImports follows the imports of the module's packages through everything that is vendored or in the module cache, for all platforms and
// build tags, without tests. Each module that is reached gets the packages that brought it in.
func (m *goMain) readImports(ctx context.Context, dir *os.Root, found *folder, o Options) error {
	roots := &goRoots{main: dir, m: m, cache: o.GoCache, open: map[string]*os.Root{}, found: found}
	defer roots.Close()
	todo := m.ownPackages(dir, found)
	seen := map[string]bool{}
	for _, p := range todo {
		seen[p.path] = true
	}
	for len(todo) > 0 {
		imports, err := importsOf(ctx, todo)
		if err != nil {
			return err
		}
		var next []goPackage
		for i, p := range todo {
			for _, target := range imports[i] {
				owner := m.owner(target)
				if owner == "" {
					continue // the standard library, or something that go.mod does not name
				}
				if e := (edge{p.owner, owner}); owner != p.owner && (m.edges[e] == "" || m.edges[e] > p.path) {
					m.edges[e] = p.path
				}
				if seen[target] || owner == m.path {
					continue
				}
				seen[target] = true
				g := m.modules[owner]
				g.used = true
				if at, in, ok := roots.find(g, target); ok {
					g.known = true
					p := goPackage{path: target, owner: owner, dir: at, in: in}
					if at == dir {
						p.files = found.in(in)
					}
					next = append(next, p)
				}
			}
		}
		slices.SortFunc(next, func(a, b goPackage) int { return strings.Compare(a.path, b.path) })
		todo = next
	}
	m.graph(o.Graph)
	return nil
}

// graph takes up what somebody else knows of who imports whom.
func (m *goMain) graph(known sbom.Graph) {
	keys := map[string]string{m.path: m.path} // module by its key in the graph
	for p, g := range m.modules {
		keys[sbom.Key(p, g.Version)] = p
	}
	for key, targets := range known {
		from, ok := keys[key]
		if !ok {
			continue
		}
		if g := m.modules[from]; g != nil {
			g.used, g.known = true, true
		}
		for _, target := range targets {
			to, ok := keys[target]
			if e := (edge{from, to}); ok && from != to && to != m.path {
				m.modules[to].used, m.modules[to].known = true, true
				if _, there := m.edges[e]; !there {
					m.edges[e] = ""
				}
			}
		}
	}
}

// ownPackages gives the packages of the main module among the files that were found.
func (m *goMain) ownPackages(dir *os.Root, found *folder) []goPackage {
	nested := map[string]bool{}
	folders := map[string]bool{}
	for _, n := range found.files {
		in, base := path.Split(n.name)
		in = strings.TrimSuffix(in, "/")
		if base == "go.mod" && in != m.dir {
			nested[in] = true
		}
		if strings.HasSuffix(base, ".go") {
			folders[in] = true
		}
	}
	var out []goPackage
	for in := range folders {
		rel, ok := strings.CutPrefix(in+"/", m.dir+"/")
		if m.dir == "" {
			rel, ok = in+"/", true
		}
		if rel = strings.Trim(rel, "/"); !ok || skipped(rel) || within(in, m.dir, nested) {
			continue
		}
		out = append(out, goPackage{path: path.Join(m.path, rel), owner: m.path, dir: dir, in: cmp.Or(in, "."), files: found.in(in)})
	}
	slices.SortFunc(out, func(a, b goPackage) int { return strings.Compare(a.path, b.path) })
	return out
}

// skipped reports whether the Go command looks into a folder of a module.
func skipped(rel string) bool {
	return rel != "" && slices.ContainsFunc(strings.Split(rel, "/"), func(part string) bool {
		return part == "vendor" || part == "testdata" || strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_")
	})
}

// within reports whether a folder belongs to another module, below top.
func within(in, top string, nested map[string]bool) bool {
	for in != top && in != "." && in != "" {
		if nested[in] {
			return true
		}
		in = path.Dir(in)
	}
	return false
}

// owner gives the module of an import path: the one with the longest path that begins it.
func (m *goMain) owner(target string) string {
	for p := target; p != "." && p != ""; p = path.Dir(p) {
		if m.modules[p] != nil || p == m.path {
			return p
		}
		if !strings.Contains(p, "/") {
			break
		}
	}
	return ""
}

// goRoots opens the folders in which the sources of modules lie.
type goRoots struct {
	main  *os.Root
	m     *goMain
	cache string
	found *folder
	open  map[string]*os.Root // nil for what is not there
}

func (r *goRoots) Close() {
	for _, dir := range r.open {
		if dir != nil {
			dir.Close()
		}
	}
}

// find gives where a package of a module lies.
func (r *goRoots) find(g *goModule, target string) (dir *os.Root, in string, ok bool) {
	if r.m.vendored {
		in := path.Join(r.m.dir, "vendor", target)
		return r.main, in, r.found.in(in) != nil
	}
	rest := strings.Trim(strings.TrimPrefix(target, g.Path), "/")
	linked := g.linked()
	if isFolder(linked.Path) {
		in := path.Join(r.m.dir, linked.Path, rest) // one outside of the folder is not opened
		return r.main, in, r.found.in(in) != nil
	}
	dir, known := r.open[linked.String()]
	if !known {
		p, err1 := module.EscapePath(linked.Path)
		v, err2 := module.EscapeVersion(linked.Version)
		if r.cache != "" && err1 == nil && err2 == nil {
			dir, _ = os.OpenRoot(filepath.Join(r.cache, filepath.FromSlash(p)+"@"+v))
		}
		r.open[linked.String()] = dir
	}
	if dir == nil {
		return nil, "", false
	}
	info, err := dir.Stat(filepath.FromSlash(path.Join(".", rest)))
	return dir, path.Join(".", rest), err == nil && info.IsDir()
}

// importsOf reads what packages import, on all cores.
func importsOf(ctx context.Context, all []goPackage) ([][]string, error) {
	out := make([][]string, len(all))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range all {
		g.Go(func() error {
			out[i] = p.imports()
			return ctx.Err()
		})
	}
	return out, g.Wait()
}

var headers = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

// imports gives what the package's files import. A file that cannot be parsed imports nothing: the Go command would not build it either.
func (p goPackage) imports() []string {
	seen := map[string]bool{}
	for _, n := range p.files {
		for _, target := range n.imports {
			seen[target] = true
		}
	}
	if p.files == nil {
		p.read(seen)
	}
	out := slices.Collect(keys(seen))
	slices.Sort(out)
	return out
}

// read reads the package's files from the disk.
func (p goPackage) read(seen map[string]bool) {
	in, err := p.dir.OpenRoot(filepath.FromSlash(p.in))
	if err != nil {
		return
	}
	defer in.Close()
	entries, err := fs.ReadDir(in.FS(), ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !isGoFile(e.Name()) {
			continue
		}
		f, err := in.Open(e.Name())
		if err != nil {
			continue
		}
		for _, target := range fileImports(f) {
			seen[target] = true
		}
		f.Close()
	}
}

// isGoFile reports whether a file of that name is built, when it is not left out for a platform or tag.
func isGoFile(name string) bool {
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && name[0] != '.' && name[0] != '_'
}

// fileImports reads the beginning of a Go file, and more only when its imports do not end in it.
func fileImports(r io.Reader) []string {
	buf := headers.Get().(*[]byte)
	defer headers.Put(buf)
	n, err := io.ReadFull(r, *buf)
	src := (*buf)[:n]
	whole := err != nil
	if !whole && needsMore(src) {
		more, err := io.ReadAll(io.LimitReader(r, maxText))
		if err != nil {
			return nil
		}
		src = append(slices.Clone(src), more...)
	}
	if bytes.Contains(src[:min(len(src), 4096)], []byte("//go:build ignore\n")) {
		return nil
	}
	f, err := parser.ParseFile(token.NewFileSet(), "", src, parser.ImportsOnly|parser.SkipObjectResolution)
	if f == nil || err != nil && len(f.Imports) == 0 {
		return nil
	}
	var out []string
	for _, i := range f.Imports {
		if target, err := strconv.Unquote(i.Path.Value); err == nil {
			out = append(out, target)
		}
	}
	return out
}

// needsMore reports whether the imports may go on behind src: nothing that ends them was seen.
func needsMore(src []byte) bool {
	for _, end := range []string{"\nfunc ", "\ntype ", "\nvar ", "\nconst "} {
		if bytes.Contains(src, []byte(end)) {
			return false
		}
	}
	return true
}
