package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// File is a file or symlink that is visible in an image.
type File struct {
	Path     string   // without a leading slash
	Links    []string // further names of the same file
	Mode     fs.FileMode
	Size     int64 // bytes
	Modified time.Time
	Link     string             // target, of a symlink
	Layer    ocispec.Descriptor // where its content is, and that layer's diffID
	DiffID   digest.Digest
	Content  io.Reader // of a file; valid until visit returns
}

// Files walks the merged file system of the manifest: Scan, and Tree.Files.
func Files(ctx context.Context, from Fetcher, manifest ocispec.Descriptor, l Limits, visit func(File) error) error {
	t, err := Scan(ctx, from, manifest, l)
	if err != nil {
		return err
	}
	return t.Files(ctx, visit)
}

// Files calls visit for each symlink, by path, and then for each regular file, in the order of the layers and of their
// entries. Layers with visible files are unpacked once more; nothing is written, and no content is kept in memory. What visit leaves unread is skipped. An
// error of visit ends the walk and is returned as it is.
//
// Each layer is held to its digest again at its end: what visit has seen counts only when Files returns nil.
func (t *Tree) Files(ctx context.Context, visit func(File) error) error {
	err := t.root.walk(func(n *node) error {
		if n.isSymlink() && n.file.names[0] == n {
			return visit(t.file(n.file, nil))
		}
		return nil
	}, nil)
	if err != nil {
		return err
	}
	return t.stream(ctx, func(f *inode, r io.Reader) error { return visit(t.file(f, r)) })
}

func (t *Tree) file(f *inode, r io.Reader) File {
	out := File{Path: f.names[0].path(), Mode: f.mode, Size: f.size, Modified: f.modified.UTC(), Link: f.link, Content: r,
		Layer: t.content.fetchedAs[f.layer], DiffID: t.content.config.diffIDs[f.layer]}
	for _, n := range f.names[1:] {
		out.Links = append(out.Links, n.path())
	}
	return out
}

// stream reads the content of every visible regular file, layer by layer.
func (t *Tree) stream(ctx context.Context, each func(*inode, io.Reader) error) error {
	left := t.limits.Total
	for i, entries := range t.entries {
		if !hasContent(entries) {
			continue
		}
		if err := t.streamLayer(ctx, i, &left, each); err != nil {
			return fmt.Errorf("read layer %d: %w", i+1, err)
		}
	}
	return nil
}

// visible reports whether an entry is a regular file that no later one hides.
func (f *inode) visible() bool { return f != nil && f.mode.IsRegular() && len(f.names) > 0 }

func hasContent(entries []*inode) bool {
	for _, f := range entries {
		if f.visible() {
			return true
		}
	}
	return false
}

func (t *Tree) streamLayer(ctx context.Context, layer int, left *int64, each func(*inode, io.Reader) error) error {
	r, err := openLayer(ctx, t.from, t.content.layers[layer], t.content.config.diffIDs[layer], left)
	if err != nil {
		return err
	}
	defer r.Close()
	tr := tar.NewReader(r)
	for _, f := range t.entries[layer] {
		h, err := tr.Next()
		if err != nil {
			return r.damaged("", err)
		}
		if !f.visible() {
			continue
		}
		if h.Size != f.size {
			return r.damaged(h.Name, errors.New("another size than the first time"))
		}
		c := &memberReader{layer: r, r: tr, name: h.Name}
		if err := each(f, c); err != nil {
			return err
		}
		if c.err != nil && !errors.Is(c.err, io.EOF) {
			return c.err
		}
	}
	if _, err := tr.Next(); !errors.Is(err, io.EOF) {
		return r.damaged("", errors.Join(errors.New("more entries than the first time"), err))
	}
	return r.finish()
}

// memberReader tells damage of the layer from other errors.
type memberReader struct {
	layer *layerReader
	r     io.Reader
	name  string
	err   error // sticky
}

func (m *memberReader) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = m.layer.damaged(m.name, err)
	}
	m.err = err
	return n, err
}
