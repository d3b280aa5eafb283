package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/trust/chain"
	"github.com/sello-release/sello/internal/ui"
)

func (a *app) initCommand() *cobra.Command {
	var o release.InitOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write sello.yaml, trust.yaml and a key pair; never overwrite",
		Long: `Init finds the programs of this repository and writes what a first release
needs. Files and keys that exist are left as they are.`,
		Example: "  sello init\n  sello init --name alice --source https://example.org/hello",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			made, err := p.Init(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.result(made, func() {
				for _, f := range made.Files {
					verb := "wrote"
					if !f.Written {
						verb = "kept "
					}
					a.printf("%s  %-12s %s\n", verb, f.Path, f.Note)
				}
				for _, w := range made.Warnings {
					a.printf("note:  %s\n", w)
				}
				a.next(made.Next...)
			})
		},
	}
	cmd.Flags().StringVar(&o.Identity, "name", "maintainer", "name of the first identity in trust.yaml, and of its key")
	cmd.Flags().StringVar(&o.Source, "source", "", "canonical URI of the source, when it is not the remote's: https://…, or pkg:golang/module@version")
	return cmd
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what is missing on this machine, each with the fix",
		Long: `Doctor looks for git, Go, the sandbox, room on the disk and the repository, and
says what is missing. It changes nothing. Exit code 1 when something is missing.`,
		Example: "  sello doctor",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cache, err := cacheDir()
			if err != nil {
				return err
			}
			findings := release.Doctor(cmd.Context(), release.DoctorOptions{Dir: a.dir, CacheDir: cache})
			if err := a.result(findings, func() { a.showFindings(findings) }); err != nil {
				return err
			}
			return release.DoctorErr(findings)
		},
	}
}

func (a *app) showFindings(findings []release.Finding) {
	var rows []ui.Row
	for _, f := range findings {
		row := ui.Row{Status: "pass", Name: f.Name, Detail: f.Found}
		if !f.OK {
			row.Status = "fail"
			for _, n := range []string{f.Reason, "fix: " + f.Fix} {
				if n != "" {
					row.Notes = append(row.Notes, n)
				}
			}
		}
		rows = append(rows, row)
	}
	ui.Table(a.streams.Out, rows)
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE...]",
		Short: "Check sello.yaml, trust.yaml and release files strictly",
		Long: `Check reads the files in the working tree as strictly as a release does. Every
error has file, line and column. Exit code 2 on an error.`,
		Example: "  sello check\n  sello check releases/v1.4.2.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			var names []string
			for _, arg := range args {
				names = append(names, a.fromHere(p, arg))
			}
			p.Events = notes{a}
			checked, err := p.Check(cmd.Context(), names)
			if err != nil {
				return err
			}
			return a.result(checked, func() {
				for _, f := range checked {
					a.printf("ok  %s\n", f)
				}
			})
		},
	}
}

func (a *app) pinCommand() *cobra.Command {
	var evidence bool
	cmd := &cobra.Command{
		Use:   "pin",
		Short: "Write the digests of base images into sello.yaml",
		Long: `Pin asks the registries which images the tags in sello.yaml name now
(images[].base, builds[].run.root), and writes their digests in the place of the
tags. A release builds on what was reviewed: a tag could name other bytes
tomorrow.

With --evidence it also fetches the provenance and verification summaries that
are attached to these images, and writes them below inputs/, for the rules in
policy.inputs. Nothing of it is trusted: have it reviewed and commit it; sello
check, stage and promote judge it.`,
		Example: "  sello pin\n  sello pin --evidence",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			done, err := p.Pin(cmd.Context())
			if err != nil {
				return err
			}
			human := func() {
				for _, d := range done {
					a.printf("%s: %s is now %s\n", d.Where, d.From, d.To)
				}
				if len(done) == 0 {
					a.printf("every image is named by its digest already\n")
				}
			}
			if !evidence {
				return a.result(done, human)
			}
			found, err := p.PinEvidence(cmd.Context())
			shown := a.result(map[string]any{"pinned": done, "evidence": found}, func() {
				human()
				a.showEvidence(found)
			})
			return errors.Join(err, shown)
		},
	}
	cmd.Flags().BoolVar(&evidence, "evidence", false, "write what is attached to the images below inputs/, too")
	return cmd
}

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Make, list and show keys, and add them to trust.yaml",
		Example: "  sello key list\n  sello key new second-manager --role manager --threshold 2",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, Args: oneOfCommands}
	cmd.AddCommand(a.keyNewCommand(), a.keyTrustCommand(), a.keyListCommand(), a.keyShowCommand())
	return cmd
}

