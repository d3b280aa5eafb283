package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	links int // symbolic links
	git   bool
	notes []string
}

// Folder describes a folder, whatever lies at its root: sources, or the root of a file system, or other files. With
// Meta.SourceURI it is taken for sources.
func Folder(ctx context.Context, path string, o Options) (*sbom.Document, error) {
	o.Limits = o.Limits.withDefaults()
	base, err := baseName(path)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer dir.Close()
	found, err := walk(ctx, dir, path, o.Limits)
	if err != nil {
		return nil, err
	}
	sources, err := readSources(ctx, dir, found, o)
	if err != nil {
		return nil, err
	}
	meta := o.Meta
	meta.Project = cmp.Or(meta.Project, sources.name(), base)
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
func walk(ctx context.Context, dir *os.Root, path string, l Limits) (*folder, error) {
	found := &folder{}
	var names []string
	err := fs.WalkDir(dir.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && name == ".":
			return unreadable(path, err)
		case err != nil:
			found.notes = append(found.notes, "Not described, since it cannot be read: "+cleanName(name)+": "+reason(err))
			return nil
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
			return d.refusal(path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, found.look(ctx, dir, path, names, l)
}

// reason gives what is wrong without the path, which is shown already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

func (f *folder) look(ctx context.Context, dir *os.Root, path string, names []string, l Limits) error {
	nodes, missing := make([]*node, len(names)), make([]string, len(names))
	var left, next atomic.Int64
	left.Store(int64(l.Files))
	g, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(names) {
					return nil
				}
				n, _, err := lookAt(ctx, dir.Open, names[i], cleanName(names[i]), l, &left, false)
				if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
					missing[i] = "Not described, since it cannot be read: " + cleanName(names[i]) + ": " + reason(err)
					continue
				}
				if err != nil {
					return fmt.Errorf("look at %s: %w", filepath.Join(path, filepath.FromSlash(names[i])), err)
				}
				nodes[i] = n
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, n := range nodes {
		if n != nil {
			f.files = append(f.files, n)
		} else {
			f.notes = append(f.notes, missing[i])
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
