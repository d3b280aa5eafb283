// Package query answers questions about a bill of materials: what is in it, why something is there, and how two of them
// differ.
//
// A Graph has the document's elements as nodes and its relations as edges that lead away from what the document describes, whichever
// way a format wrote them: what contains leads to what is contained, what depends to what it depends on, a program to the tools that
// built it, an image to its base. Documents may have cycles, relations that lead nowhere, and elements that nothing leads to; answers
// are found in bounded time all the same, and in a fixed order.
package query

import (
	"cmp"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/sbom"
)

// Graph is a document to ask.
type Graph struct {
	Doc   *sbom.Document
	nodes []Node
	index map[string]int32
	out   [][]Edge
	roots []int32
}

// Node is a package or a file of the document.
type Node struct {
	ID      string
	Package *sbom.Package   // nil for a file
	File    *sbom.FileEntry // nil for a package
	version string          // versionOf(Package)
}

// Edge leads to a node.
type Edge struct {
	To      int32
	Kind    string // as in the document
	Comment string
}

// Name gives what the element is called.
func (n Node) Name() string {
	if n.Package != nil {
		return n.Package.Name
	}
	return n.File.Name
}

// Version gives a package's version.
func (n Node) Version() string { return n.version }

// versionOf gives the version that a package has, or that its package URL names.
func versionOf(p *sbom.Package) string {
	if p.Version != "" || p.PURL == "" {
		return p.Version
	}
	if purl, err := packageurl.FromString(p.PURL); err == nil {
		return purl.Version
	}
	return ""
}

// License gives the licence that is known, the concluded one first.
func (n Node) License() string {
	l := sbom.License{}
	if n.Package != nil {
		l = n.Package.License
	} else {
		l = n.File.License
	}
	return cmp.Or(l.Concluded, l.Declared)
}

// LicenseName gives a licence expression with the names of licences that are not on SPDX's list, where the document has them.
func LicenseName(doc *sbom.Document, expression string) string {
	if !strings.Contains(expression, "LicenseRef-") {
		return expression
	}
	words := strings.Split(expression, " ")
	for i, word := range words {
		id := strings.Trim(word, "()")
		for _, l := range doc.Licenses {
			if l.ID == id && l.Name != "" {
				words[i] = strings.Replace(word, id, l.Name, 1)
			}
		}
	}
	return strings.Join(words, " ")
}

// directions says which way edges of a kind lead: forward as the relation is written, backward against it, or both ways.
var directions = map[string]int{
	"DESCRIBES": forward, "CONTAINS": forward, "DEPENDS_ON": forward, "GENERATED_FROM": forward, "COPY_OF": forward, "DESCENDANT_OF": forward,
	"DYNAMIC_LINK": forward, "STATIC_LINK": forward, "HAS_PREREQUISITE": forward, "EXPANDED_FROM_ARCHIVE": forward,
	"DESCRIBED_BY": backward, "CONTAINED_BY": backward, "DEPENDENCY_OF": backward, "BUILD_DEPENDENCY_OF": backward, "DEV_DEPENDENCY_OF": backward,
	"OPTIONAL_DEPENDENCY_OF": backward, "PROVIDED_DEPENDENCY_OF": backward, "RUNTIME_DEPENDENCY_OF": backward, "TEST_DEPENDENCY_OF": backward,
	"BUILD_TOOL_OF": backward, "DEV_TOOL_OF": backward, "TEST_TOOL_OF": backward, "TEST_OF": backward, "TEST_CASE_OF": backward, "PACKAGE_OF": backward,
	"PREREQUISITE_FOR": backward, "GENERATES": backward, "ANCESTOR_OF": backward, "DOCUMENTATION_OF": backward, "EXAMPLE_OF": backward,
	"METAFILE_OF": backward, "DATA_FILE_OF": backward, "OPTIONAL_COMPONENT_OF": backward, "DEPENDENCY_MANIFEST_OF": backward, "FILE_ADDED": forward,
	"VARIANT_OF": forward | backward,
}

const (
	forward  = 1
	backward = 2
)

// New makes a graph of a document, which must not change afterwards.
func New(doc *sbom.Document) *Graph {
	count := len(doc.Packages) + len(doc.Files)
	g := &Graph{Doc: doc, nodes: make([]Node, 0, count), index: make(map[string]int32, count)}
	for i := range doc.Packages {
		p := &doc.Packages[i]
		g.index[p.ID] = int32(len(g.nodes))
		g.nodes = append(g.nodes, Node{ID: p.ID, Package: p, version: versionOf(p)})
	}
	for i := range doc.Files {
		f := &doc.Files[i]
		g.index[f.ID] = int32(len(g.nodes))
		g.nodes = append(g.nodes, Node{ID: f.ID, File: f})
	}
	g.out = make([][]Edge, len(g.nodes))
	described := map[int32]bool{}
	for _, r := range doc.Relations {
		g.relate(r, described)
	}
	for _, edges := range g.out {
		slices.SortFunc(edges, g.compareEdges)
	}
	g.findRoots(described)
	return g
}

