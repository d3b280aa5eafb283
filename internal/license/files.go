package license

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// entry is a file that can be opened.
type entry struct {
	name string
	open func() (io.ReadCloser, error)
}

// Zip concludes for a module zip, whose files all lie below prefix ("module@version/"; files elsewhere do not count).
func (d *Detector) Zip(ctx context.Context, r io.ReaderAt, size int64, prefix string) (Conclusion, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return Conclusion{}, fmt.Errorf("read module zip: %w", err)
	}
	if len(z.File) > MaxEntries {
		return Conclusion{}, fmt.Errorf("read module zip: more than %d files", MaxEntries)
	}
	var all []entry
	for _, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if ok && f.Mode().IsRegular() && fs.ValidPath(name) {
			all = append(all, entry{name, f.Open})
		}
	}
	return d.entries(ctx, all)
}

// Folder concludes for a folder and everything below it, as one module. Symlinks are not followed.
func (d *Detector) Folder(ctx context.Context, fsys fs.FS) (Conclusion, error) {
	var all []entry
	err := walk(ctx, fsys, func(name string) {
		all = append(all, entry{name, func() (io.ReadCloser, error) { return fsys.Open(name) }})
	})
	if err != nil {
		return Conclusion{}, err
	}
	return d.entries(ctx, all)
}

// Part is a folder of a tree that has licence files of its own, with what they say.
type Part struct {
	Path string `json:"path"` // "." is the tree's root
	Conclusion
}

// TreeOptions say what is read of a tree.
type TreeOptions struct {
	// Tags asks for the SPDX-License-Identifier at the head of every source file.
	Tags bool
}

// Tree concludes for every folder of a tree that has licence files (or, with Tags, tagged files) of its own, by path. What a
// folder without any stands under is the conclusion of the nearest folder above it.
func (d *Detector) Tree(ctx context.Context, fsys fs.FS, o TreeOptions) ([]Part, error) {
	folders := map[string][]entry{}
	err := walk(ctx, fsys, func(name string) {
		kind, dir := kindOf(name), path.Dir(name)
		if kind == "" && (!o.Tags || !mayHaveTag(name)) {
			return
		}
		if path.Base(dir) == "LICENSES" {
			dir = path.Dir(dir)
		}
		folders[dir] = append(folders[dir], entry{strings.TrimPrefix(name, dir+"/"), func() (io.ReadCloser, error) { return fsys.Open(name) }})
	})
	if err != nil {
		return nil, err
	}
	parts := make([]Part, 0, len(folders))
	for dir := range folders {
		parts = append(parts, Part{Path: dir})
	}
	slices.SortFunc(parts, func(a, b Part) int { return strings.Compare(a.Path, b.Path) })
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range parts {
		g.Go(func() (err error) {
			parts[i].Conclusion, err = d.folder(ctx, folders[parts[i].Path], o.Tags)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(parts, func(p Part) bool { return len(p.Files) == 0 && len(p.Found) == 0 }), nil
}

// walk calls found for every regular file.
func walk(ctx context.Context, fsys fs.FS, found func(name string)) error {
	n := 0
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir() && e.Name() == ".git":
			return fs.SkipDir
		case !e.Type().IsRegular():
			return nil
		}
		if n++; n > MaxEntries {
			return fmt.Errorf("more than %d files", MaxEntries)
		}
		found(name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	return nil
}

// folder concludes for one folder of a tree: all its files are at its root.
func (d *Detector) folder(ctx context.Context, files []entry, tags bool) (Conclusion, error) {
	var texts []entry
	for _, e := range files {
		if kindOf(e.name) != "" {
			texts = append(texts, e)
		}
	}
	root, parts, notes, err := d.texts(ctx, texts)
	if err != nil {
		return Conclusion{}, err
	}
	if tags {
		tagged, more, err := d.tags(ctx, files)
		if err != nil {
			return Conclusion{}, err
		}
		parts, notes = append(parts, tagged...), append(notes, more...)
	}
	c := conclude(root, parts)
	c.Notes = append(c.Notes, notes...)
	return c, nil
}

// entries concludes for one module. Without a licence file the tags of its source files are what there is.
func (d *Detector) entries(ctx context.Context, all []entry) (Conclusion, error) {
	var texts []entry
	for _, e := range all {
		if kindOf(e.name) != "" {
			texts = append(texts, e)
		}
	}
	root, parts, notes, err := d.texts(ctx, texts)
	if err != nil {
		return Conclusion{}, err
	}
	if !slices.ContainsFunc(root, func(p piece) bool { return p.kind == Text && p.words > 0 }) {
		tagged, more, err := d.tags(ctx, all)
		if err != nil {
			return Conclusion{}, err
		}
		root, notes = append(root, tagged...), append(notes, more...)
	}
	c := conclude(root, parts)
	c.Notes = append(c.Notes, notes...)
	return c, nil
}

// texts reads licence files: those that speak of the whole, and those of parts.
func (d *Detector) texts(ctx context.Context, files []entry) (root, parts []piece, notes []string, err error) {
	slices.SortFunc(files, func(a, b entry) int {
		return cmpDepth(a.name, b.name)
	})
	if len(files) > MaxTexts {
		notes = append(notes, fmt.Sprintf("%d licence files were not read: more than %d", len(files)-MaxTexts, MaxTexts))
		files = files[:MaxTexts]
	}
	for _, e := range files {
		if err := ctx.Err(); err != nil {
			return nil, nil, nil, err
		}
		text, err := head(e, MaxFile)
		if err != nil {
			return nil, nil, nil, err
		}
		p := piece{path: e.name, kind: kindOf(e.name), text: text}
		if p.kind == Notice || p.kind == Patents {
			p.reading = d.notice(text)
		} else {
			p.reading = d.read(text)
		}
		if isRoot(e.name) {
			root = append(root, p)
		} else {
			parts = append(parts, p)
		}
	}
	return root, parts, notes, nil
}

// notice reads a text that is no licence: only its copyright lines count.
func (d *Detector) notice(text []byte) *reading {
	return &reading{sum: sumOf(text), copyrights: copyrights(text), words: len(bytes.Fields(text)), confidence: 1}
}

// tags reads the heads of source files and gives one piece for each expression, the first by path.
func (d *Detector) tags(ctx context.Context, files []entry) (out []piece, notes []string, err error) {
	files = slices.DeleteFunc(slices.Clone(files), func(e entry) bool { return !mayHaveTag(e.name) })
	slices.SortFunc(files, func(a, b entry) int { return cmpDepth(a.name, b.name) })
	if len(files) > maxTags {
		notes = append(notes, fmt.Sprintf("%d source files were not searched for licence tags: more than %d", len(files)-maxTags, maxTags))
		files = files[:maxTags]
	}
	seen := map[string]bool{}
	for _, e := range files {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		text, err := head(e, maxHead)
		if err != nil {
			return nil, nil, err
		}
		tag := tagOf(text)
		if tag == "" || seen[tag] {
			continue
		}
		seen[tag] = true
		out = append(out, piece{path: e.name, kind: Tag, text: text, reading: &reading{expression: tag, confidence: 1, words: 1, sum: sumOf(text), copyrights: copyrights(text)}})
	}
	return out, notes, nil
}

// head reads at most limit bytes of a file.
func head(e entry, limit int64) ([]byte, error) {
	f, err := e.open()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", e.name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", e.name, err)
	}
	return data, nil
}

// cmpDepth orders by depth, then by name.
func cmpDepth(a, b string) int {
	if x, y := strings.Count(a, "/"), strings.Count(b, "/"); x != y {
		return x - y
	}
	return strings.Compare(a, b)
}
