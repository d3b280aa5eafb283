package cli

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/trust/chain"
	"github.com/sello-release/sello/internal/tuf"
)

// maxTUFRoot bounds root metadata, in bytes.
const maxTUFRoot = 1 << 20

func (a *app) trustRootCommand() *cobra.Command {
	var refresh bool
	var mirror, first, out string
	cmd := &cobra.Command{
		Use: "root [FILE]", Short: "Pin a Sigstore instance's trusted root in trust.yaml, or fetch it anew", Args: takes(0, 1, "[FILE]"),
		Long: `Root has trust.yaml name the trusted root of a Sigstore instance by its digest:
FILE in the repository, or the one that it names already, or trusted_root.json.

With --refresh the file is fetched first, by The Update Framework (TUF): from
Sigstore's public good instance, or from the --mirror of another one, which
begins with the root metadata --tuf-root. Nothing else in Sello fetches it.
Metadata that is older than what this machine saw before is refused.

With --out the file is written there, and no trust.yaml is changed.`,
		Example: "  sello trust root --refresh\n  sello trust root --refresh --mirror https://tuf.example --tuf-root root.json\n  sello trust root --refresh --out trusted_root.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (mirror != "" || first != "" || out != "") && !refresh {
				return usage("nothing is fetched unless it is said", "add --refresh")
			}
			if out != "" && len(args) > 0 {
				return usage("it is said twice where the trusted root is written", "leave out FILE, or --out")
			}
			o := tuf.Options{Mirror: mirror}
			var err error
			if first != "" {
				if o.Root, err = readSome(cmd.Context(), first, maxTUFRoot); err != nil {
					return err
				}
			}
			if out != "" {
				if o.Cache, err = tufCache(); err != nil {
					return err
				}
				got, err := release.FetchRoot(cmd.Context(), out, o)
				if err != nil {
					return err
				}
				return a.result(got, func() { a.showRoot(got) })
			}
			return a.pinRoot(cmd, args, refresh, o)
		},
	}
	cmd.Flags().BoolVar(&refresh, "refresh", false, "fetch the trusted root by TUF first")
	cmd.Flags().StringVar(&mirror, "mirror", "", "URL of the instance's TUF repository (default: the public good instance's)")
	cmd.Flags().StringVar(&first, "tuf-root", "", "root metadata that you trust; needed with --mirror")
	cmd.Flags().StringVar(&out, "out", "", "write the fetched file here, and change nothing else")
	_ = cmd.MarkFlagFilename("tuf-root", "json")
	return cmd
}

// tufCache keeps what was seen of TUF repositories.
func tufCache() (string, error) {
	dir, err := cacheDir()
	return filepath.Join(dir, "tuf"), err
}

func (a *app) pinRoot(cmd *cobra.Command, args []string, refresh bool, o tuf.Options) error {
	p, err := a.open(cmd.Context())
	if err != nil {
		return err
	}
	name, err := p.RootFile()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		if name, err = p.PathInRepository(args[0]); err != nil {
			return err
		}
	}
	file := filepath.Join(p.Repo.Root(), filepath.FromSlash(name))
	var root *release.PinnedRoot
	if refresh {
		if o.Cache, err = tufCache(); err != nil {
			return err
		}
		root, err = release.FetchRoot(cmd.Context(), file, o)
	} else {
		root, err = release.ReadRoot(file)
	}
	if err != nil {
		return err
	}
	root.File = name
	if err := p.PinRoot(cmd.Context(), name, root); err != nil {
		return err
	}
	return a.result(root, func() {
		a.showRoot(root)
		if !root.Changed {
			a.printf("%s names it already\n", release.TrustFile)
			return
		}
		files := name + " " + release.TrustFile
		var next []string
		if root.Signed != nil || root.Unsigned {
			files += " " + chain.Folder
		}
		if root.Unsigned {
			next = append(next, "sello trust sign   # by managers of the version before")
		}
		a.next(append(next, "git add "+files+" && git commit -m 'Trusted root'   # have it reviewed")...)
	})
}

// showRoot prints whose word counts; beside what was there before, only what changed.
func (a *app) showRoot(r *release.PinnedRoot) {
	a.printf("%s  %s\n", r.File, r.Digest)
	if len(r.Added)+len(r.Removed) == 0 {
		a.printf("  %s\n", strings.Join(r.Lines, "\n  "))
		return
	}
	for _, l := range r.Removed {
		a.printf("- %s\n", l)
	}
	for _, l := range r.Added {
		a.printf("+ %s\n", l)
	}
}
