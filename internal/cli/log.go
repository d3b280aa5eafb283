package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust"
)

func (a *app) logCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "log", Short: "Look at the project's transparency log",
		Example: "  sello log audit", RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, Args: oneOfCommands}
	cmd.AddCommand(a.logAuditCommand())
	return cmd
}

func (a *app) logAuditCommand() *cobra.Command {
	var trustFile, save string
	var since []string
	cmd := &cobra.Command{
		Use:   "audit [BUCKET]",
		Short: "Compare the transparency log with the releases, and with what it was before",
		Long: `Audit reads the whole log, proves every entry, and compares the log with the
releases beside it: one that the log does not know, one that was taken away, and
one that was changed are each refused by name.

With --since it also has to be a continuation of what you saw before: a checkpoint
that --save kept, or the release.tlog-proof of a release that you have. Only that
finds a log that was replaced by another one under the same key, unless the
trust file names witnesses: then the log and its proofs need their cosignatures.

BUCKET is the production bucket, or what a web server publishes of it; without
it, that of the checkout. A web server lists nothing: it is asked for what the log
names, and a release that the log does not know cannot be seen. Nothing is
changed.`,
		Example: "  sello log audit --save seen.checkpoint\n  sello log audit https://dl.example.org --trust trust.yaml --since seen",
		Args:    takes(0, 1, "[BUCKET]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			seen, err := readSeen(since)
			if err != nil {
				return err
			}
			audit, err := a.auditLog(cmd, args, trustFile, seen)
			if err != nil {
				return err
			}
			if err := a.result(audit, func() { a.showAudit(audit) }); err != nil {
				return err
			}
			if err := audit.Err(); err != nil || save == "" {
				return err
			}
			if err := os.WriteFile(save, audit.Checkpoint, 0o644); err != nil {
				return fmt.Errorf("keep checkpoint: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&trustFile, "trust", "", "the project's trust file (default: the checkout's)")
	cmd.Flags().StringArrayVar(&since, "since", nil, "checkpoint or proof that you saw before; may be repeated")
	cmd.Flags().StringVar(&save, "save", "", "keep the checkpoint in this file if all is well")
	_ = cmd.MarkFlagFilename("trust", "yaml", "yml")
	return cmd
}

func (a *app) auditLog(cmd *cobra.Command, args []string, trustFile string, seen [][]byte) (*release.LogAudit, error) {
	if len(args) > 0 {
		_, t, err := a.readTrust(cmd.Context(), trustFile, "")
		if err != nil {
			return nil, err
		}
		return release.AuditLogAt(cmd.Context(), args[0], a.dir, t, seen...)
	}
	p, err := a.open(cmd.Context())
	if err != nil {
		return nil, err
	}
	var t *trust.Trust
	if trustFile != "" {
		if _, t, err = a.readTrust(cmd.Context(), trustFile, ""); err != nil {
			return nil, err
		}
	}
	return p.AuditLog(cmd.Context(), t, seen...)
}

// readSeen reads checkpoints and proofs that somebody kept.
func readSeen(paths []string) ([][]byte, error) {
	var out [][]byte
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && (!info.Mode().IsRegular() || info.Size() > tlog.MaxProof) {
			return nil, usage(path+" is no checkpoint", "give a file that --save wrote, or a release's "+tlog.ProofFile)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, usage("read "+path+": "+err.Error(), "give a file that --save wrote, or a release's "+tlog.ProofFile)
		}
		out = append(out, data)
	}
	return out, nil
}

func (a *app) showAudit(l *release.LogAudit) {
	a.printf("log       %s\n", l.Origin)
	a.printf("where     %s\n", l.Where)
	for _, key := range l.Keys {
		a.printf("key       %s\n", key)
	}
	a.printf("entries   %d under %s\n", l.Size, l.Root)
	if len(l.Cosigned) > 0 {
		a.printf("cosigned  by %s\n", strings.Join(l.Cosigned, ", "))
	}
	a.printf("releases  %s\n", orNone(l.Releases))
	if len(l.Promoted) > 0 {
		a.printf("promoted  %s, not released yet\n", orNone(l.Promoted))
	}
	if l.Compared > 0 {
		a.printf("compared  with %s\n", count(l.Compared, "earlier checkpoint"))
	}
	if !l.Listed {
		a.printf("note      a web server lists nothing: what the log does not know cannot be seen from here\n")
	}
	if l.Err() == nil {
		a.printf("GOOD      every entry has its file, and every release its files and entries; what is in them, sello verify looks at\n")
	}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
