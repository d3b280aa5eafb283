package pack

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/sello-release/sello/internal/gate"
)

// node is a file, symlink or folder at its full name in the archive.
type node struct {
	name   string // folders end in a slash
	folder bool
	entry  Entry
}

// mode gives the permission bits.
func (n node) mode() int64 {
	switch {
	case n.entry.Link != "":
		return 0o777
	case n.folder, n.entry.Executable:
		return 0o755
	}
	return 0o644
}

// plan checks the entries and gives the archive's nodes, sorted, with parents before their content.
func plan(entries []Entry, prefix string) ([]node, error) {
	if prefix != "" {
		if err := CheckName(prefix); err != nil {
			return nil, fmt.Errorf("check the archive's top folder: %w", err)
		}
	}
	seen := make(names, len(entries)+len(entries)/4)
	nodes := make([]node, 0, len(entries)+len(entries)/4)
	for _, e := range entries {
		if err := checkEntry(e, prefix); err != nil {
			return nil, err
		}
		name := path.Join(prefix, e.Name)
		parents, err := seen.add(name, false)
		if err != nil {
			return nil, err
		}
		for _, p := range parents {
			nodes = append(nodes, node{name: p + "/", folder: true})
		}
		nodes = append(nodes, node{name: name, entry: e})
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(a.name, b.name) })
	return nodes, nil
}

func checkEntry(e Entry, prefix string) error {
	if err := CheckName(e.Name); err != nil {
		return err
	}
	switch {
	case e.Link != "":
		return checkLink(path.Join(prefix, e.Name), e.Link, prefix)
	case e.Size < 0:
		return &gate.Refusal{Code: CodeSize, What: "an entry has a negative size", Where: fmt.Sprintf("%q", e.Name), Actual: fmt.Sprint(e.Size)}
	case e.Open == nil:
		return fmt.Errorf("pack %q: nothing to open", e.Name)
	}
	return nil
}
