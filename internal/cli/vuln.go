package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/inventory"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/ui"
	"github.com/sello-release/sello/internal/vex"
	"github.com/sello-release/sello/internal/vuln"
)

// vulnFlags are what `sello vuln` takes.
type vulnFlags struct {
	db, asOf, fail, format, trust string
	vex, products                 []string
}

func (a *app) vulnCommand() *cobra.Command {
	var f vulnFlags
	cmd := &cobra.Command{
		Use:   "vuln FILE|FOLDER|IMAGE",
		Short: "Look for known vulnerabilities in a program, an SBOM, a stage or a release",
		Long: `Vuln looks the packages of a Go program, of an SPDX or CycloneDX document, or of a
folder of them (a stage, a release) up in a database of vulnerabilities, and has
exit code 3 when the policy refuses what it finds. In a folder with a go.mod it
takes what that requires; of an archive, an OCI image layout, an image in a
registry (host/repository:tag) or the root of a file system, what it consists of.

The database is a folder: OSV records, the zips that OSV publishes, or Go's
database. Or the URL of an OSV API, which is told the names of all packages; it is
asked for no other reason than that you name it.

For Go programs a finding says how far it reaches: called (a vulnerable symbol is
in the program), imported (its package is), required (neither), or unknown, which
a policy takes for called.

With --trust, only documents count that a release manager of that trust file has
signed and that have not expired; without, --vex is believed as it is.`,
		Example: "  sello vuln bin/hello --db ~/osv\n  sello vuln hello_v1.4.2.spdx.json --db ~/osv --fail high --format sarif\n  sello vuln ./v1.4.2 --db ~/osv --vex GO-2026-1.openvex.json --trust trust.yaml",
		Args:    takes(1, 1, "FILE|FOLDER|IMAGE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, set, err := a.vulnOptions(cmd.Context(), f)
			if err != nil {
				return err
			}
			targets, err := a.vulnTargets(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			report, err := vuln.Check(cmd.Context(), targets, o)
			if err != nil {
				return err
			}
			report.Notes = append(append(report.Notes, set.Ignored...), set.Unused()...)
			if err := a.showVulnerabilities(report, f.format); err != nil {
				return err
			}
			return report.Err(args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.db, "db", "", "database: a folder, a zip, or the https URL of an OSV API")
	flags.StringVar(&f.asOf, "as-of", "72h", "how old the database may be, such as 72h or 3d; 0 for any age")
	flags.StringVar(&f.fail, "fail", string(vuln.Reachable), "what is refused: reachable, high, any or never")
	flags.StringVar(&f.format, "format", "table", "report as table, json, sarif, or statement (in-toto)")
	flags.StringArrayVar(&f.vex, "vex", nil, "OpenVEX document with decisions; may be repeated")
	flags.StringVar(&f.trust, "trust", "", "trust file: only documents that its managers signed count")
	flags.StringArrayVar(&f.products, "product", nil, "package URL that documents know this by, such as pkg:generic/hello@v1.4.2")
	_ = cmd.RegisterFlagCompletionFunc("fail", cobra.FixedCompletions(vuln.Thresholds, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(vulnFormats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// vulnTargets finds what can be checked, here or, when the argument names an image and no file, in a registry.
func (a *app) vulnTargets(ctx context.Context, arg string) ([]vuln.Target, error) {
	ref, ok := imageReference(arg)
	if !ok {
		return vuln.Read(ctx, arg)
	}
	doc, sum, err := a.describeImage(ctx, ref, inventory.Options{Meta: sbom.Meta{Created: time.Unix(0, 0)}})
	if err != nil {
		return nil, err
	}
	t, err := vuln.OfDocument(arg, sum, doc)
	return []vuln.Target{t}, err
}

var vulnFormats = []string{"table", "json", "sarif", "statement"}

// vulnOptions turns flags into what is asked for.
func (a *app) vulnOptions(ctx context.Context, f vulnFlags) (o vuln.Options, set *vex.Set, err error) {
	switch {
	case f.db == "":
		return o, nil, usage("it is not said which database of vulnerabilities to ask", "add --db FOLDER, a mirror of OSV or of Go's database, or --db https://api.osv.dev")
	case slices.Contains([]string{"low", "medium", "critical"}, f.fail):
		return o, nil, usage(fmt.Sprintf("--fail does not take %q", f.fail), "high refuses high and critical ones, any refuses all; or one of "+strings.Join(vuln.Thresholds, ", "))
	case !slices.Contains(vuln.Thresholds, f.fail):
		return o, nil, usage(fmt.Sprintf("--fail does not take %q%s", f.fail, didYouMean(f.fail, vuln.Thresholds)), "one of "+strings.Join(vuln.Thresholds, ", "))
	case !slices.Contains(vulnFormats, f.format):
		return o, nil, usage(fmt.Sprintf("--format does not take %q%s", f.format, didYouMean(f.format, vulnFormats)), "one of "+strings.Join(vulnFormats, ", "))
	}
	o = vuln.Options{Fail: vuln.Threshold(f.fail), Now: time.Now(), Symbols: readSymbols}
	if o.AsOf, err = age(f.asOf); err != nil || o.AsOf < 0 {
		return o, nil, usage(fmt.Sprintf("--as-of %q is no duration", f.asOf), "write hours or days, such as 72h or 3d")
	}
	if o.Database, err = osv.Open(f.db); err != nil {
		return o, nil, err
	}
	set = &vex.Set{Products: f.products}
	o.Triage = set
	return o, set, a.readVEX(ctx, f, set, o.Now)
}

// age reads a duration, which may be in days.
func age(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

// until shows the end of a decision: the day, and the time when it is near.
func until(t time.Time) string {
	if left := time.Until(t); left < 48*time.Hour && left > -48*time.Hour {
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return t.UTC().Format(time.DateOnly)
}

// readVEX reads the documents with decisions.
func (a *app) readVEX(ctx context.Context, f vulnFlags, set *vex.Set, now time.Time) error {
	var t *trust.Trust
	if f.trust != "" {
		var err error
		if _, t, err = a.readTrust(ctx, f.trust, ""); err != nil {
			return err
		}
		if err := t.Check(now); err != nil {
			return err
		}
		set.Products = append(set.Products, "pkg:generic/"+t.Project)
	}
	for _, name := range f.vex {
		document, bundle, err := vex.ReadFile(name)
		if err != nil {
			return err
		}
		if t == nil {
			err = set.AddPlain(name, document)
		} else {
			err = set.AddSigned(name, document, bundle, t, t.Project, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// showVulnerabilities prints the report in the format asked for; --output json asks for JSON.
func (a *app) showVulnerabilities(r *vuln.Report, format string) error {
	if format == "table" && a.output != "json" {
		a.vulnTable(r)
		return nil
	}
	a.answered = true // a refusal is on standard error, and in the exit code
	switch format {
	case "sarif":
		return encode(a.streams.Out, r.Sarif(a.build.Version))
	case "statement":
		s, err := r.Statement(nil, a.build.Version)
		if err != nil {
			return err
		}
		data, err := s.Encode()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.streams.Out, "%s\n", data)
		return err
	}
	return encode(a.streams.Out, r)
}

func (a *app) vulnTable(r *vuln.Report) {
	var rows []ui.Row
	offending := 0
	for _, f := range r.Findings {
		row := ui.Row{Status: "warn", Name: f.ID, Detail: fmt.Sprintf("%s: %s", f.Package, f.Weight())}
		switch {
		case f.Offends:
			row.Status = "fail"
			offending++
		case f.Decision != nil && f.Decision.Settles():
			row.Status = "skip"
		}
		row.Notes = vulnNotes(f)
		rows = append(rows, row)
	}
	ui.Table(a.streams.Out, rows)
	for _, n := range r.Notes {
		a.printf("note: %s\n", ui.Escape(n))
	}
	a.printf("%d packages of %d files, database of %s: %d findings, %d refused (fail: %s)\n", r.Packages, len(r.Targets), r.Database.LastUpdate.Format("2006-01-02"), len(r.Findings), offending, r.Fail)
}

func vulnNotes(f vuln.Finding) (notes []string) {
	add := func(key, value string) {
		if value != "" {
			notes = append(notes, key+": "+value)
		}
	}
	add("what", f.Summary)
	add("also", strings.Join(f.Aliases, ", "))
	add("fixed in", strings.Join(f.Fixed, ", "))
	add("symbols", strings.Join(f.Symbols, ", "))
	add("not sure", f.Undecided)
	if len(f.Where) > 3 {
		f.Where = append(f.Where[:3:3], fmt.Sprintf("%d more", len(f.Where)-3))
	}
	add("in", strings.Join(f.Where, ", "))
	if d := f.Decision; d != nil {
		text := strings.TrimSpace(d.Status + " " + d.Justification)
		if d.Text != "" {
			text += ": " + d.Text
		}
		if d.By != "" {
			text += fmt.Sprintf(" (%s, until %s)", d.By, until(d.Expires))
		}
		add("decided", text)
	}
	return notes
}
