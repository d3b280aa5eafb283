package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/vex"
)

func (a *app) vexCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "vex", Short: "Decide about vulnerabilities: write, sign and check OpenVEX documents",
		Example: "  sello vex create --id GO-2026-1234 --component pkg:npm/x --status fixed",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, Args: oneOfCommands}
	cmd.AddCommand(a.vexCreateCommand(), a.vexSignCommand(), a.vexCheckCommand())
	return cmd
}

func (a *app) vexCreateCommand() *cobra.Command {
	var o release.VEXOptions
	var text string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Write what a release manager decides about a vulnerability, and sign it",
		Long: `Create writes an OpenVEX document with one statement to vex/ID.openvex.json, and a
release manager's signature beside it, which says who decided and until when. Both
count once they are merged into the release branch.

The statement is about the project, or what --product names; --component says in
which of its parts the vulnerability is. Statuses: not_affected (with a
--justification or a --text that says why), affected (with a --text that says what
is done about it), fixed, under_investigation (which settles nothing).`,
		Example: "  sello vex create --id GO-2026-1234 --component pkg:npm/x --status fixed\n  sello vex create --id GO-1 --component pkg:npm/x --status affected --text 'Soon'",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := vexStatement(&o, text); err != nil {
				return err
			}
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			made, err := p.CreateVEX(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.showDecided(made)
		},
	}
	f := cmd.Flags()
	s := &o.Statement
	f.StringVar(&s.Vulnerability.Name, "id", "", "the vulnerability: GO-…, CVE-… or GHSA-…")
	f.StringArrayVar(&s.Vulnerability.Aliases, "alias", nil, "another id of it; may be repeated")
	f.StringVar(&s.Status, "status", "", "not_affected, affected, fixed or under_investigation")
	f.StringVar(&s.Justification, "justification", "", "why it is not affected: "+strings.Join(vex.Justifications, ", "))
	f.StringVar(&text, "text", "", "the impact, when it is not affected; what is done, when it is")
	f.StringArrayVar(&o.Products, "product", nil, "package URL of what the statement is about (default: the project)")
	f.StringArrayVar(&o.Components, "component", nil, "package URL of the part that has the vulnerability; may be repeated")
	f.StringVar(&o.Out, "out", "", "path of the document (default: vex/ID.openvex.json)")
	vexSigning(cmd, &o)
	a.tokenFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(vex.Statuses, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("justification", cobra.FixedCompletions(vex.Justifications, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// vexStatement completes the statement, and says what is wrong with the flags in their own words.
func vexStatement(o *release.VEXOptions, text string) error {
	s := &o.Statement
	switch {
	case s.Vulnerability.Name == "":
		return usage("it is not said which vulnerability this is about", "add --id")
	case !osv.ValidID(s.Vulnerability.Name):
		return usage(fmt.Sprintf("--id %.100q is no id of a vulnerability", s.Vulnerability.Name), "give the one that sello vuln shows, such as GO-2026-1234")
	case slices.ContainsFunc(s.Vulnerability.Aliases, func(id string) bool { return !osv.ValidID(id) }):
		return usage("--alias is no id of a vulnerability", "give one such as CVE-2026-1234")
	case !slices.Contains(vex.Statuses, s.Status):
		return usage(fmt.Sprintf("--status does not take %q%s", s.Status, didYouMean(s.Status, vex.Statuses)), "one of "+strings.Join(vex.Statuses, ", "))
	case s.Justification != "" && !slices.Contains(vex.Justifications, s.Justification):
		return usage(fmt.Sprintf("--justification does not take %q%s", s.Justification, didYouMean(s.Justification, vex.Justifications)), "one of "+strings.Join(vex.Justifications, ", "))
	case len(o.Products) == 0 && len(o.Components) == 0:
		return usage("it is not said in which part of the project the vulnerability is", "add --component, the package URL that sello vuln shows, such as pkg:golang/example.org/m")
	}
	for _, purl := range append(o.Products[:len(o.Products):len(o.Products)], o.Components...) {
		if _, err := osv.FromPurl(purl); err != nil {
			return usage(fmt.Sprintf("%.200q is no package URL", purl), "give the one that sello vuln shows, such as pkg:golang/example.org/m")
		}
	}
	text = strings.TrimSpace(text)
	switch s.Status {
	case vex.Affected:
		s.ActionStatement = text
	case vex.NotAffected:
		s.ImpactStatement = text
	default:
		s.StatusNotes = text
	}
	return nil
}

func vexSigning(cmd *cobra.Command, o *release.VEXOptions) {
	f := cmd.Flags()
	f.StringVar(&o.As, "as", "", "name of the key to sign with, when there are several")
	f.DurationVar(&o.ValidFor, "valid-for", 90*24*time.Hour, "how long the decision counts, a year at most")
	f.StringVar(&o.Comment, "comment", "", "a sentence that goes into the signature")
}

func (a *app) vexSignCommand() *cobra.Command {
	var o release.VEXOptions
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Sign an OpenVEX document as a release manager, for the first time or again",
		Long: `Sign puts a release manager's signature beside an OpenVEX document, which says who
decided and until when. A signature that is there is replaced.`,
		Example: "  sello vex sign vex/GO-2026-1234.openvex.json --valid-for 720h",
		Args:    takes(1, 1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			made, err := p.SignVEX(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			return a.showDecided(made)
		},
	}
	vexSigning(cmd, &o)
	a.tokenFlag(cmd)
	return cmd
}

func (a *app) showDecided(made *release.Decided) error {
	return a.result(made, func() {
		a.printf("%s decided, until %s\n  %s\n  %s\n", made.Identity, until(made.Expires), shown(made.Path), shown(made.Bundle))
		a.next("git add " + shown(made.Path) + " " + shown(made.Bundle) + "   # it counts once it is merged")
	})
}

// checkedVEX is what `sello vex check` found of one document.
type checkedVEX struct {
	Path       string         `json:"path"`
	Statements int            `json:"statements"`
	Signed     *vex.Exception `json:"signed,omitempty"`
}

func (a *app) vexCheckCommand() *cobra.Command {
	var trustFile string
	cmd := &cobra.Command{
		Use:   "check FILE…",
		Short: "Check OpenVEX documents and, with --trust, who signed them and until when",
		Long: `Check reads OpenVEX documents and refuses what is not OpenVEX 0.2, or does not say
what it has to. With --trust, the signature beside each has to be a release
manager's and must not have expired (exit code 3).`,
		Example: "  sello vex check vex/*.openvex.json --trust trust.yaml",
		Args:    takes(1, 1000, "FILE…"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var t *trust.Trust
			if trustFile != "" {
				var err error
				if _, t, err = a.readTrust(cmd.Context(), trustFile, ""); err != nil {
					return err
				}
			}
			var out []checkedVEX
			for _, name := range args {
				if of, ok := strings.CutSuffix(name, vex.BundleSuffix); ok && slices.Contains(args, of) {
					continue // the signature of another, which is looked at with it
				}
				c, err := checkVEX(name, t)
				if err != nil {
					return err
				}
				out = append(out, *c)
			}
			return a.result(out, func() {
				for _, c := range out {
					who := "not asked who signed it"
					if c.Signed != nil {
						who = fmt.Sprintf("decided by %s, until %s", c.Signed.Identity, until(c.Signed.Expires))
					}
					a.printf("%s: %d statements, %s\n", c.Path, c.Statements, who)
				}
			})
		},
	}
	cmd.Flags().StringVar(&trustFile, "trust", "", "trust file: the signature has to be one of its managers'")
	return cmd
}

func checkVEX(name string, t *trust.Trust) (*checkedVEX, error) {
	document, bundle, err := vex.ReadFile(name)
	if err != nil {
		return nil, err
	}
	d, err := vex.Parse(document, name)
	if err != nil {
		return nil, err
	}
	c := &checkedVEX{Path: name, Statements: len(d.Statements)}
	if t == nil {
		return c, nil
	}
	if bundle == nil {
		return nil, vex.Unsigned(name)
	}
	if c.Signed, err = vex.Judge(document, bundle, t, t.Project, time.Now()); err != nil {
		return nil, fmt.Errorf("check %s: %w", name, err)
	}
	return c, nil
}