func (a *app) keyNewCommand() *cobra.Command {
	var o release.TrustKeyOptions
	var encrypt bool
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a key pair; with --role also add it to trust.yaml",
		Long: `New makes a key pair below the user's configuration folder, and never overwrites
one. With --role it also adds the public key to trust.yaml: have that change
reviewed and merged before the key counts.`,
		Example: "  sello key new second-manager --role manager --threshold 2",
		Args:    takes(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			o.Identity = args[0]
			made, err := p.NewKey(cmd.Context(), o, encrypt)
			if err != nil {
				return err
			}
			return a.result(made, func() { a.showKey(made) })
		},
	}
	cmd.Flags().BoolVar(&encrypt, "encrypt", false, "encrypt the private key with a passphrase (SELLO_PASSPHRASE, or asked for)")
	trustFlags(cmd, &o)
	return cmd
}

func (a *app) keyTrustCommand() *cobra.Command {
	var o release.TrustKeyOptions
	cmd := &cobra.Command{
		Use:   "trust NAME [PUBLIC-KEY-FILE]",
		Short: "Add somebody to trust.yaml with a role; the change is to be reviewed",
		Long: `Trust adds somebody's public key, which they made with sello key new on their
own machine, to trust.yaml. Without a file it adds the key of that name on this
machine. With --issuer and --subject it adds who signs keyless: whom certificates
name, by the trusted root that trust.yaml names (sello trust root).
Have the change reviewed and merged before the identity counts.`,
		Example: "  sello key trust second-manager second-manager.pub --role manager --threshold 2",
		Args:    takes(1, 2, "NAME [PUBLIC-KEY-FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			o.Identity = args[0]
			if len(args) == 2 {
				o.PublicKeyFile = args[1]
			}
			made, err := p.TrustKey(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.result(made, func() { a.showKey(made) })
		},
	}
	cmd.Flags().StringVar(&o.Keyless.Issuer, "issuer", "", "OpenID Connect issuer of who signs keyless")
	cmd.Flags().StringVar(&o.Keyless.Subject, "subject", "", "whom their certificates name: e-mail address or URI")
	trustFlags(cmd, &o)
	return cmd
}

func trustFlags(cmd *cobra.Command, o *release.TrustKeyOptions) {
	cmd.Flags().StringVar(&o.Role, "role", "", "role in trust.yaml: manager, associate, builder, log or verifier")
	cmd.Flags().IntVar(&o.Threshold, "threshold", 0, "set how many managers have to sign off")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"manager", "associate", "builder", "log", "verifier"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) showKey(k *release.KeyInfo) {
	a.printf("%s  %s\n", k.Identity, k.KeyID)
	if k.Private != "" {
		a.printf("  private key %s (keep it secret, keep a copy)\n", k.Private)
	}
	if len(k.Roles) > 0 {
		a.printf("  roles in %s: %v\n", release.TrustFile, k.Roles)
	}
	if k.Changed {
		files := release.TrustFile
		if k.Signed != nil || k.Unsigned {
			files += " " + chain.Folder
		}
		commit := "git add " + files + " && git commit -m 'Trust " + k.Identity + "'   # have it reviewed"
		if k.Signed != nil {
			a.printf("  signed as %s: %d of %d managers of the version before\n", k.Signed.Identity, len(k.Signed.SignedBy), k.Signed.Needed)
		}
		if k.Unsigned {
			a.next("sello trust sign   # by managers of the version before", commit)
			return
		}
		a.next(commit)
	}
}

func (a *app) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys of this project on this machine", Example: "  sello key list", Args: takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			keys, err := p.ListKeys(cmd.Context())
			if err != nil {
				return err
			}
			return a.result(keys, func() {
				for _, k := range keys {
					a.printf("%-20s %s %v\n", k.Identity, k.KeyID, k.Roles)
				}
			})
		},
	}
}

func (a *app) keyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Print a public key as PEM, as cosign and openssl read it", Args: takes(1, 1, "NAME"),
		Example: "  sello key show maintainer > maintainer.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			pem, err := p.PublicKey(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.result(map[string]string{"identity": args[0], "publicKey": string(pem)}, func() { a.printf("%s", pem) })
		},
	}
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema [" + strings.Join(definition.Schemas, "|") + "]", Short: "Print the JSON schema of a file", Args: takes(0, 1, "["+strings.Join(definition.Schemas, "|")+"]"),
		Example:   "  sello schema sello > sello.schema.json",
		ValidArgs: definition.Schemas,
		RunE: func(_ *cobra.Command, args []string) error {
			name := "sello"
			if len(args) == 1 {
				name = args[0]
			}
			data, ok := definition.Schema(name)
			if !ok {
				return unknown("schema", name, definition.Schemas, "one of "+strings.Join(definition.Schemas, ", "))
			}
			a.printf("%s", data)
			return nil
		},
	}
}

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man FOLDER", Short: "Write the man pages into a folder", Hidden: true, Args: takes(1, 1, "FOLDER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			cmd.Root().DisableAutoGenTag = true
			if err := doc.GenManTree(cmd.Root(), &doc.GenManHeader{Title: "SELLO", Section: "1", Source: "sello", Manual: "Sello"}, args[0]); err != nil {
				return err
			}
			a.printf("wrote man pages to %s; read one: man %s\n", args[0], filepath.Join(args[0], "sello.1"))
			return nil
		},
	}
}
