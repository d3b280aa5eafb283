package image

import (
	"fmt"
	"strings"
)

// tree is the merged file system while layers are laid upon each other, lowest first. Names lead
// through symlinks as they would if the layers were unpacked into a root, but never above it.
type tree struct {
	root   *node
	layer  int32 // the one that is being added
	nodes  int
	work   int
	limits Limits
}

func newTree(l Limits) *tree { return &tree{root: newFolder(0), limits: l} }

// step counts what hostile names could make endless.
func (t *tree) step() error {
	if t.work++; t.work > maxWork {
		return layerTooLarge("", "names that are found in fewer steps")
	}
	return nil
}

// folder goes to the folder that parts name, through symlinks. Without make it gives nil for one that is not there; with
// make, what is in the way is replaced.
func (t *tree) folder(name string, parts []string, make bool) (*node, error) {
	at, hops := t.root, 0
	for todo := parts; len(todo) > 0; {
		if err := t.step(); err != nil {
			return nil, err
		}
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..": // of a symlink's target
			if at.parent != nil {
				at = at.parent
			}
			continue
		}
		next := at.children[part]
		if next != nil && next.isSymlink() {
			if hops++; hops > maxHops {
				return nil, badLayerLink(name, next.file.link, "symlinks go round")
			}
			if strings.HasPrefix(next.file.link, "/") {
				at = t.root
			}
			target := strings.Split(next.file.link, "/")
			t.work += len(target) + len(todo)
			todo = append(target, todo...)
			continue
		}
		if next == nil || !next.isFolder() {
			if !make {
				return nil, nil
			}
			if err := t.place(at, part, newFolder(t.layer)); err != nil {
				return nil, err
			}
			next = at.children[part]
		}
		if make {
			next.layer = t.layer
		}
		at = next
	}
	return at, nil
}

// place puts n into the folder, in the place of whatever has its name there.
func (t *tree) place(in *node, name string, n *node) error {
	if t.nodes++; t.nodes > t.limits.Entries {
		return layerTooLarge(name, fmt.Sprintf("at most %d entries", t.limits.Entries))
	}
	if n.length = in.length + 1 + len(name); n.length > maxName {
		return badLayerName(in.path()+"/"+name, fmt.Sprintf("leads to a path of more than %d bytes", maxName))
	}
	n.name, n.parent, n.layer = strings.Clone(name), in, t.layer
	in.children[n.name] = n
	return nil
}

// addFolder adds an entry for a folder.
func (t *tree) addFolder(name string, parts []string, n *node) error {
	if len(parts) == 0 {
		t.root.mode, t.root.modified = n.mode, n.modified
		return nil
	}
	in, base, err := t.parent(name, parts)
	if err != nil {
		return err
	}
	if old := in.children[base]; old != nil && old.isFolder() {
		old.mode, old.modified, old.layer = n.mode, n.modified, t.layer
		return nil
	}
	return t.place(in, base, n)
}

// addFile adds an entry for a file, a symlink, or a further name of one.
func (t *tree) addFile(name string, parts []string, file *inode) error {
	if len(parts) == 0 {
		return badLayerName(name, "is the root, and no folder")
	}
	in, base, err := t.parent(name, parts)
	if err != nil {
		return err
	}
	return t.place(in, base, &node{file: file})
}

func (t *tree) parent(name string, parts []string) (in *node, base string, err error) {
	last := len(parts) - 1
	in, err = t.folder(name, parts[:last], true)
	return in, parts[last], err
}

// lookup gives what parts name, without following a symlink in the last part; nil when there is nothing.
func (t *tree) lookup(name string, parts []string) (*node, error) {
	if len(parts) == 0 {
		return t.root, nil
	}
	in, err := t.folder(name, parts[:len(parts)-1], false)
	if in == nil || err != nil {
		return nil, err
	}
	return in.children[parts[len(parts)-1]], nil
}

// remove takes away what lower layers have at parts; what is in the layer of the whiteout itself stays.
func (t *tree) remove(name string, parts []string) error {
	n, err := t.lookup(name, parts)
	if n == nil || err != nil {
		return err
	}
	keep, err := t.prune(n)
	if err == nil && !keep {
		delete(n.parent.children, n.name)
	}
	return err
}

// empty does the same with all that is in a folder.
func (t *tree) empty(name string, parts []string) error {
	n, err := t.folder(name, parts, false)
	if n == nil || err != nil {
		return err
	}
	_, err = t.prune(n)
	return err
}

func (t *tree) prune(n *node) (keep bool, err error) {
	if err := t.step(); err != nil {
		return false, err
	}
	for name, c := range n.children {
		keep, err := t.prune(c)
		if err != nil {
			return false, err
		}
		if !keep {
			delete(n.children, name)
		}
	}
	return n.layer == t.layer || len(n.children) > 0, nil
}

// finish tells every visible file its names, the first in the order of walk first.
func (t *tree) finish() {
	_ = t.root.walk(func(n *node) error {
		if n.file != nil {
			n.file.names = append(n.file.names, n)
		}
		return nil
	}, nil)
}