func (g *Graph) relate(r sbom.Relation, described map[int32]bool) {
	if r.Kind == "DESCRIBED_BY" {
		r.From, r.Kind, r.To = r.To, sbom.Describes, r.From
	}
	to, ok := g.index[r.To]
	if r.From == sbom.DocumentID && r.Kind == sbom.Describes {
		if ok {
			described[to] = true
		}
		return
	}
	from, known := g.index[r.From]
	if !ok || !known || from == to {
		return
	}
	way := directions[r.Kind]
	if way&forward != 0 {
		g.out[from] = append(g.out[from], Edge{to, r.Kind, r.Comment})
	}
	if way&backward != 0 {
		g.out[to] = append(g.out[to], Edge{from, r.Kind, r.Comment})
	}
}

// compareEdges puts what is contained before what is depended on, and then goes by name.
func (g *Graph) compareEdges(a, b Edge) int {
	rank := func(kind string) int {
		return slices.Index([]string{sbom.Contains, sbom.DependsOn}, kind) & 3 // not in it: last
	}
	return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), strings.Compare(g.nodes[a.To].Name(), g.nodes[b.To].Name()),
		strings.Compare(g.nodes[a.To].Version(), g.nodes[b.To].Version()), strings.Compare(g.nodes[a.To].ID, g.nodes[b.To].ID))
}

// findRoots takes what the document describes, or what nothing leads to when it does not say.
func (g *Graph) findRoots(described map[int32]bool) {
	for i := range described {
		g.roots = append(g.roots, i)
	}
	if len(g.roots) == 0 {
		reached := make([]bool, len(g.nodes))
		for _, edges := range g.out {
			for _, e := range edges {
				reached[e.To] = true
			}
		}
		for i := range g.nodes {
			if !reached[i] {
				g.roots = append(g.roots, int32(i))
			}
		}
	}
	slices.SortFunc(g.roots, func(a, b int32) int {
		return cmp.Or(strings.Compare(g.nodes[a].Name(), g.nodes[b].Name()), strings.Compare(g.nodes[a].ID, g.nodes[b].ID))
	})
}

// Len gives the number of nodes; they are numbered from 0.
func (g *Graph) Len() int { return len(g.nodes) }

// Node gives a node.
func (g *Graph) Node(i int32) Node { return g.nodes[i] }

// Find gives the node of an identifier.
func (g *Graph) Find(id string) (int32, bool) {
	i, ok := g.index[id]
	return i, ok
}

// Roots are what the document describes, or where it does not say, what nothing leads to.
func (g *Graph) Roots() []int32 { return g.roots }

// Unreached gives the nodes to which no way leads from a root.
func (g *Graph) Unreached() []int32 {
	seen := make([]bool, len(g.nodes))
	todo := slices.Clone(g.roots)
	for _, r := range todo {
		seen[r] = true
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, e := range g.out[i] {
			if !seen[e.To] {
				seen[e.To] = true
				todo = append(todo, e.To)
			}
		}
	}
	var out []int32
	for i, ok := range seen {
		if !ok {
			out = append(out, int32(i))
		}
	}
	return out
}

// Step is one step of the way to something.
type Step struct {
	Node    int32
	Kind    string // of the relation that leads here; "" for a root
	Comment string
	Omitted int // steps before this one that Short left out
}

// Short gives a way of more than MaxTreeDepth steps without those in its middle.
func Short(way []Step) []Step {
	const keep = MaxTreeDepth / 2
	if len(way) <= 2*keep {
		return way
	}
	out := slices.Concat(way[:keep], way[len(way)-keep:])
	out[keep].Omitted = len(way) - 2*keep
	return out
}

// Why gives the shortest way from a root to a node, both included; nil when there is none. Among ways of one
// length it is the first by name.
func (g *Graph) Why(target int32) []Step {
	type came struct {
		from int32
		edge Edge
	}
	by := make(map[int32]came, 64)
	todo := slices.Clone(g.roots)
	for _, r := range todo {
		by[r] = came{from: -1, edge: Edge{To: r}}
	}
	for at := 0; at < len(todo); at++ {
		i := todo[at]
		if i == target {
			var way []Step
			for i >= 0 {
				c := by[i]
				way = append(way, Step{Node: i, Kind: c.edge.Kind, Comment: c.edge.Comment})
				i = c.from
			}
			slices.Reverse(way)
			return way
		}
		for _, e := range g.out[i] {
			if _, ok := by[e.To]; !ok {
				by[e.To] = came{i, e}
				todo = append(todo, e.To)
			}
		}
	}
	return nil
}
