package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/query"
	"github.com/sello-release/sello/internal/ui"
)

func (a *app) sbomShowCommand() *cobra.Command {
	var o query.TreeOptions
	var purls, licenses bool
	var page string
	cmd := &cobra.Command{
		Use:   "show SBOM",
		Short: "Show a bill of materials as a tree",
		Long: `Show draws what a bill of materials describes, what that contains and what it
depends on. It reads SPDX 2.2, 2.3 and 3.0, CycloneDX 1.4 to 1.7, and in-toto
statements and bundles that carry one; signatures are not verified.

What stands in several places is unfolded once, where it is nearest to the top;
elsewhere "…" stands behind it. Files that nothing is in are shown with --files.`,
		Example: "  sello sbom show hello.spdx.json --depth 2 --licenses\n  sello sbom show hello.spdx.json --filter 'golang.org/x/*'\n  sello sbom show hello.spdx.json --html hello.html",
		Args:    takes(1, 1, "SBOM"),
		RunE: func(_ *cobra.Command, args []string) error {
			doc, err := a.readSBOM(args[0])
			if err != nil {
				return err
			}
			if page != "" {
				return a.writePage(doc, page)
			}
			g := query.New(doc)
			roots, full := g.Tree(o)
			return a.result(treeJSON(g, roots), func() { a.showTree(g, roots, full, o.Filter != "", purls, licenses) })
		},
	}
	cmd.Flags().IntVar(&o.Depth, "depth", 0, fmt.Sprintf("levels below the top (default: all, at most %d)", query.MaxTreeDepth))
	cmd.Flags().StringVar(&o.Filter, "filter", "", "only what is called so (* for anything) and what leads there")
	cmd.Flags().BoolVar(&o.Files, "files", false, "files that nothing is in, too")
	cmd.Flags().BoolVar(&purls, "purl", false, "show package URLs")
	cmd.Flags().BoolVar(&licenses, "licenses", false, "show licences")
	cmd.Flags().StringVar(&page, "html", "", "write a page that unfolds in a browser to this file")
	return cmd
}

// relationWords say how an element belongs to the one above it, where it is not simply in it.
var relationWords = map[string]string{sbom.DependsOn: "needs ", sbom.GeneratedFrom: "made from ", sbom.BuildToolOf: "built by ", sbom.DescendantOf: "based on ",
	sbom.CopyOf: "copy of ", sbom.VariantOf: "variant: "}

// title gives an element with its version.
func title(n query.Node) string { return strings.TrimSpace(n.Name() + " " + n.Version()) }

func (a *app) showTree(g *query.Graph, roots []*query.Branch, full, filtered, purls, licenses bool) {
	shown, deeper := map[string]bool{sbom.DocumentID: true}, 0
	var turn func(b *query.Branch) *ui.Branch
	turn = func(b *query.Branch) *ui.Branch {
		n := g.Node(b.Node)
		shown[n.ID] = true
		out := &ui.Branch{Text: relationWords[b.Kind] + title(n)}
		if b.Again {
			out.Text += " …"
		}
		var details []string
		if licenses && n.Package != nil {
			details = append(details, shownLicense(g, n))
		}
		if purls && n.Package != nil {
			details = append(details, n.Package.PURLs()...)
		}
		if deeper += b.More; b.More > 0 {
			details = append(details, fmt.Sprintf("(%d more below)", b.More))
		}
		out.Detail = strings.Join(details, "  ")
		for _, c := range b.Below {
			out.Below = append(out.Below, turn(c))
		}
		return out
	}
	var all []*ui.Branch
	for _, r := range roots {
		all = append(all, turn(r))
	}
	_ = ui.Tree(a.streams.Out, all) // what was not written is known to the output
	if !full {
		a.printf("the tree is cut here: it is larger than what is shown\n")
	}
	if deeper > 0 {
		a.printf("what is deeper is not shown; sello sbom query SBOM --why NAME leads there\n")
	}
	a.printf("%d packages, %d files", len(g.Doc.Packages), len(g.Doc.Files))
	if n := len(g.Unreached()); n > 0 {
		a.printf(", %d of them not connected to what is described", n)
	}
	a.printf(" (%s)\n", ui.Escape(g.Doc.Format))
	for _, n := range g.Doc.Notes {
		if _, known := g.Find(n.Of); known && filtered && !shown[n.Of] {
			continue
		}
		name := "document"
		if i, ok := g.Find(n.Of); ok {
			name = title(g.Node(i))
		}
		a.printf("note on %s: %s\n", ui.Escape(name), ui.Escape(n.Text))
	}
}

// shownLicense gives a package's licence with how sure it is.
func shownLicense(g *query.Graph, n query.Node) string {
	l := query.LicenseName(g.Doc, n.License())
	switch c := n.Package.License.Confidence; {
	case l == "":
		return "licence unknown"
	case c > 0 && c < 1:
		return fmt.Sprintf("%s (%.0f %%)", l, c*100)
	}
	return l
}

// treeBranch is a line of the tree for programs.
type treeBranch struct {
	Name     string       `json:"name"`
	Version  string       `json:"version,omitempty"`
	PURL     string       `json:"purl,omitempty"`
	License  string       `json:"license,omitempty"`
	Relation string       `json:"relation,omitempty"`
	Comment  string       `json:"comment,omitempty"`
	Again    bool         `json:"again,omitempty"` // what is below it stands elsewhere in the tree
	More     int          `json:"more,omitempty"`  // elements below it that are not shown, for --depth
	Below    []treeBranch `json:"below,omitempty"`
}

func treeJSON(g *query.Graph, branches []*query.Branch) []treeBranch {
	out := make([]treeBranch, 0, len(branches))
	for _, b := range branches {
		n := g.Node(b.Node)
		t := treeBranch{Name: n.Name(), Version: n.Version(), License: n.License(), Relation: b.Kind, Comment: b.Comment, Again: b.Again, More: b.More}
		if n.Package != nil {
			t.PURL = n.Package.PURL
		}
		if len(b.Below) > 0 {
			t.Below = treeJSON(g, b.Below)
		}
		out = append(out, t)
	}
	return out
}
