package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/ui"
)

// judged prints a judgement, and hands on the gate's error.
func (a *app) judged(d *release.Dependencies, name string, err error) error {
	if shown := a.result(d, func() {
		var rows []ui.Row
		for _, f := range d.Findings {
			status := "fail"
			if f.Until != nil {
				status = "warn"
			}
			rows = append(rows, ui.Row{Status: status, Name: strings.TrimSuffix(f.Name+"@"+f.Version, "@"), Detail: f.What, Notes: findingNotes(f)})
		}
		for _, l := range d.Lifted {
			rows = append(rows, ui.Row{Status: "skip", Name: strings.TrimSuffix(l.Name+"@"+l.Version, "@"), Detail: l.Code + ", approved by " + strings.Join(l.By, ", ")})
		}
		ui.Table(a.streams.Out, rows)
		a.printf("%s: ", ui.Escape(name))
		a.dependsLine(d)
		for _, n := range d.Notes {
			a.printf("note: %s\n", ui.Escape(n))
		}
	}); shown != nil {
		return shown
	}
	return err
}

func findingNotes(f deps.Finding) []string {
	notes := []string{"code: " + f.Code, "expected: " + f.Expected}
	if len(f.Why) > 0 {
		notes = append(notes, "through: "+strings.Join(f.Why, " > "))
	}
	return notes
}

func (a *app) dependsLine(d *release.Dependencies) {
	a.printf("%s (%d direct), judged by %s: %d refused, %d let through by approvals\n", dependencies(d.Judged), d.Direct,
		ui.Escape(cmp.Or(strings.Join(d.Policies, " and by "), "no policy")), len(d.Findings), len(d.Lifted))
}

// dependencies counts them.
func dependencies(n int) string {
	if n == 1 {
		return "1 dependency"
	}
	return fmt.Sprintf("%d dependencies", n)
}

// depends tells who signs off what was judged, and what changed in the policy.
func (a *app) depends(d *release.Dependencies) {
	if d == nil {
		return
	}
	a.printf("  ")
	a.dependsLine(d)
	for _, l := range d.Lifted {
		a.printf("    approved by %s: %s (%s)\n", strings.Join(l.By, ", "), ui.Escape(strings.TrimSuffix(l.Name+"@"+l.Version, "@")), l.Code)
	}
	if len(d.Changes) > 0 {
		a.printf("    the policy changed since %s:\n", d.Since)
		for _, line := range d.Changes {
			a.printf("      %s\n", ui.Escape(line))
		}
	}
	for _, n := range d.Notes {
		a.printf("    note: %s\n", ui.Escape(n))
	}
}

// versions writes one version, or two with an arrow.
func versions(c deps.Change) string {
	if c.From == c.To || c.From == "" || c.To == "" {
		return cmp.Or(c.To, c.From)
	}
	return c.From + " -> " + c.To
}

// remarks are what there is to say of a change besides its name and versions.
func remarks(c deps.Change) []string {
	var out []string
	add := func(is bool, text string) {
		if is {
			out = append(out, text)
		}
	}
	add(c.From != "" && c.To != "" && c.Direct != c.WasDirect, map[bool]string{true: "direct now", false: "transitive now"}[c.Direct])
	add(c.Downgrade, "an earlier version")
	switch {
	case c.From == "" || c.License == c.WasLicense || c.WasLicense == "" || c.License == "":
		add(c.License != "", c.License)
	default:
		out = append(out, "licence "+c.WasLicense+" -> "+c.License)
	}
	add(c.Replaces != "", "replaces "+c.Replaces)
	add(len(c.Via) > 0, "through "+strings.Join(c.Via, " > "))
	add(len(c.Approved) > 0, "approved by "+strings.Join(c.Approved, ", "))
	return out
}

func textDeps(d *deps.Diff) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s -> %s\n", ui.Escape(d.From), ui.Escape(d.To))
	for _, line := range d.Policy {
		fmt.Fprintf(&b, "policy      %s\n", ui.Escape(line))
	}
	if len(d.Go) == 2 {
		fmt.Fprintf(&b, "go          %s -> %s\n", ui.Escape(d.Go[0]), ui.Escape(d.Go[1]))
	}
	for _, part := range []struct {
		word string
		all  []deps.Change
	}{{"added", d.Added}, {"changed", d.Changed}, {"removed", d.Removed}} {
		for _, c := range part.all {
			place := "transitive"
			if c.Direct {
				place = "direct"
			}
			line := strings.TrimSpace(c.Name + " " + versions(c))
			if r := remarks(c); len(r) > 0 {
				line += "  (" + strings.Join(r, "; ") + ")"
			}
			fmt.Fprintf(&b, "%-11s %-10s %s\n", part.word, place, ui.Escape(line))
			if len(c.Refused) > 0 {
				fmt.Fprintf(&b, "%-22s refused: %s\n", "", strings.Join(c.Refused, ", "))
			}
		}
	}
	if d.Empty() {
		b.WriteString("the same dependencies under the same policy\n")
	}
	for _, n := range d.Notes {
		fmt.Fprintf(&b, "note: %s\n", ui.Escape(n))
	}
	return b.String()
}

// markdownDeps writes headings of the third level, as release notes have them.
func markdownDeps(d *deps.Diff) string {
	var b strings.Builder
	part := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "### %s\n\n%s\n\n", title, strings.Join(lines, "\n"))
		}
	}
	var policy []string
	for _, line := range d.Policy {
		policy = append(policy, "- "+code(line))
	}
	part("Policy about dependencies changed", policy)
	if len(d.Go) == 2 {
		part("Go", []string{fmt.Sprintf("- %s → %s", plain(d.Go[0]), plain(d.Go[1]))})
	}
	for _, p := range []struct {
		word string
		all  []deps.Change
	}{{"added", d.Added}, {"changed", d.Changed}, {"removed", d.Removed}} {
		for _, direct := range []bool{true, false} {
			var lines []string
			for _, c := range p.all {
				if c.Direct != direct {
					continue
				}
				line := "- " + code(c.Name) + " " + plain(strings.ReplaceAll(versions(c), "->", "→"))
				if r := remarks(c); len(r) > 0 {
					line += " (" + plain(strings.ReplaceAll(strings.Join(r, "; "), "->", "→")) + ")"
				}
				if len(c.Refused) > 0 {
					line += " **refused: " + strings.Join(c.Refused, ", ") + "**"
				}
				lines = append(lines, line)
			}
			part(map[bool]string{true: "Direct", false: "Transitive"}[direct]+" dependencies "+p.word, lines)
		}
	}
	if d.Empty() {
		b.WriteString("No dependency changed.\n")
	}
	return b.String()
}
