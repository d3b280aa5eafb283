// Package page writes a bill of materials as a page for browsers: one file that loads nothing, with a tree that unfolds, a
// search and the notes. Everything in the document is text there, whatever it holds.
package page

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/query"
)

//go:embed page.html
var source string

// maxLines bounds the tree of a page: browsers take no more.
const maxLines = 200_000

// line is an element in the page's tree.
type line struct {
	Text, PURL, License, Relation, Comment string
	Again                                  bool
	Below                                  []line
}

// words say how an element belongs to the one above it.
var words = map[string]string{sbom.DependsOn: "needs", sbom.GeneratedFrom: "made from", sbom.BuildToolOf: "built by", sbom.DescendantOf: "based on", sbom.CopyOf: "copy of",
	sbom.VariantOf: "variant"}

// Render gives the page. The same document gives the same bytes.
func Render(doc *sbom.Document) ([]byte, error) {
	t, err := template.New("page").Parse(source)
	if err != nil {
		return nil, fmt.Errorf("read template of page: %w", err)
	}
	g := query.New(doc)
	roots, full := g.Tree(query.TreeOptions{Files: true, Limit: maxLines})
	type note struct{ Of, Text string }
	var notes []note
	for _, n := range doc.Notes {
		of := "document"
		if i, ok := g.Find(n.Of); ok {
			of = strings.TrimSpace(g.Node(i).Name() + " " + g.Node(i).Version())
		}
		notes = append(notes, note{of, n.Text})
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Doc": doc, "Tree": lines(g, roots), "Cut": !full || deeper(roots), "Notes": notes, "Created": doc.Created.UTC().Format("2006-01-02 15:04:05 UTC")})
	if err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	return b.Bytes(), nil
}

// deeper reports whether anything is too deep to be shown.
func deeper(all []*query.Branch) bool {
	return slices.ContainsFunc(all, func(b *query.Branch) bool { return b.More > 0 || deeper(b.Below) })
}

func lines(g *query.Graph, all []*query.Branch) []line {
	out := make([]line, 0, len(all))
	for _, b := range all {
		n := g.Node(b.Node)
		l := line{Text: strings.TrimSpace(n.Name() + " " + n.Version()), License: n.License(), Relation: words[b.Kind], Comment: b.Comment, Again: b.Again, Below: lines(g, b.Below)}
		if n.Package != nil {
			l.PURL = n.Package.PURL
		}
		out = append(out, l)
	}
	return out
}
