package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/sbom/query"
	"github.com/sello-release/sello/internal/ui"
)

// foundPackage is an answer to a query. Way is only there when it was asked for.
type foundPackage struct {
	Name    string    `json:"name"`
	Version string    `json:"version,omitempty"`
	PURL    string    `json:"purl,omitempty"`
	License string    `json:"license,omitempty"`
	Way     []wayStep `json:"way,omitempty"`
}

// wayStep is one step of the way from the top to something.
type wayStep struct {
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	Relation string `json:"relation,omitempty"` // to the one before
	Comment  string `json:"comment,omitempty"`
	Omitted  int    `json:"omitted,omitempty"` // steps before this one: of a long way the middle is left out
}

func (a *app) sbomQueryCommand() *cobra.Command {
	var f query.Filter
	var why string
	cmd := &cobra.Command{
		Use:   "query SBOM",
		Short: "Ask a bill of materials: what is in it, and why",
		Long: `Query lists the packages of a bill of materials for which everything that is
asked holds: --name, --purl, --license, --version. In names, package URLs and
licences * stands for anything; a name without it also matches the last part of
a path. Versions are compared as semantic versions, or as distributions do.

--why NAME asks why something is there: it prints the shortest way from the top
to each package of that name. Exit code 1 says that nothing was found.`,
		Example: "  sello sbom query hello.spdx.json --license 'GPL-*'\n  sello sbom query hello.spdx.json --purl 'pkg:golang/golang.org/x/*'\n  sello sbom query hello.spdx.json --why golang.org/x/sys",
		Args:    takes(1, 1, "SBOM"),
		RunE: func(_ *cobra.Command, args []string) error {
			doc, err := a.readSBOM(args[0])
			if err != nil {
				return err
			}
			if why != "" {
				f.Name, f.Files = why, true
			}
			g := query.New(doc)
			nodes, err := g.Match(f)
			if err != nil {
				return usage(err.Error(), "sello sbom query SBOM --version '>=1.2 <2'")
			}
			all := make([]foundPackage, 0, len(nodes))
			for _, i := range nodes {
				all = append(all, found(g, i, why != ""))
			}
			if err := a.result(all, func() { a.showFound(all, why != "") }); err != nil || len(all) > 0 {
				return err
			}
			return notFound(args[0])
		},
	}
	cmd.Flags().StringVar(&f.Name, "name", "", "packages of this name")
	cmd.Flags().StringVar(&f.PURL, "purl", "", "packages with this package URL; without a version, of any")
	cmd.Flags().StringVar(&f.License, "license", "", "packages under this licence, or unknown")
	cmd.Flags().StringVar(&f.Version, "version", "", "packages of these versions: '>=1.2 <2'")
	cmd.Flags().StringVar(&why, "why", "", "the way from the top to packages and files of this name")
	return cmd
}

func found(g *query.Graph, i int32, why bool) foundPackage {
	n := g.Node(i)
	f := foundPackage{Name: n.Name(), Version: n.Version(), License: n.License()}
	if n.Package != nil {
		f.PURL = n.Package.PURL
	}
	if why {
		for _, s := range query.Short(g.Why(i)) {
			at := g.Node(s.Node)
			f.Way = append(f.Way, wayStep{at.Name(), at.Version(), s.Kind, s.Comment, s.Omitted})
		}
	}
	return f
}

func (a *app) showFound(all []foundPackage, why bool) {
	for _, f := range all {
		if !why {
			a.printf("%s\n", ui.Escape(strings.TrimSpace(f.Name+" "+f.Version+"  "+f.License)))
			continue
		}
		if len(f.Way) == 0 {
			a.printf("%s: in the document, and nothing leads to it\n", ui.Escape(strings.TrimSpace(f.Name+" "+f.Version)))
			continue
		}
		var top, at *ui.Branch
		for i, s := range f.Way {
			b := &ui.Branch{Text: relationWords[s.Relation] + strings.TrimSpace(s.Name+" "+s.Version), Detail: s.Comment}
			if s.Omitted > 0 {
				b = &ui.Branch{Text: fmt.Sprintf("… %d steps are not shown", s.Omitted), Below: []*ui.Branch{b}}
			}
			if i == 0 {
				top = b
			} else {
				at.Below = []*ui.Branch{b}
			}
			if at = b; s.Omitted > 0 {
				at = b.Below[0]
			}
		}
		_ = ui.Tree(a.streams.Out, []*ui.Branch{top}) // what was not written is known to the output
	}
}
