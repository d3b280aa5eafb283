package scaffold

import (
	"context"
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// Limits on what is read.
const (
	maxEntries = 500_000
	maxGoMod   = 1 << 20
	maxSource  = 4 << 20
)

// module is a go.mod file.
type module struct {
	dir       string // slash-separated, "." for the root
	path      string
	goVersion string // of the go line: 1.22 or 1.22.3
	toolchain string // of the toolchain line: go1.23.4
}

// pkg is a folder with Go files in a module.
type pkg struct {
	dir    string // from the root
	rel    string // from the module
	module string // the module's dir
	files  []string
	main   bool
	cgo    bool
}

type scan struct {
	fsys     fs.FS
	modules  []module
	packages []*pkg
	warnings []string
	names    map[string]string // where a program's name was taken, by the name in lower case
}

// walk finds modules and packages in the order of their paths. A folder's own go.mod counts for it.
func (s *scan) walk(ctx context.Context) error {
	entries := 0
	sources := map[string][]string{}
	err := fs.WalkDir(s.fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entries++; entries > maxEntries {
			return errors.New("the repository has too many files")
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		switch base := d.Name(); {
		case d.IsDir() && name != "." && ignored(base):
			return fs.SkipDir
		case !d.Type().IsRegular():
		case base == "go.mod":
			s.addModule(name)
		case strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go") && base[0] != '_' && base[0] != '.':
			dir := path.Dir(name)
			sources[dir] = append(sources[dir], base)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(s.modules, func(a, b module) int { return strings.Compare(sortKey(a.dir), sortKey(b.dir)) })
	for dir, files := range sources {
		if m, ok := s.moduleOf(dir); ok {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.addPackage(m, dir, files)
		}
	}
	slices.SortFunc(s.packages, func(a, b *pkg) int { return strings.Compare(sortKey(a.dir), sortKey(b.dir)) })
	return nil
}

// sortKey puts the root first.
func sortKey(dir string) string {
	if dir == "." {
		return ""
	}
	return dir
}

// ignored are the folders that the Go command passes over, and those of other ecosystems.
func ignored(base string) bool {
	return base == "vendor" || base == "testdata" || base == "node_modules" || base[0] == '_' || base[0] == '.'
}

func (s *scan) addModule(name string) {
	data, err := s.read(name, maxGoMod)
	if err != nil {
		s.warnings = append(s.warnings, name+" cannot be read: "+err.Error())
		return
	}
	f, err := modfile.ParseLax(name, data, nil)
	if err != nil || f.Module == nil {
		s.warnings = append(s.warnings, name+" cannot be parsed and was passed over")
		return
	}
	m := module{dir: path.Dir(name), path: f.Module.Mod.Path}
	if f.Go != nil {
		m.goVersion = f.Go.Version
	}
	// ParseLax passes over the toolchain line.
	if strict, err := modfile.Parse(name, data, nil); err == nil && strict.Toolchain != nil {
		m.toolchain = strict.Toolchain.Name
	}
	s.modules = append(s.modules, m)
}

// moduleOf gives the module that a folder belongs to: the nearest go.mod above it.
func (s *scan) moduleOf(dir string) (module, bool) {
	for {
		if i := slices.IndexFunc(s.modules, func(m module) bool { return m.dir == dir }); i >= 0 {
			return s.modules[i], true
		}
		if dir == "." {
			return module{}, false
		}
		dir = path.Dir(dir)
	}
}

func (s *scan) addPackage(m module, dir string, files []string) {
	p := &pkg{dir: dir, rel: dir, module: m.dir}
	if m.dir != "." {
		p.rel = strings.TrimPrefix(strings.TrimPrefix(dir, m.dir), "/")
		if p.rel == "" {
			p.rel = "."
		}
	}
	for _, base := range files {
		name := path.Join(dir, base)
		f, err := s.parse(name, parser.ImportsOnly)
		if err != nil || !s.buildable(name) {
			continue
		}
		p.files = append(p.files, name)
		p.main = p.main || f.Name.Name == "main"
		p.cgo = p.cgo || slices.ContainsFunc(f.Imports, importsC)
	}
	if len(p.files) > 0 {
		s.packages = append(s.packages, p)
	}
}

func importsC(i *ast.ImportSpec) bool {
	name, err := strconv.Unquote(i.Path.Value)
	return err == nil && name == "C"
}

// usual are the platforms that decide whether a file is part of a program at all: a
// file with //go:build ignore is on none of them.
var usual = [][2]string{{"linux", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"freebsd", "amd64"}, {"linux", "arm64"}}

// buildable reports whether a build constraint lets a file in on any usual platform.
func (s *scan) buildable(name string) bool {
	for _, p := range usual {
		ctx := build.Context{GOOS: p[0], GOARCH: p[1], Compiler: "gc", CgoEnabled: true, ReleaseTags: build.Default.ReleaseTags,
			JoinPath: path.Join, OpenFile: func(name string) (io.ReadCloser, error) { return s.fsys.Open(name) }}
		if ok, err := ctx.MatchFile(path.Dir(name), path.Base(name)); err == nil && ok {
			return true
		}
	}
	return false
}

func (s *scan) parse(name string, mode parser.Mode) (*ast.File, error) {
	data, err := s.read(name, maxSource)
	if err != nil {
		return nil, err
	}
	return parser.ParseFile(token.NewFileSet(), name, data, mode|parser.SkipObjectResolution)
}

func (s *scan) read(name string, limit int64) ([]byte, error) {
	f, err := s.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errors.New("the file is too large")
	}
	return data, err
}

// shipped reports whether a main package is at the module's root or under cmd/, and no helper there.
func shipped(rel string) bool { return rel == "." || strings.HasPrefix(rel, "cmd/") && plausible(rel) }

// helpers are folders whose programs are for the project's developers.
var helpers = strings.Fields("example examples _examples sample samples demo demos test tests testing testutil e2e integration hack tool tools script scripts internal third_party benchmark benchmarks fuzz docs misc")

// plausible reports whether a folder can hold a program for users.
func plausible(rel string) bool {
	return !slices.ContainsFunc(strings.Split(strings.ToLower(rel), "/"), func(e string) bool { return slices.Contains(helpers, e) })
}
