package image

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// node is a name in the merged file system: a folder, or a name of a file or symlink.
type node struct {
	name     string
	parent   *node
	length   int              // of the path, in bytes
	layer    int32            // the uppermost that has it, or something in it
	children map[string]*node // of a folder
	mode     fs.FileMode      // of a folder: permissions, and sticky
	modified time.Time        // of a folder
	file     *inode           // nil for a folder
}

// inode is a file or symlink under any number of names.
type inode struct {
	layer, index int32 // where its content is
	mode         fs.FileMode
	size         int64
	modified     time.Time
	link         string  // target of a symlink
	names        []*node // those that are visible; filled in when all layers are known
	sum          [32]byte
}

func newFolder(layer int32) *node {
	return &node{layer: layer, mode: fs.ModeDir | 0o755, modified: time.Unix(0, 0), children: map[string]*node{}}
}

func (n *node) isFolder() bool { return n.file == nil }

func (n *node) isSymlink() bool { return n.file != nil && n.file.mode&fs.ModeSymlink != 0 }

// path from the root, without a leading slash; "." for the root.
func (n *node) path() string {
	var parts []string
	for ; n.parent != nil; n = n.parent {
		parts = append(parts, n.name)
	}
	if len(parts) == 0 {
		return "."
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

// sorted gives a folder's children by name.
func (n *node) sorted() []*node {
	out := make([]*node, 0, len(n.children))
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		out = append(out, n.children[name])
	}
	return out
}

// walk visits n and all below it, folders before what they hold, by name, and calls after when it leaves a folder.
func (n *node) walk(visit, after func(*node) error) error {
	if err := visit(n); err != nil {
		return err
	}
	if !n.isFolder() {
		return nil
	}
	for _, c := range n.sorted() {
		if err := c.walk(visit, after); err != nil {
			return err
		}
	}
	if after == nil {
		return nil
	}
	return after(n)
}
