package source

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// folder is one folder to be written, from one tree object.
type folder struct {
	path  string // below the root of the export; "" is the root
	depth int
	id    string // of the tree object
	blobs []entry
}

// part is what is exported from one repository: the source itself, or a submodule.
type part struct {
	repo    *Repository
	commit  string
	folders []*folder
	modules []module // its submodules
}

// module is one submodule of a part.
type module struct {
	path   string // below the root of the repository that holds it
	commit string
}

// budget counts what Limits bound, over all parts.
type budget struct {
	Limits
	entries int
	bytes   int64
}

func (b *budget) addEntries(n int, where string) error {
	if b.entries += n; b.entries > b.Files {
		return refusal{
			code: "source-too-many-files", where: quote(where), what: "tree has too many files and folders",
			expected: fmt.Sprintf("at most %d", b.Files), fix: "remove what does not belong into the source",
		}.err()
	}
	return nil
}

func (b *budget) addFile(size int64, where string) error {
	if size > b.File {
		return fileTooLarge(quote(where), b.File, nil)
	}
	if b.bytes += size; b.bytes > b.Bytes {
		return refusal{
			code: "source-too-large", where: quote(where), what: "tree has too many bytes",
			expected: fmt.Sprintf("at most %d bytes in all files", b.Bytes), fix: "remove what does not belong into the source",
		}.err()
	}
	return nil
}

func (b *budget) checkDepth(depth int, where string) error {
	if depth > b.Depth || len(where) > maxPath {
		return refusal{
			code: "source-too-deep", where: quoteShort(where), what: "folders are nested too deeply",
			expected: fmt.Sprintf("at most %d levels and %d bytes", b.Depth, maxPath), fix: "move them up in a new commit",
		}.err()
	}
	return nil
}

// planPart reads and checks all folders of a tree; at is where it goes below the root of the export.
func (r *Repository) planPart(ctx context.Context, c Commit, at string, b *budget) (*part, error) {
	o, err := r.objects(ctx, false)
	if err != nil {
		return nil, err
	}
	defer o.close()
	p := &part{repo: r, commit: c.ID}
	level := []*folder{{path: at, id: c.Tree, depth: strings.Count(at, "/") + min(len(at), 1)}}
	for len(level) > 0 {
		asked := level // the sequence is read while level moves on
		o.ask(func(yield func(string) bool) {
			for _, f := range asked {
				if !yield(f.id) {
					return
				}
			}
		})
		var below []*folder
		for _, f := range asked {
			folders, err := p.readFolder(o, f, at, b)
			if err != nil {
				return nil, err
			}
			below = append(below, folders...)
		}
		p.folders = append(p.folders, level...)
		level = below
	}
	slices.SortFunc(p.folders, func(a, b *folder) int { return strings.Compare(a.path, b.path) })
	return p, nil
}

// readFolder reads the next answer into f and gives the folders in it.
func (p *part) readFolder(o *objects, f *folder, root string, b *budget) ([]*folder, error) {
	where := f.path
	if where == "" {
		where = "."
	}
	if err := b.checkDepth(f.depth, where); err != nil {
		return nil, err
	}
	body, err := o.next(f.id, kindTree, maxTreeObject)
	if err != nil {
		return nil, o.broken(err, quote(where))
	}
	entries, err := entriesOf(p.repo.format, body, quote(where))
	if err != nil {
		return nil, err
	}
	if err := b.addEntries(len(entries), where); err != nil {
		return nil, err
	}
	if err := checkFolder(f.path, entries); err != nil {
		return nil, err
	}
	var below []*folder
	for _, e := range entries {
		at := path.Join(f.path, e.name)
		switch e.mode {
		case modeFolder:
			below = append(below, &folder{path: at, id: e.id.hex(), depth: f.depth + 1})
		case modeSubmodule:
			p.modules = append(p.modules, module{path: strings.TrimPrefix(strings.TrimPrefix(at, root), "/"), commit: e.id.hex()})
		default:
			f.blobs = append(f.blobs, e)
		}
	}
	return below, nil
}

// ids gives the blobs of all folders, in the order in which they are written.
func (p *part) ids(yield func(string) bool) {
	for _, f := range p.folders {
		for _, e := range f.blobs {
			if !yield(e.id.hex()) {
				return
			}
		}
	}
}
