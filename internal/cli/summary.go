package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
)

// summaryFlags are those of `sello verify` for who issues a verification summary of the verdict.
type summaryFlags struct{ release.SummaryOptions }

func (f *summaryFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Out, "vsa-out", "", "write a verification summary of the verdict to this file")
	cmd.Flags().StringVar(&f.Key, "vsa-key", "", "key that signs it: a file, or a service's URI")
	cmd.Flags().StringVar(&f.Verifier, "vsa-verifier", "", "URI of whoever issues it")
	cmd.Flags().StringVar(&f.Resource, "vsa-resource", "", "URI of what was verified (default: the release's)")
}

// by says by what is judged, and refuses flags that cannot lead to a summary.
func (a *app) by(f *summaryFlags, policy string, judged []byte, t *trust.Trust) error {
	if f.Out == "" {
		if f.Key != "" || f.Verifier != "" || f.Resource != "" {
			return usage("it is not said where the verification summary goes", "add --vsa-out vsa.sigstore.json, or vsa.intoto.jsonl for a plain envelope")
		}
		return nil
	}
	f.Policy, f.Judged, f.Trust, f.Tool, f.Ask, f.Now = policy, judged, t, a.build.Version, a.passphrase, time.Now()
	return f.Check()
}

// conclude shows a report and issues the summary of it that was asked for. The verdict decides how the program ends.
func (a *app) conclude(ctx context.Context, report *verify.Report, f summaryFlags, verbose bool) error {
	var issued error
	if f.Out != "" {
		issued = release.IssueSummary(ctx, report, f.SummaryOptions)
	}
	if err := a.result(report, func() { a.showReport(report, verbose) }); err != nil {
		return err
	}
	return errors.Join(report.Err(), issued)
}

// verifyBySummary verifies a file by a summary of its project's own gate.
func (a *app) verifyBySummary(cmd *cobra.Command, arg, vsa, trustFile, root string, o verify.Options, issue summaryFlags, verbose bool) error {
	data, t, err := a.readTrust(cmd.Context(), trustFile, root)
	if err != nil {
		return err
	}
	o.TrustFile, o.TrustName, o.TrustedRoot = data, trustPath(trustFile), t.Root()
	if err := a.by(&issue, trustPath(trustFile), data, t); err != nil {
		return err
	}
	file, err := digestsOf(cmd.Context(), arg)
	if err != nil {
		return err
	}
	summary, err := readSome(cmd.Context(), vsa, sign.MaxBundle)
	if err != nil {
		return err
	}
	report, err := verify.ProjectSummary(file, []verify.Evidence{{Name: vsa, Content: summary}}, o)
	if err != nil {
		return err
	}
	report.Artifact = arg
	return a.conclude(cmd.Context(), report, issue, verbose)
}

func trustPath(path string) string {
	if path == "" {
		return release.TrustFile
	}
	return path
}
