package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/release"
)

// result prints v as JSON, or the text that human writes.
func (a *app) result(v any, human func()) error {
	if a.output != "json" {
		human()
		return nil
	}
	a.answered = true
	if err := encode(a.streams.Out, v); err != nil {
		return unwritable(err)
	}
	return nil
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // commands in it are read by people
	return enc.Encode(v)
}

func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.streams.Out, format, args...) }

// perform does the work of a verb that takes long, with progress, the lock and the way to go on after a failure; then prints what it made.
func perform[T any](a *app, cmd *cobra.Command, args []string, do func(context.Context, *release.Project) (*T, error), human func(*release.Project, *T)) error {
	p, done, err := a.work(cmd.Context(), cmd, args)
	if err != nil {
		return err
	}
	defer done()
	made, err := do(cmd.Context(), p)
	done() // progress is at its end before the result is printed
	if err != nil {
		return err
	}
	return a.result(made, func() { human(p, made) })
}

// next prints the command to go on with.
func (a *app) next(lines ...string) {
	a.printf("next: %s\n", strings.Join(lines, "\n      "))
}

func (a *app) proposeCommand() *cobra.Command {
	var o release.ProposeOptions
	cmd := &cobra.Command{
		Use:   "propose VERSION",
		Short: "Write releases/VERSION.yaml, to be reviewed and merged",
		Long: `Propose writes the release file: version, commit and channel. It is the only
input of a release, and counts once it is on the release branch.`,
		Example: "  sello propose v1.4.2\n  sello propose v1.5.0-rc.1 --commit 5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5",
		Args:    takes(1, 1, "VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			o.Version = args[0]
			made, err := p.Propose(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.result(made, func() {
				a.printf("proposed %s: commit %.12s of %s, in %s\n", o.Version, made.Commit, made.Branch, made.Path)
				if made.Dirty {
					a.printf("note: the working tree has changes that are not in that commit and will not be released\n")
				}
				a.next("git add "+strings.TrimSpace(made.Path+" "+made.Notes)+" && git commit -m 'Propose "+o.Version+"'   # or have it reviewed and merged", "sello stage "+made.Path)
			})
		},
	}
	cmd.Flags().StringVar(&o.Commit, "commit", "", "full id of the commit to release (default: the tip of the branch)")
	cmd.Flags().StringVar(&o.Channel, "channel", "", "stable, candidate or nightly (default: by the version)")
	cmd.Flags().StringVar(&o.Notes, "notes", "", "path of the release notes")
	_ = cmd.RegisterFlagCompletionFunc("channel", cobra.FixedCompletions([]string{"stable", "candidate", "nightly"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) stageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stage RELEASE-FILE",
		Short: "Build, pack, describe and attest a release, and stage it",
		Long: `Stage builds the release that a merged release file names: it exports the source
from git objects, fetches and verifies toolchain, modules and base images, builds
each platform in a sandbox without a network, packs archives, makes container
images, describes, signs provenance, and writes all of it to the staging bucket,
stage.json last. The digest of stage.json is written into the release file; commit
it. Images go to their staging repositories, too, where the definition names some.

Run it again after a failure: what is done is recognised by digest.`,
		Example: "  sello stage releases/v1.4.2.yaml",
		Args:    takes(1, 1, "RELEASE-FILE"), ValidArgsFunction: a.releaseFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return perform(a, cmd, args, func(ctx context.Context, p *release.Project) (*release.Staged, error) {
				if err := a.setEngine(ctx, p); err != nil {
					return nil, err
				}
				return p.Stage(ctx, a.fromHere(p, args[0]))
			}, func(_ *release.Project, staged *release.Staged) {
				verb := "staged"
				if staged.Already {
					verb = "already staged"
				}
				images := ""
				if staged.Images > 0 {
					images = ", " + count(staged.Images, "image")
				}
				a.printf("%s %s %s: %s, %s%s\n  %s\n  stage %s\n", verb, staged.Project, staged.Version, count(staged.Artifacts, "artifact"), size(staged.Size), images, shown(staged.Where), staged.Digest)
				a.warnBuilt(staged.Built)
				a.inputs(staged.Inputs)
				if staged.Recorded {
					a.next("git commit -m 'Record the stage digest of "+staged.Version+"' "+staged.Path+"   # it is written there; have it reviewed", "sello sign-off "+staged.Path)
					return
				}
				a.next("sello sign-off " + staged.Path)
			})
		},
	}
	a.engineFlag(cmd)
	a.tokenFlag(cmd)
	return cmd
}

func (a *app) signOffCommand() *cobra.Command {
	var o release.SignOffOptions
	cmd := &cobra.Command{
		Use:   "sign-off RELEASE-FILE",
		Short: "Sign off a stage as a release manager",
		Long: `Sign-off verifies the whole stage and signs an attestation over its digest. With
--rebuild it builds the stage here first, in another folder and with nothing of
the stage, and refuses when the digest differs (exit code 5).`,
		Example: "  sello sign-off releases/v1.4.2.yaml\n  sello sign-off releases/v1.4.2.yaml --as second-manager --rebuild",
		Args:    takes(1, 1, "RELEASE-FILE"), ValidArgsFunction: a.releaseFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return perform(a, cmd, args, func(ctx context.Context, p *release.Project) (*release.SignedOff, error) {
				if o.Rebuild {
					if err := a.setEngine(ctx, p); err != nil {
						return nil, err
					}
				}
				return p.SignOff(ctx, a.fromHere(p, args[0]), o)
			}, func(_ *release.Project, made *release.SignedOff) {
				how := "verified"
				if made.Rebuilt {
					how = "verified and rebuilt with the same digest"
				}
				a.printf("%s signed off %s: %s\n  stage %s\n  %d of %d sign-offs by managers\n", made.Identity, made.Version, how, made.Stage, made.Counted, made.Needed)
				for _, img := range made.Images {
					a.printf("  image %s\n", img)
				}
				a.depends(made.Dependencies)
				a.inputs(made.Inputs)
				a.built(made.Built)
				if made.Counted >= made.Needed {
					a.next("sello promote " + made.Path)
				} else {
					a.next("sello sign-off " + made.Path + "   # by another manager")
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.As, "as", "", "name of the key to sign with, when there are several")
	f.BoolVar(&o.Rebuild, "rebuild", false, "build the stage here first and refuse when the digest differs")
	f.StringVar(&o.Comment, "comment", "", "a sentence that goes into the sign-off")
	a.engineFlag(cmd)
	a.tokenFlag(cmd)
	return cmd
}

func (a *app) promoteCommand() *cobra.Command {
	var m release.ManifestOptions
	var trustFile string
	cmd := &cobra.Command{
		Use:   "promote [RELEASE-FILE]",
		Short: "Verify everything, then copy the stage to production by digest",
		Long: `Promote is the gate: it verifies every artifact, every attestation and the
sign-offs, and refuses with a reason (exit code 3; 4 while sign-offs are
missing). Then it copies files and images by digest, reads production back and
verifies it. Images get their tags last, from sello release. Nothing that is
published is ever overwritten.

With --manifest, a promotion manifest as kpromo reads it says which images should
be where, and there is no release file: what is missing is copied by digest, what
is there stays, a tag that names something else is refused. Tags come last, and
none is set unless every image is in its place.`,
		Example: "  sello promote releases/v1.4.2.yaml\n  sello promote --manifest manifests/age --dry-run",
		Args:    takes(0, 1, "[RELEASE-FILE]"), ValidArgsFunction: a.releaseFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case m.File != "" && len(args) == 0:
				return a.promoteManifest(cmd, m, trustFile)
			case m.File != "":
				return usage("a release file and --manifest were both given", "give one of them")
			case m.DryRun || m.Images != "" || trustFile != "" || m.Released:
				return usage("--dry-run, --images, --trust and --require-release are for a promotion manifest", "sello promote --manifest FILE, or leave the flag out")
			case len(args) == 0:
				return usage("there is nothing to promote", "sello promote RELEASE-FILE, or sello promote --manifest FILE")
			}
			return perform(a, cmd, args, func(ctx context.Context, p *release.Project) (*release.Promoted, error) {
				return p.Promote(ctx, a.fromHere(p, args[0]))
			}, func(_ *release.Project, made *release.Promoted) {
				a.printf("promoted %s %s: %s copied, %d were there\n  %s\n  signed off by %s\n", made.Project, made.Version, count(made.Copied, "file"), made.Present, shown(made.Where), strings.Join(made.SignedOffBy, ", "))
				if made.Verifier != "" {
					a.printf("  verification summary by %s\n", made.Verifier)
				}
				for _, img := range made.Images {
					a.printf("  image %s\n", img)
				}
				if len(made.Images) > 0 {
					n := made.ImageCopies
					a.printf("  %s sent (%s), %d mounted, %d were there; no tag yet\n", count(int(n.Sent), "blob"), size(n.Bytes), n.Mounted, n.Present)
				}
				a.inputs(made.Inputs)
				a.built(made.Built)
				a.next("sello release " + made.Path)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.File, "manifest", "", "promotion manifest: a file, or a folder with promoter-manifest.yaml and images.yaml")
	f.StringVar(&m.Images, "images", "", "images.yaml, when --manifest names promoter-manifest.yaml")
	f.StringVar(&trustFile, "trust", "", "with --manifest: a trust file that every image has to verify with")
	f.BoolVar(&m.Released, "require-release", false, "with --trust: every image has to be of a release, with its sign-offs")
	f.BoolVar(&m.DryRun, "dry-run", false, "with --manifest: look, and change nothing")
	a.tokenFlag(cmd)
	return cmd
}

// promoteManifest makes registries hold what a promotion manifest lists.
func (a *app) promoteManifest(cmd *cobra.Command, m release.ManifestOptions, trustFile string) error {
	if m.Released && trustFile == "" {
		return usage("--require-release needs to know whom to trust", "add --trust trust.yaml")
	}
	if trustFile != "" {
		data, t, err := a.readTrust(cmd.Context(), trustFile, "")
		if err != nil {
			return err
		}
		m.Trust, m.TrustedRoot = data, t.Root()
	}
	done, err := release.PromoteManifest(cmd.Context(), m)
	if done == nil {
		return err
	}
	if p, open := a.open(cmd.Context()); open == nil && !m.DryRun { // in a checkout it goes into its history
		err = errors.Join(err, p.RecordManifest(m, done))
	}
	shown := a.result(done, func() {
		for _, i := range done.Items {
			a.printf("%-9s %s %s\n", i.State, i.To, strings.Join(append(i.Tagged, i.Tags...), " "))
		}
		if done.DryRun {
			a.printf("%d to copy, %d to tag, %d in place; nothing was changed\n", done.Missing, done.Untagged, done.Present)
			return
		}
		a.printf("%d copied, %d tagged, %d were in place; %d blobs sent (%s), %d tags set\n", done.Count("copied"), done.Count("tagged"), done.Present, done.Copied.Sent, size(done.Copied.Bytes), len(done.Tagged))
	})
	return errors.Join(err, shown)
}

func (a *app) manifestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "manifest RELEASE-FILE",
		Short: "Print the promotion manifest of a staged release's images",
		Long: `Manifest prints which images of a staged release should be where, as the promotion
manifest that kpromo reads, in its plain form: a project that promotes with it can
review and merge that, and promote with either tool. Every image needs staging: in
sello.yaml, the repository that it comes from.`,
		Example: "  sello manifest releases/v1.4.2.yaml > promotion.yaml",
		Args:    takes(1, 1, "RELEASE-FILE"), ValidArgsFunction: a.releaseFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			text, err := p.Manifest(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			a.printf("%s", text)
			return nil
		},
	}
}

func (a *app) releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release RELEASE-FILE",
		Short: "Tag, sign the release statement, then move the version markers, last",
		Long: `Release makes a promoted version official: it verifies production from the
outside, tags the commit, publishes the signed list of all files, tags the images,
and only then moves the markers (stable.txt, latest-1.4.txt, …) and the moving
tags of images, which never go backwards.
Exit code 4 while the stage is not promoted.`,
		Example: "  sello release releases/v1.4.2.yaml",
		Args:    takes(1, 1, "RELEASE-FILE"), ValidArgsFunction: a.releaseFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return perform(a, cmd, args, func(ctx context.Context, p *release.Project) (*release.Released, error) {
				return p.Release(ctx, a.fromHere(p, args[0]))
			}, func(p *release.Project, made *release.Released) {
				a.printf("released %s %s\n  %s\n  tag %s at %.12s\n", made.Project, made.Version, shown(made.Where), made.Tag, made.Commit)
				for _, img := range made.Images {
					a.printf("  image %s\n", img)
				}
				for _, img := range made.ImageTags {
					a.printf("  moved %s\n", img)
				}
				a.inputs(made.Inputs)
				if len(made.Markers) > 0 {
					a.printf("  markers %s\n", strings.Join(made.Markers, ", "))
				}
				var push []string
				if _, ok := p.Repo.RemoteURL(cmd.Context()); ok && !made.Pushed {
					push = append(push, "git push origin "+made.Tag)
				}
				a.next(append(push, "sello verify "+release.ShellWord(shown(made.Where))+" --trust "+release.TrustFile)...)
			})
		},
	}
	a.tokenFlag(cmd)
	return cmd
}

// releaseFiles completes the names of release files.
func (a *app) releaseFiles(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	p, err := a.open(cmd.Context())
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	files, err := p.Proposals(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return files, cobra.ShellCompDirectiveNoFileComp
}

// count renders a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// size renders bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, suffix := float64(n)/unit, 0
	for v >= unit && suffix < 3 {
		v /= unit
		suffix++
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGT"[suffix])
}
