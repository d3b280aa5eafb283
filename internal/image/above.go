package image

import (
	"fmt"
	"io/fs"
	"path"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/pack"
)

// CodeHidesBase refuses entries that would change what the base has around them.
const CodeHidesBase = "layer-hides-base"

// CheckAbove refuses entries whose layer, as Layer makes it, would break the image below it: a layer names
// the folders of its entries, and a folder's entry replaces a symlink (lib/x turns the lib -> usr/lib of many
// distributions into a folder with nothing but x), replaces a file, and gives a folder of another mode, such as tmp, the mode 0755.
func (t *Tree) CheckAbove(entries []pack.Entry) error {
	seen := map[*node]bool{}
	for _, e := range entries {
		parts, err := splitName(e.Name)
		if err != nil {
			return err
		}
		at := t.root
		for i, part := range parts {
			if at = at.children[part]; at == nil {
				break
			}
			if at.isFolder() && i < len(parts)-1 && seen[at] {
				continue
			}
			seen[at] = true
			if why := at.hidden(i == len(parts)-1); why != "" {
				return &gate.Refusal{Code: CodeHidesBase, Class: gate.Usage, What: "a file of the image would change the base image around it", Where: e.Name,
					Actual: fmt.Sprintf("%s is %s in the base", short(at.path()), why), Fix: "put the file elsewhere, for example below usr/local or opt" + at.leads()}
			}
		}
	}
	return nil
}

// hidden says what an entry at n, or one for the folder n, would do away with.
func (n *node) hidden(last bool) string {
	switch {
	case last && n.isFolder():
		return "a folder"
	case last:
		return "" // a file or symlink that is replaced on purpose
	case n.isSymlink():
		return fmt.Sprintf("a symlink to %q", short(n.file.link))
	case !n.isFolder():
		return "a file"
	case n.mode&(fs.ModePerm|fs.ModeSticky) != 0o755:
		return fmt.Sprintf("a folder with mode %v", n.mode)
	}
	return ""
}

// leads adds where a relative symlink points to.
func (n *node) leads() string {
	if !n.isSymlink() || path.IsAbs(n.file.link) {
		return ""
	}
	return fmt.Sprintf(", or below %s", short(path.Join(path.Dir(n.path()), n.file.link)))
}
