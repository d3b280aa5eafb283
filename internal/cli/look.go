package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/strictyaml"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/ui"
	"github.com/sello-release/sello/verify"
	"github.com/sello-release/sello/verify/bucket"
)

func (a *app) verifyCommand() *cobra.Command {
	var trustFile, root string
	var requireRelease, verbose bool
	var foreign foreignFlags
	var issue summaryFlags
	var want verify.Options
	cmd := &cobra.Command{
		Use:   "verify FILE|FOLDER|URL",
		Short: "Verify an artifact, a release folder or a URL, offline",
		Long: `Verify checks what was downloaded against the project's trust file and nothing
else: signature, subject, builder, level, source; with stage.json and what lies
beside it also the managers' sign-offs and the release statement; and for a
folder that nothing is missing or extra. A refusal has exit code 3.

A file that stands alone, with nothing but its bundle, is judged by its
provenance only, and the last line says so; --require-release refuses that.

An image in a registry is named registry/repository:tag, or better by digest; its
attestations are read from the registry. A folder that is an OCI image layout is
verified offline.

With --policy, a file of any project, or its sha256: digest, is judged by the
provenance that its builder made (--provenance): GitHub, Google Cloud Build, npm,
GitLab, Tekton, BuildKit and others. The policy says whom you trust at which
level, and what the build has to have been; sello schema policy describes it.
With --vsa, a verifier that the policy trusts is believed in place of evidence;
without --policy it has to be the gate of the project's own trust file.

With --vsa-out, a verification summary of the verdict is signed and written.

Nothing is downloaded unless a URL or an image is given. Take the trust file from
a place that you trust: the verdict is worth as much as that.`,
		Example: "  sello verify hello_v1.4.2_linux_amd64.tar.gz --trust trust.yaml\n  sello verify ./v1.4.2 --trust trust.yaml --output json\n  sello verify registry.example/team/hello:v1.4.2 --trust trust.yaml\n  sello verify tool.tgz --provenance tool.intoto.jsonl --policy policy.yaml",
		Args:    takes(1, 1, "FILE|FOLDER|URL|IMAGE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := judgedBy(cmd, want, requireRelease && (foreign.own() || foreign.given())); err != nil {
				return err
			}
			if foreign.own() {
				return a.verifyBySummary(cmd, args[0], foreign.vsa, trustFile, root, want, issue, verbose)
			}
			if foreign.given() {
				return a.verifyForeign(cmd.Context(), args[0], trustFile, root, foreign, want, issue, verbose)
			}
			data, t, err := a.readTrust(cmd.Context(), trustFile, root)
			if err != nil {
				return err
			}
			if err := a.by(&issue, trustPath(trustFile), data, t); err != nil {
				return err
			}
			if _, err := os.Stat(args[0]); errors.Is(err, fs.ErrNotExist) && !strings.Contains(args[0], "://") && !verify.IsImage(args[0]) {
				return usage("there is no "+args[0], "give the path of a file or folder, a URL, or an image as registry/repository:tag")
			}
			o := want
			o.TrustFile, o.TrustName, o.TrustedRoot, o.Now, o.RequireRelease, o.Buckets = data, trustPath(trustFile), t.Root(), time.Now(), requireRelease, bucket.Open
			report, err := verify.Any(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			return a.conclude(cmd.Context(), report, issue, verbose)
		},
	}
	cmd.Flags().StringVar(&trustFile, "trust", "", "the project's trust file (default: trust.yaml in this folder)")
	cmd.Flags().StringVar(&root, "trusted-root", "", "the trusted root that the trust file names (default: beside it)")
	cmd.Flags().BoolVar(&requireRelease, "require-release", false, "refuse what stands outside of a release, whose sign-offs cannot be checked")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "print each check by itself, in the order in which they were made")
	_ = cmd.MarkFlagFilename("trust", "yaml", "yml")
	cmd.Flags().StringVar(&want.Version, "version", "", "the version that is wanted")
	cmd.Flags().IntVar(&want.MinLevel, "min-level", 0, "the least SLSA Build level that is enough, 1 to 3")
	foreign.add(cmd)
	issue.add(cmd)
	return cmd
}

