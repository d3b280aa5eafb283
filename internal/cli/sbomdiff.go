package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/sbom/query"
	"github.com/sello-release/sello/internal/ui"
)

func (a *app) sbomDiffCommand() *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:   "diff SBOM SBOM",
		Short: "Show what changed from one bill of materials to another",
		Long: `Diff lists the packages that were added, removed, upgraded or downgraded, and
those of which another licence is known. Packages are the same when their
package URLs are, but for the version. The two may be in different formats.

--markdown writes it for release notes.`,
		Example: "  sello sbom diff v1.4.1.spdx.json v1.4.2.spdx.json\n  sello sbom diff v1.4.1.spdx.json v1.4.2.spdx.json --markdown",
		Args:    takes(2, 2, "SBOM SBOM"),
		RunE: func(_ *cobra.Command, args []string) error {
			from, err := a.readSBOM(args[0])
			if err != nil {
				return err
			}
			to, err := a.readSBOM(args[1])
			if err != nil {
				return err
			}
			d := query.Compare(from, to)
			return a.result(d, func() {
				if markdown {
					a.printf("%s", markdownDiff(d))
				} else {
					a.printf("%s", textDiff(d))
				}
			})
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "write Markdown, for release notes")
	return cmd
}

func textDiff(d *query.Diff) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s -> %s\n", ui.Escape(d.From), ui.Escape(d.To))
	for _, c := range d.Added {
		fmt.Fprintf(&b, "added       %s\n", ui.Escape(strings.TrimSpace(c.Name+" "+c.To+"  "+c.License)))
	}
	for _, c := range d.Removed {
		fmt.Fprintf(&b, "removed     %s\n", ui.Escape(strings.TrimSpace(c.Name+" "+c.From)))
	}
	for _, c := range d.Upgraded {
		word := "upgraded"
		if c.Downgrade {
			word = "downgraded"
		}
		fmt.Fprintf(&b, "%-11s %s\n", word, ui.Escape(fmt.Sprintf("%s %s -> %s", c.Name, c.From, c.To)))
	}
	for _, l := range d.Licenses {
		fmt.Fprintf(&b, "licence     %s\n", ui.Escape(fmt.Sprintf("%s %s: %s -> %s", l.Name, l.Version, cmp.Or(l.From, "unknown"), cmp.Or(l.To, "unknown"))))
	}
	if d.Empty() {
		b.WriteString("the same packages under the same licences\n")
	}
	return b.String()
}

// markdownDiff writes headings of the third level, as release notes have them.
func markdownDiff(d *query.Diff) string {
	var b strings.Builder
	part := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "### %s\n\n%s\n\n", title, strings.Join(lines, "\n"))
		}
	}
	var added, removed, changed, licenses []string
	for _, c := range d.Added {
		line := "- " + titled(c.Name, c.To)
		if c.License != "" {
			line += " (" + plain(c.License) + ")"
		}
		added = append(added, line)
	}
	for _, c := range d.Removed {
		removed = append(removed, "- "+titled(c.Name, c.From))
	}
	for _, c := range d.Upgraded {
		line := fmt.Sprintf("- %s %s → %s", code(c.Name), plain(c.From), plain(c.To))
		if c.Downgrade {
			line += " (an earlier version)"
		}
		changed = append(changed, line)
	}
	for _, l := range d.Licenses {
		licenses = append(licenses, fmt.Sprintf("- %s: %s → %s", titled(l.Name, l.Version), plain(cmp.Or(l.From, "unknown")), plain(cmp.Or(l.To, "unknown"))))
	}
	part("Dependencies added", added)
	part("Dependencies removed", removed)
	part("Dependencies changed", changed)
	part("Licences changed", licenses)
	if d.Empty() {
		b.WriteString("No dependency changed.\n")
	}
	return b.String()
}

// titled gives a name with a version, where there is one.
func titled(name, version string) string { return strings.TrimSpace(code(name) + " " + plain(version)) }

// code makes a text of unknown origin into code of Markdown.
func code(s string) string {
	if strings.TrimSpace(s) == "" {
		return "(no name)"
	}
	return "`" + strings.ReplaceAll(ui.Escape(s), "`", "'") + "`"
}

// plain takes the meaning from the characters that have one in Markdown and HTML.
func plain(s string) string {
	return strings.NewReplacer("\\", "\\\\", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "`", "\\`", "<", "&lt;", "&", "&amp;", "|", "\\|").Replace(ui.Escape(s))
}
