package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
)

// folder is what was found in a folder.
type folder struct {
	files []*node
	dirs  map[string][]*node // files by the folder that they lie in
	links int                // symbolic links
	git   bool
	notes []string
}

// Folder describes a folder, whatever lies at its root: sources, or the root of a file system, or other files. With
// Meta.SourceURI it is taken for sources.
func Folder(ctx context.Context, at string, o Options) (*sbom.Document, error) {
	o.Limits = o.Limits.withDefaults()
	base, err := baseName(at)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(at)
	if err != nil {
		return nil, unreadable(at, err)
	}
	defer dir.Close()
	own := below(at, o.Except)
	found, err := walk(ctx, dir, at, own, o.Limits)
	if err != nil {
		return nil, err
	}
	sources, err := readSources(ctx, dir, found, o)
	if err != nil {
		return nil, err
	}
	meta := o.Meta
	meta.Project = cmp.Or(meta.Project, sources.name(), base)
	if meta.Phase = cmp.Or(meta.Phase, sbom.PhasePostBuild); sources.any() {
		meta.Phase = sbom.PhasePreBuild
	}
	d, err := newDescriber(meta, o)
	if err != nil {
		return nil, err
	}
	p := &sbom.Package{Name: meta.Project, Version: meta.Version, Purpose: sbom.PurposeOther}
	if sources.any() || meta.SourceURI != "" {
		p.Purpose = sbom.PurposeSource
	}
	d.located(p)
	id := d.root(p)
	for _, text := range found.sentences() {
		d.b.Note(id, "%s", text)
	}
	if err := d.files(id, p, found.files, ""); err != nil {
		return nil, err
	}
	if err := d.installed(id, dir, found); err != nil {
		return nil, err
	}
	if err := d.sources(id, sources); err != nil {
		return nil, err
	}
	return d.b.Document(meta.Project), nil
}

// located says where the sources come from.
func (d *describer) located(p *sbom.Package) {
	source := d.b.Source()
	if source == "" || p.Purpose != sbom.PurposeSource {
		return
	}
	from := d.b.Package(source)
	p.Download, p.SourceInfo, p.PURL = from.Download, from.SourceInfo, from.PURL
	d.b.Remove(source)
}

func (f *folder) sentences() []string {
	out := f.notes
	if f.links > 0 {
		out = append(out, fmt.Sprintf("Symbolic links were not followed: %d", f.links))
	}
	if f.git {
		out = append(out, "The folder .git is not described")
	}
	return out
}

// walk looks at all files of a folder, on all cores.
func walk(ctx context.Context, dir *os.Root, at, own string, l Limits) (*folder, error) {
	found := &folder{}
	if own != "" {
		found.notes = append(found.notes, "Not described, since it is the bill of materials itself: "+cleanName(own))
	}
	var names []string
	err := fs.WalkDir(dir.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && name == ".":
			return unreadable(at, err)
		case err != nil:
			found.notes = append(found.notes, "Not described, since it cannot be read: "+cleanName(name)+": "+reason(err))
			return nil
		case name == own:
		case e.Name() == ".git":
			found.git = true
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.Type()&fs.ModeSymlink != 0:
			found.links++
		case e.Type().IsRegular():
			names = append(names, name)
		case !e.IsDir():
			found.notes = append(found.notes, "Not described, since it is neither a file nor a folder: "+cleanName(name))
		}
		if len(names) > l.Files {
			d := defect{CodeTooLarge, fmt.Sprintf("more than %d files", l.Files)}
			return d.refusal(at)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, found.look(ctx, dir, at, names, l)
}

// below gives the name of a file in a folder; "" when it is not in it.
func below(folder, file string) string {
	if file == "" {
		return ""
	}
	real := func(path string) string {
		if whole, err := filepath.EvalSymlinks(path); err == nil {
			path = whole
		}
		if whole, err := filepath.Abs(path); err == nil {
			path = whole
		}
		return path
	}
	name, err := filepath.Rel(real(folder), filepath.Join(real(filepath.Dir(file)), filepath.Base(file)))
	if err != nil || !filepath.IsLocal(name) {
		return ""
	}
	return filepath.ToSlash(name)
}

// reason gives what is wrong without the path, which is shown already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

// in gives the files that lie in a folder, "" or "." for the outermost; nil for a folder that is not there or holds none.
func (f *folder) in(dir string) []*node {
	if f.dirs == nil {
		f.dirs = map[string][]*node{}
		for _, n := range f.files {
			in := path.Dir(n.name)
			f.dirs[in] = append(f.dirs[in], n)
		}
	}
	return f.dirs[path.Clean(dir)]
}

// look looks at the files of those names: each folder is opened once.
func (f *folder) look(ctx context.Context, dir *os.Root, at string, names []string, l Limits) error {
	byFolder := map[string][]int{}
	var folders []string
	for i, name := range names {
		in := path.Dir(name)
		if byFolder[in] == nil {
			folders = append(folders, in)
		}
		byFolder[in] = append(byFolder[in], i)
	}
	w := &folderWorker{dir: dir, at: at, names: names, limits: l, nodes: make([]*node, len(names)), missing: make([]string, len(names))}
	w.left.Store(int64(l.Files))
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(folders) {
					return nil
				}
				if err := w.folder(ctx, folders[i], byFolder[folders[i]]); err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, n := range w.nodes {
		if n != nil {
			f.files = append(f.files, n)
		} else {
			f.notes = append(f.notes, w.missing[i])
		}
	}
	return nil
}

// folderWorker looks at files, folder by folder.
type folderWorker struct {
	dir     *os.Root
	at      string
	names   []string
	limits  Limits
	left    atomic.Int64
	nodes   []*node
	missing []string // why there is no node
}

func (w *folderWorker) folder(ctx context.Context, in string, files []int) error {
	dir, err := w.dir.OpenRoot(filepath.FromSlash(in))
	if err == nil {
		defer dir.Close()
	}
	for _, i := range files {
		name := cleanName(w.names[i])
		var n *node
		at := err
		if at == nil {
			n, _, at = lookAt(ctx, dir.Open, path.Base(w.names[i]), name, w.limits, &w.left, nil)
		}
		switch {
		case errors.Is(at, fs.ErrPermission) || errors.Is(at, fs.ErrNotExist):
			w.missing[i] = "Not described, since it cannot be read: " + name + ": " + reason(at)
		case at != nil:
			return fmt.Errorf("look at %s: %w", filepath.Join(w.at, filepath.FromSlash(w.names[i])), at)
		default:
			w.nodes[i] = n
		}
	}
	return nil
}

// installed takes up what a distribution installed, when the folder is the root of a file system.
func (d *describer) installed(id string, dir *os.Root, found *folder) error {
	lists := databases{}
	defer lists.Close()
	for _, n := range found.files {
		if !sbom.IsDatabase(n.name) {
			continue
		}
		f, err := dir.Open(filepath.FromSlash(n.name))
		if err != nil {
			return unreadable(n.name, err)
		}
		_, err = lists.keep(n.name, f)
		f.Close()
		if err != nil {
			return unreadable(n.name, err)
		}
	}
	s, err := lists.read()
	if gate.Code(err) != "" {
		d.b.Note(id, "The lists of installed packages were not read: %s", err.Error())
		return nil
	}
	if err != nil || s == nil {
		return err
	}
	return d.system(id, s)
}
