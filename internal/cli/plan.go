package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/ui"
)

func (a *app) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [RELEASE-FILE]",
		Short: "Show what stage would do: steps, materials, artifacts, destinations",
		Long: `Plan shows what stage would do, with every default filled in, and changes
nothing. With a release file it reads that as stage does, from the release
branch, and refuses what stage would refuse. Without one it shows the plan for
the definition in the working tree.`,
		Example: "  sello plan\n  sello plan releases/v1.4.2.yaml",
		Args:    takes(0, 1, "[RELEASE-FILE]"), ValidArgsFunction: a.releaseFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			file := ""
			if len(args) == 1 {
				file = a.fromHere(p, args[0])
			}
			plan, err := p.Plan(cmd.Context(), file)
			if err != nil {
				return err
			}
			return a.result(plan, func() { a.showPlan(plan) })
		},
	}
	return cmd
}

func (a *app) showPlan(p *release.PlanView) {
	a.printf("%s %s\n", p.Project, p.Version)
	a.printf("  source       %s\n", p.Source)
	a.printf("  commit       %s\n", p.Commit)
	a.printf("  branch       %s\n", p.Branch)
	a.printf("  staging      %s\n", p.Staging)
	a.printf("  production   %s\n", p.Production)
	a.printf("  sign-offs    %s\n", p.SignOffs)
	for _, policy := range p.Depends {
		a.printf("  depends      %s\n", ui.Escape(policy))
	}
	a.inputs(p.Inputs)
	a.printf("materials known so far\n")
	for _, m := range p.Materials {
		a.printf("  %s\n", m)
	}
	a.printf("steps\n")
	for _, s := range p.Steps {
		a.printf("  %-36s %s\n", s.Name, s.Detail)
	}
	if len(p.Images) > 0 {
		a.printf("images, pushed by digest at promotion and tagged last\n")
	}
	for _, i := range p.Images {
		a.printf("  %s\n", i.Name)
		entrypoint := "the build's program, or the one that is called like the image"
		if len(i.Entrypoint) > 0 {
			entrypoint = strings.Join(i.Entrypoint, " ")
		}
		a.printf("    entrypoint  %s\n", strings.TrimSpace(entrypoint+" "+strings.Join(i.Command, " ")))
		a.printf("    user        %s\n", i.User)
		for _, tag := range i.Tags {
			a.printf("    tag         %s\n", tag)
		}
		for _, tag := range i.Moving {
			a.printf("    moving tag  %s\n", tag)
		}
	}
	a.printf("artifacts\n")
	for _, f := range p.Artifacts {
		a.printf("  %s\n", f)
	}
	a.printf("and with them\n")
	for _, f := range p.Besides {
		a.printf("  %s\n", f)
	}
}

func (a *app) buildCommand() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the working tree here, to try it; a snapshot, never released",
		Long: `Build compiles and packs what is in the working tree, committed or not, in the
same sandbox as a release, for this machine's platform or the one given. The
result is marked as a snapshot, has no provenance, and cannot be staged. Images
are written into an OCI image layout, for podman, skopeo and others to try; they
are pushed nowhere.`,
		Example: "  sello build\n  sello build --target linux/arm64",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			if target != "" && target != "all" {
				if _, err := definition.ParsePlatform(target); err != nil {
					return err
				}
			}
			return perform(a, cmd, args, func(ctx context.Context, p *release.Project) (*release.Snapshotted, error) {
				if err := a.setEngine(ctx, p); err != nil {
					return nil, err
				}
				return p.Snapshot(ctx, target)
			}, func(_ *release.Project, made *release.Snapshotted) {
				a.printf("built %s (a snapshot: not staged, not attested)\n", made.Version)
				for _, f := range made.Files {
					a.printf("  %-10s %s\n", size(f.Size), fmt.Sprintf("%s/%s", shown(made.Where), f.Name))
				}
				for _, i := range made.Images {
					a.printf("  %-10s %s@%s (%s)\n", "image", i.Name, i.Index, strings.Join(i.Platforms, ", "))
				}
				if len(made.Images) > 0 {
					a.printf("  images in the OCI layout %s, pushed nowhere; sello stage and sello promote publish\n", shown(made.Layout))
				}
				if len(made.Without) > 0 {
					a.printf("  not built: images that have no such platform: %s; sello build --target all builds them\n", strings.Join(made.Without, ", "))
				}
			})
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "platform as os/arch (default: this machine's), or all")
	a.engineFlag(cmd)
	return cmd
}
