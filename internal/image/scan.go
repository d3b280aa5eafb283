package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Tree is the merged file system of an image for one platform: names, modes and sizes. The content stays in the layers.
type Tree struct {
	from    Fetcher
	content *content
	limits  Limits
	root    *node
	entries [][]*inode // by layer and number of the tar entry; nil for what is no file
}

// Scan reads all layers of the manifest once, holds each to its digest and its diffID, and merges their names.
// See OCI image-spec, layer.md, Applying Changesets: a later layer's entry replaces that of an earlier one, whiteouts remove,
// opaque ones empty a folder. An entry below a symlink goes to where the symlink leads inside the image.
//
// Memory is some 300 bytes for each entry.
func Scan(ctx context.Context, from Fetcher, manifest ocispec.Descriptor, l Limits) (*Tree, error) {
	c, err := readManifest(ctx, from, manifest)
	if err != nil {
		return nil, fmt.Errorf("read image: %w", err)
	}
	t := &Tree{from: from, content: c, limits: l.withDefaults()}
	s := &scanner{Tree: t, tree: newTree(t.limits), left: t.limits.Total}
	for i := range c.layers {
		if err := s.scan(ctx, i); err != nil {
			return nil, fmt.Errorf("read layer %d: %w", i+1, err)
		}
	}
	s.tree.finish()
	t.root = s.tree.root
	return t, nil
}

// scanner reads headers. What it counts, it counts over all layers.
type scanner struct {
	*Tree
	tree  *tree
	count int
	names int
	size  int64 // of files, holes included
	left  int64 // of what is unpacked
}

func (s *scanner) scan(ctx context.Context, layer int) error {
	r, err := openLayer(ctx, s.from, s.content.layers[layer], s.content.config.diffIDs[layer], &s.left)
	if err != nil {
		return err
	}
	defer r.Close()
	s.tree.layer = int32(layer) // #nosec G115 -- at most maxLayers
	s.entries = append(s.entries, nil)
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return r.finish()
		}
		if err != nil {
			return r.damaged("", err)
		}
		if err := s.limit(h); err != nil {
			return err
		}
		file, err := s.entry(h)
		if err != nil {
			return r.damaged(h.Name, err)
		}
		s.entries[layer] = append(s.entries[layer], file)
	}
}

func (s *scanner) limit(h *tar.Header) error {
	s.count++
	s.names += len(h.Name) + len(h.Linkname)
	switch {
	case s.count > s.limits.Entries:
		return layerTooLarge(h.Name, fmt.Sprintf("at most %d entries", s.limits.Entries))
	case s.names > maxNames:
		return layerTooLarge(h.Name, fmt.Sprintf("at most %d bytes of names", maxNames))
	case h.Size > s.limits.File:
		return layerTooLarge(h.Name, fmt.Sprintf("at most %d bytes in a file", s.limits.File))
	case h.Size > s.limits.Total-s.size:
		return layerTooLarge(h.Name, fmt.Sprintf("at most %d bytes of files", s.limits.Total))
	}
	s.size += h.Size
	return nil
}

// entry takes up one entry, and gives the file whose content it has.
func (s *scanner) entry(h *tar.Header) (*inode, error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil, nil
	}
	parts, err := splitName(h.Name)
	if err != nil {
		return nil, err
	}
	if n := len(parts); n > 0 && strings.HasPrefix(parts[n-1], whiteout) {
		return nil, s.whiteout(h.Name, parts)
	}
	mode := fs.FileMode(h.Mode) & fs.ModePerm // #nosec G115 -- masked
	switch h.Typeflag {
	case tar.TypeDir:
		n := newFolder(s.tree.layer)
		n.mode, n.modified = fs.ModeDir|mode|fs.FileMode(h.Mode&0o1000)<<11, clamp(h.ModTime) // #nosec G115 -- masked; sticky is 1<<20
		return nil, s.tree.addFolder(h.Name, parts, n)
	case tar.TypeReg, tar.TypeGNUSparse:
		f := s.file(h, mode)
		f.size = h.Size
		return f, s.tree.addFile(h.Name, parts, f)
	case tar.TypeSymlink:
		if h.Linkname == "" || len(h.Linkname) > maxName || strings.ContainsRune(h.Linkname, 0) {
			return nil, badLayerLink(h.Name, h.Linkname, "its target is no path")
		}
		f := s.file(h, fs.ModeSymlink|fs.ModePerm)
		f.link = strings.Clone(h.Linkname)
		return f, s.tree.addFile(h.Name, parts, f)
	case tar.TypeLink:
		return nil, s.hardLink(h, parts)
	case tar.TypeChar:
		if len(parts) > 1 && parts[0] == "dev" && h.Size == 0 { // every runtime makes its own
			return nil, s.tree.remove(h.Name, parts)
		}
	}
	return nil, badLayerFile(h.Name, fmt.Sprintf("tar entry of type %q", h.Typeflag))
}

func (s *scanner) file(h *tar.Header, mode fs.FileMode) *inode {
	return &inode{layer: s.tree.layer, index: int32(len(s.entries[s.tree.layer])), mode: mode, modified: clamp(h.ModTime)} // #nosec G115 -- at most Limits.Entries
}

func (s *scanner) whiteout(name string, parts []string) error {
	last := len(parts) - 1
	base := parts[last]
	switch {
	case base == whiteoutAll:
		return s.tree.empty(name, parts[:last])
	case strings.HasPrefix(base, whiteoutMeta):
		return nil
	}
	parts[last] = strings.TrimPrefix(base, whiteout)
	return s.tree.remove(name, parts)
}

func (s *scanner) hardLink(h *tar.Header, parts []string) error {
	target, err := splitName(h.Linkname)
	if err != nil {
		return err
	}
	n, err := s.tree.lookup(h.Name, target)
	if err != nil {
		return err
	}
	if n == nil || n.isFolder() {
		return badLayerLink(h.Name, h.Linkname, "a hard link to what is not there, or is a folder")
	}
	file := n.file
	if at, err := s.tree.lookup(h.Name, parts); err != nil || at == n {
		return err
	}
	return s.tree.addFile(h.Name, parts, file)
}

// clamp brings a time into what every file system holds, in whole seconds.
func clamp(t time.Time) time.Time {
	return time.Unix(min(max(t.Unix(), 0), 1<<31-1), 0)
}

// Lookup gives the mode of what is at name in the image, and the target of a symlink there, which is not followed.
// Symlinks before the last part are. It gives fs.ErrNotExist for nothing.
func (t *Tree) Lookup(name string) (mode fs.FileMode, link string, err error) {
	parts, err := splitName(strings.TrimPrefix(name, "/"))
	if err != nil {
		return 0, "", err
	}
	n, err := (&tree{root: t.root}).lookup(name, parts)
	switch {
	case err != nil:
		return 0, "", err
	case n == nil:
		return 0, "", fmt.Errorf("look up %q in image: %w", name, fs.ErrNotExist)
	case n.isFolder():
		return n.mode, "", nil
	}
	return n.file.mode, n.file.link, nil
}
