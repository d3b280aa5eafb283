package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/trust/chain"
)

func (a *app) trustCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "trust", Short: "Show, compare, sign and follow versions of trust.yaml",
		Example: "  sello trust show\n  sello trust sign", RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, Args: oneOfCommands}
	add := a.keyTrustCommand()
	add.Use, add.Short = "add NAME [PUBLIC-KEY-FILE]", "Add somebody to trust.yaml with a role, as sello key trust does"
	add.Example = "  sello trust add second-manager second-manager.pub --role manager\n  sello trust add ci --role builder --issuer https://ci.example --subject URI"
	cmd.AddCommand(a.trustShowCommand(), a.trustDiffCommand(), add, a.trustSignCommand(), a.trustVerifyCommand(), a.trustRootCommand())
	return cmd
}

func (a *app) trustShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show [FILE]", Short: "Show whose signatures count, for what, and until when", Args: takes(0, 1, "[FILE]"),
		Example: "  sello trust show\n  sello trust show downloaded/trust.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := a.trustFile(cmd.Context(), args)
			if err != nil {
				return err
			}
			return a.result(t.Describe(), func() { a.printf("%s", strings.Join(t.Lines(), "\n")+"\n") })
		},
	}
}

func (a *app) trustDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff OLD [NEW]", Short: "Say what changes between two trust files", Args: takes(1, 2, "OLD [NEW]"),
		Example: "  sello trust diff old-trust.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := a.trustFile(cmd.Context(), args[:1])
			if err != nil {
				return err
			}
			after, err := a.trustFile(cmd.Context(), args[1:])
			if err != nil {
				return err
			}
			changes := trust.Changes(before, after)
			return a.result(map[string]any{"changes": changes}, func() {
				for _, c := range changes {
					a.printf("%s\n", c)
				}
				if len(changes) == 0 {
					a.printf("the same\n")
				}
			})
		},
	}
}

func (a *app) trustSignCommand() *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use: "sign", Short: "Sign the next version of trust.yaml, as a manager of the version before", Args: takes(0, 0, ""),
		Long: `Sign signs the trust.yaml of the working tree, when it is a later version than
the first. It counts only when as many managers of the version before have
signed it as that version's threshold says. Signatures and older versions are in
the folder trust/: commit it with the file.`,
		Example: "  sello trust sign --as maintainer",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			made, err := p.SignTrust(cmd.Context(), as)
			if err != nil {
				return err
			}
			return a.result(made, func() {
				a.printf("version %d signed as %s: %d of %d managers of the version before\n", made.Version, made.Identity, len(made.SignedBy), made.Needed)
				if len(made.SignedBy) < made.Needed {
					a.next("sello trust sign   # by others of them")
					return
				}
				a.next("git add " + release.TrustFile + " " + chain.Folder + " && git commit -m 'Trust version " + fmt.Sprint(made.Version) + "'   # have it reviewed")
			})
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "sign with the key of this name")
	return cmd
}

func (a *app) trustVerifyCommand() *cobra.Command {
	var from, out string
	cmd := &cobra.Command{
		Use: "verify FOLDER", Short: "Follow from the trust file that you have to the project's latest", Args: takes(1, 1, "FOLDER"),
		Long: `Verify follows from the trust file that you have, over each version after it, to
the last one in FOLDER: a checkout, or a release that was downloaded. Each
version has to be signed by enough managers of the one before. With --out the
last one is written: from then on it is the one that you have.

sello verify does the same by itself when a release was made with a later version
than the one that you give.`,
		Example: "  sello trust verify --from trust.yaml ./v1.4.2 --out trust.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" {
				return usage("it is not said which trust file you have", "add --from trust.yaml")
			}
			_, have, err := a.readTrust(cmd.Context(), from, "")
			if err != nil {
				return err
			}
			files, err := release.TrustVersions(args[0])
			if err != nil {
				return err
			}
			if len(files.Versions()) == 0 {
				return usage("there is no trust file in "+args[0], "give the folder of a checkout, or of a release that was downloaded; a release that was made with the first version has none")
			}
			last, steps, err := chain.Follow(have, files)
			if err != nil {
				return err
			}
			if out != "" && len(steps) > 1 {
				if err := os.WriteFile(out, files[chain.FileName(last.Version)], 0o644); err != nil {
					return fmt.Errorf("write trust file: %w", err)
				}
			}
			return a.result(steps, func() {
				for i, s := range steps {
					by := "which you have"
					if i > 0 {
						by = "signed by " + strings.Join(s.SignedBy, ", ")
					}
					a.printf("version %d  sha256:%s  %s\n", s.Version, s.SHA256, by)
				}
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the trust file that you have")
	cmd.Flags().StringVar(&out, "out", "", "write the last version to this file")
	_ = cmd.MarkFlagFilename("from", "yaml", "yml")
	return cmd
}

// trustFile reads the file that is named, or the checkout's.
func (a *app) trustFile(ctx context.Context, args []string) (*trust.Trust, error) {
	path := filepath.Join(a.dir, release.TrustFile)
	if len(args) > 0 {
		path = args[0]
	}
	data, err := readSome(ctx, path, chain.MaxFile)
	if err != nil {
		return nil, err
	}
	return trust.Parse(path, data)
}
