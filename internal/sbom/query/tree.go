package query

import (
	"cmp"
	"slices"
	"strings"
)

// TreeOptions say what of a document is shown as a tree.
type TreeOptions struct {
	Depth  int    // levels below a root, at most MaxTreeDepth; 0 for as many
	Files  bool   // files that nothing is in, too
	Filter string // only what is called so, as Filter.Name, and what leads there
	Limit  int    // lines at most; 0 for a million
}

// MaxTreeDepth bounds the levels of a tree: what is drawn grows with the square of them.
const MaxTreeDepth = 200

// Branch is an element in a tree.
type Branch struct {
	Node    int32
	Kind    string // of the relation that leads here; "" for a root
	Comment string
	Again   bool // what is below it stands elsewhere in the tree already
	More    int  // elements below it that are not shown for Depth
	Below   []*Branch
}

// Tree gives what the document describes with everything that it leads to, and behind that the packages that nothing leads to, each as a
// root of its own. An element with something below it is unfolded once, where it
// stands highest, so that cycles end and the tree is not larger than the document; full is false when Limit cut it.
func (g *Graph) Tree(o TreeOptions) (roots []*Branch, full bool) {
	if o.Limit == 0 {
		o.Limit = 1_000_000
	}
	if o.Depth <= 0 || o.Depth > MaxTreeDepth {
		o.Depth = MaxTreeDepth
	}
	owner, outside := g.unfoldAt()
	t := &treeMaker{g: g, o: o, owner: owner, left: o.Limit}
	if o.Filter != "" {
		t.wanted = g.leading(o.Filter)
	}
	for i, r := range append(slices.Clone(g.roots), outside...) {
		if i >= len(g.roots) && !t.shown(Edge{To: r}, -1) {
			continue
		}
		if b := t.branch(Edge{To: r}, -1, 0); b != nil {
			roots = append(roots, b)
		}
	}
	return roots, t.left > 0
}

type treeMaker struct {
	g      *Graph
	o      TreeOptions
	owner  []int32 // the node below which a node is unfolded, -1 for roots
	wanted []bool
	left   int
}

// unfoldAt gives for each node the one below which it is reached first, level by level: so it stands where it is nearest to a root.
// Of what the roots do not lead to, outside has those that others are reached from, by name.
func (g *Graph) unfoldAt() (owner, outside []int32) {
	const nobody = -2
	owner = make([]int32, len(g.nodes))
	for i := range owner {
		owner[i] = nobody
	}
	todo := make([]int32, 0, len(g.nodes))
	reach := func(roots ...int32) {
		todo = todo[:0]
		for _, r := range roots {
			owner[r] = -1
			todo = append(todo, r)
		}
		for at := 0; at < len(todo); at++ {
			for _, e := range g.out[todo[at]] {
				if owner[e.To] == nobody {
					owner[e.To] = todo[at]
					todo = append(todo, e.To)
				}
			}
		}
	}
	reach(g.roots...)
	led := make([]bool, len(g.nodes))
	for from, edges := range g.out {
		if owner[from] == nobody {
			for _, e := range edges {
				led[e.To] = true
			}
		}
	}
	rest := g.Unreached()
	slices.SortFunc(rest, func(a, b int32) int {
		return cmp.Or(strings.Compare(g.nodes[a].Name(), g.nodes[b].Name()), strings.Compare(g.nodes[a].ID, g.nodes[b].ID))
	})
	for _, circles := range []bool{false, true} { // first what nothing leads to, then what goes round
		for _, i := range rest {
			if owner[i] == nobody && (circles || !led[i]) {
				outside = append(outside, i)
				reach(i)
			}
		}
	}
	return owner, outside
}

// leading marks what is called so and everything that leads there.
func (g *Graph) leading(name string) []bool {
	found, _ := g.Match(Filter{Name: name, Files: true})
	wanted := make([]bool, len(g.nodes))
	in := make([][]int32, len(g.nodes))
	for from, edges := range g.out {
		for _, e := range edges {
			in[e.To] = append(in[e.To], int32(from))
		}
	}
	for _, i := range found {
		wanted[i] = true
	}
	for len(found) > 0 {
		i := found[len(found)-1]
		found = found[:len(found)-1]
		for _, from := range in[i] {
			if !wanted[from] {
				wanted[from] = true
				found = append(found, from)
			}
		}
	}
	return wanted
}

func (t *treeMaker) shown(e Edge, from int32) bool {
	n := t.g.nodes[e.To]
	switch {
	case t.wanted != nil && !t.wanted[e.To]:
		return false
	case e.Kind == "VARIANT_OF" && from >= 0 && t.owner[from] == e.To: // it stands above already
		return false
	case n.Package == nil && !t.o.Files && t.wanted == nil && len(t.g.out[e.To]) == 0:
		return false
	}
	return true
}

func (t *treeMaker) branch(e Edge, from int32, depth int) *Branch {
	if t.left--; t.left < 0 {
		return nil
	}
	b := &Branch{Node: e.To, Kind: e.Kind, Comment: e.Comment}
	below := t.g.out[e.To]
	if len(below) == 0 {
		return b
	}
	if t.owner[e.To] != from {
		b.Again = true
		return b
	}
	for i, c := range below {
		if !t.shown(c, e.To) || i > 0 && c.To == below[i-1].To { // two relations to one element are one line
			continue
		}
		if depth >= t.o.Depth {
			b.More++
			continue
		}
		if branch := t.branch(c, e.To, depth+1); branch != nil {
			b.Below = append(b.Below, branch)
		}
	}
	return b
}
