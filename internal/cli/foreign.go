package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/provenance"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/strictyaml"
	"github.com/sello-release/sello/verify"
)

// foreignFlags are those of `sello verify` for files of other projects.
type foreignFlags struct {
	provenance []string
	vsa        string
	policy     string
}

func (f *foreignFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.provenance, "provenance", nil, "attestations by another builder; may be given again")
	cmd.Flags().StringVar(&f.vsa, "vsa", "", "verification summary to believe instead of the evidence")
	cmd.Flags().StringVar(&f.policy, "policy", "", "what they have to say, and by whom")
	_ = cmd.MarkFlagFilename("policy", "yaml", "yml")
}

func (f *foreignFlags) given() bool { return len(f.provenance) > 0 || f.vsa != "" || f.policy != "" }

// own holds for a summary without a policy: it has to be the project's own gate's.
func (f *foreignFlags) own() bool { return f.vsa != "" && f.policy == "" && len(f.provenance) == 0 }

// judgedBy refuses what would change by what is judged without anybody seeing it: a level that is none, and a release that is asked for where
// none is looked at.
func judgedBy(cmd *cobra.Command, want verify.Options, release bool) error {
	switch {
	case cmd.Flags().Changed("min-level") && want.MinLevel < 1 || want.MinLevel > 3:
		return usage(fmt.Sprintf("there is no SLSA Build level %d", want.MinLevel), "give --min-level 1, 2 or 3")
	case release:
		return usage("--require-release insists on a release and its sign-offs, and neither --vsa nor --provenance looks at them", "leave out one of them: sello verify FILE-OR-FOLDER --trust trust.yaml --require-release")
	}
	return nil
}

// verifyForeign verifies a file of another project by a policy.
func (a *app) verifyForeign(ctx context.Context, arg, trustFile, root string, f foreignFlags, want verify.Options, issue summaryFlags, verbose bool) error {
	switch {
	case want.Version != "" || want.MinLevel != 0:
		return usage("--version and --min-level are for releases of Sello's; the policy says what is enough", "write expect: or levels: into "+f.policy)
	case trustFile != "":
		return usage("a trust file and a policy cannot both judge", "give --trust for a release of Sello's, or --policy for anything else")
	case f.policy == "":
		return usage("there is no policy to judge it by", "sello verify "+arg+" --provenance B --policy policy.yaml   # sello schema policy")
	case (len(f.provenance) == 0) == (f.vsa == ""):
		return usage("the policy judges either provenance or a verification summary", "sello verify "+arg+" --policy "+f.policy+" --provenance B   # or --vsa V")
	}
	o, err := readPolicy(ctx, f.policy, root)
	if err != nil {
		return err
	}
	if err := a.by(&issue, f.policy, o.Policy, nil); err != nil {
		return err
	}
	file, err := namedOf(ctx, arg, f.vsa != "")
	if err != nil {
		return err
	}
	judge, paths := verify.Provenance, f.provenance
	if f.vsa != "" {
		judge, paths = verify.Summary, []string{f.vsa}
	}
	var evidence []verify.Evidence
	for _, path := range paths {
		data, err := readSome(ctx, path, sign.MaxBundle)
		if err != nil {
			return err
		}
		evidence = append(evidence, verify.Evidence{Name: path, Content: data})
	}
	report, err := judge(file, evidence, o)
	if err != nil {
		return err
	}
	report.Artifact = arg
	return a.conclude(ctx, report, issue, verbose)
}

// namedOf is digestsOf that also takes what summaries call an image of Google's virtual machines, which has no digest.
func namedOf(ctx context.Context, arg string, summary bool) (verify.Digests, error) {
	if id, ok := strings.CutPrefix(arg, gceImage+":"); ok && summary && id != "" {
		return verify.Digests{gceImage: id}, nil
	}
	return digestsOf(ctx, arg)
}

const gceImage = "gce_image_id"

// readPolicy reads a policy, and the trusted root that it names from beside it or from the path given.
func readPolicy(ctx context.Context, path, root string) (verify.PolicyOptions, error) {
	o := verify.PolicyOptions{PolicyName: path}
	var err error
	if o.Policy, err = readSome(ctx, path, strictyaml.MaxSize); err != nil {
		return o, err
	}
	p, err := provenance.ParsePolicy(path, o.Policy)
	if err != nil {
		return o, err
	}
	if p.TrustedRoot == nil && root == "" {
		return o, nil
	}
	o.TrustedRoot, err = readRoot(ctx, path, root, p.TrustedRoot)
	return o, err
}