// readTrust reads the trust file that the user names: verifying is only as good as where that came from. The trusted root that
// it names is read from beside it, where it is there, or from the path given; its digest decides whether it is the one.
func (a *app) readTrust(ctx context.Context, path, root string) ([]byte, *trust.Trust, error) {
	if path == "" {
		path = filepath.Join(a.dir, release.TrustFile)
		if _, err := os.Stat(path); err != nil {
			return nil, nil, usage("there is no trust file to verify with", "sello verify FILE --trust trust.yaml   # the project's, from its repository")
		}
	}
	data, err := readUpTo(ctx, path, strictyaml.MaxSize)
	if err != nil {
		return nil, nil, usage("read trust file: "+err.Error(), "give the path of the project's trust.yaml")
	}
	t, err := trust.Parse(path, data) // here, so that the file is named as it was given
	if err != nil {
		return nil, nil, fmt.Errorf("read trust file: %w", err)
	}
	if t.TrustedRoot == nil && root == "" {
		return data, t, nil
	}
	content, err := readRoot(ctx, path, root, t.TrustedRoot)
	if err != nil || content == nil {
		return data, t, err
	}
	return data, t, t.SetRoot(content)
}

// readRoot reads a trusted root; nil when none was named and none lies beside the file at path that pins it: keys can be judged without.
func readRoot(ctx context.Context, path, root string, pinned *trust.Pinned) ([]byte, error) {
	if root != "" {
		return readSome(ctx, root, sign.MaxRoot)
	}
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, usage("read trusted root: "+err.Error(), "name it with --trusted-root")
	}
	defer dir.Close()
	f, err := dir.Open(filepath.FromSlash(pinned.File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usage("read trusted root: "+err.Error(), "name it with --trusted-root")
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, sign.MaxRoot+1))
}

// loneFile is the last line about a file that was accepted without anything around it.
const loneFile = "ACCEPTED  provenance only: the file stands alone; sign-offs and release were not checked (--require-release insists on them)\n"

func (a *app) showReport(r *verify.Report, verbose bool) {
	rows := summary(r.Checks)
	if verbose || r.Scope == verify.ScopeBundle || r.Scope == verify.ScopeProvenance || r.Scope == verify.ScopeSummary {
		rows = each(r.Checks)
	}
	ui.Table(a.streams.Out, rows)
	for _, s := range r.SignOffs {
		if s.Counted {
			a.printf("signed off by %s%s\n", ui.Escape(s.Identity), map[bool]string{true: ", who rebuilt it", false: ""}[s.Rebuilt])
		}
	}
	if r.Builder != "" {
		a.printf("builder   %s\n", ui.Escape(r.Builder))
	}
	if level := r.Levels["build"]; level != "" {
		a.printf("level     %s, as the %s\n", level, levelBy(r.Scope))
		a.warnLevel(level)
	}
	if r.Source != "" {
		a.printf("source    %s\n", ui.Escape(r.Source))
	}
	if r.Verdict == verify.Accepted && r.Scope == verify.ScopeFile {
		a.printf(loneFile)
		return
	}
	a.printf("%s  %s (%d files, scope %s)\n", strings.ToUpper(r.Verdict), ui.Escape(r.Artifact), r.Files, r.Scope)
}

// levelBy says whose word a level is.
func levelBy(scope string) string {
	switch scope {
	case verify.ScopeProvenance:
		return "policy grants this builder"
	case verify.ScopeSummary:
		return "summary states"
	}
	return "trust file grants this builder"
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how far each release is, and what comes next",
		Long: `Status reads the release files on the release branch and says of each whether it
is proposed, staged, signed off, promoted or released, and the next command.`,
		Example: "  sello status\n  sello status --output json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			all, err := p.Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.result(all, func() {
				if len(all) == 0 {
					a.printf("no release files on the release branch\n")
					a.next("sello propose v0.1.0")
					return
				}
				for _, s := range all {
					a.printf("%-16s %-10s %s\n", s.Version, s.State, shown(s.Detail))
					for _, img := range s.Images {
						a.printf("%-16s %-10s image %s\n", "", "", img)
					}
					if s.Next != "" {
						a.printf("%-16s %-10s next: %s\n", "", "", s.Next)
					}
				}
			})
		},
	}
}

func (a *app) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history",
		Short: "Show what was done here, when, by whom, with which digests",
		Long: `History prints the journal of this checkout: each verb that changed something. It
is a help for people and proves nothing; what is signed does.`,
		Example: "  sello history",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			entries, err := p.History()
			if err != nil {
				return err
			}
			return a.result(entries, func() {
				for _, e := range entries {
					a.printf("%s  %-9s %-14s %-12s %s\n", e.Time.Local().Format("2006-01-02 15:04:05"), e.Verb, e.Version, e.User, strings.TrimSpace(e.Stage+" "+e.Detail()))
					for _, img := range e.Images {
						a.printf("%-19s  %-9s image %s\n", "", "", img)
					}
				}
			})
		},
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  sello version",
		Args:    takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			return a.result(map[string]string{"version": a.build.Version, "commit": a.build.Commit}, func() {
				a.printf("sello %s\n", a.build.text())
			})
		},
	}
}

// shown gives a path as a user would type it from here.
func shown(path string) string {
	wd, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}
