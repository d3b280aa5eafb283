package engine

import (
	"fmt"
	"os"
	"path"
)

// maxRemoveDepth bounds how deep RemoveAll looks for folders that it may not write to.
const maxRemoveDepth = 4096

// RemoveAll removes a tree that a step has written to: its folders may lack the permission to remove what is in
// them. It follows no symlinks. It must be called when the step is gone.
func RemoveAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	if root, err := os.OpenRoot(dir); err == nil {
		openFolders(root, ".", 0)
		root.Close()
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove scratch: %w", err)
	}
	return nil
}

// openFolders makes every folder below p writable for us, as far as that goes.
func openFolders(root *os.Root, p string, depth int) {
	_ = root.Chmod(p, 0o700)
	d, err := root.Open(p)
	if err != nil || depth > maxRemoveDepth {
		return
	}
	entries, _ := d.ReadDir(-1)
	d.Close()
	for _, e := range entries {
		if e.IsDir() {
			openFolders(root, path.Join(p, e.Name()), depth+1)
		}
	}
}
