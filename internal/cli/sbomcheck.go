package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/check"
	"github.com/sello-release/sello/internal/sbom/format"
	"github.com/sello-release/sello/internal/ui"
	"github.com/sello-release/sello/verify"
)

// Codes of the refusals of sello sbom validate.
const (
	codeInvalidSBOM = "sbom-invalid"
	codeOtherThing  = "sbom-differs"
)

// validated is the answer of sello sbom validate.
type validated struct {
	Format   string          `json:"format"`
	Findings []check.Finding `json:"findings"`
	Against  *check.Compared `json:"against,omitempty"`
}

func (a *app) sbomValidateCommand() *cobra.Command {
	var against string
	cmd := &cobra.Command{
		Use:   "validate SBOM",
		Short: "Check a bill of materials, by itself or against the thing",
		Long: `Validate reads a bill of materials as strictly as its format asks for, and then
looks at what types do not say: identifiers, relations that lead nowhere or in a
circle, checksums, package URLs, licence expressions, verification codes.

--against FILE|FOLDER|LAYOUT describes the thing anew and compares: what is
missing in the document, what is extra in it, what changed. Compared are files
by name and digest, packages by package URL (by name and version where they have
none), and licences where both know one; of a package of which the thing tells
no version, only the rest. A refusal has exit code 3.`,
		Example: "  sello sbom validate hello.spdx.json\n  sello sbom validate hello.spdx.json --against hello_v1.4.2_linux_amd64.tar.gz",
		Args:    takes(1, 1, "SBOM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := a.readSBOM(args[0])
			if err != nil {
				return err
			}
			v := validated{Format: doc.Format, Findings: check.Document(doc)}
			if v.Findings == nil {
				v.Findings = []check.Finding{}
			}
			if against != "" {
				made, err := a.describe(cmd.Context(), against, sbomFlags{files: true, out: args[0]})
				if err != nil {
					return err
				}
				compared := check.Against(doc, made)
				v.Against = &compared
			}
			if err := a.result(v, func() { a.showValidated(args[0], v) }); err != nil {
				return err
			}
			return v.refusal(args[0], against)
		},
	}
	cmd.Flags().StringVar(&against, "against", "", "compare with this file, folder, archive, image layout or stage")
	return cmd
}

func (a *app) showValidated(path string, v validated) {
	rows := []ui.Row{{Status: verify.Pass, Name: "format", Detail: v.Format}}
	for _, f := range v.Findings {
		row := ui.Row{Status: "warn", Name: f.Code, Detail: f.What}
		if f.Grave {
			row.Status = verify.Fail
		}
		if f.Where != "" {
			row.Notes = []string{"where: " + f.Where}
		}
		rows = append(rows, row)
	}
	if c := v.Against; c != nil {
		for _, d := range c.Differences {
			row := ui.Row{Status: verify.Fail, Name: d.Kind + " " + d.What, Detail: d.Name}
			if d.Kind == "changed" {
				row.Notes = []string{"document: " + d.Document, "found: " + d.Thing}
			}
			rows = append(rows, row)
		}
		rows = append(rows, comparedRow(c))
	}
	ui.Table(a.streams.Out, rows)
	if v.refusal(path, "") == nil {
		a.printf("VALID  %s\n", ui.Escape(path))
	}
}

// comparedRow says what was compared, and what was not.
func comparedRow(c *check.Compared) ui.Row {
	row := ui.Row{Status: verify.Pass, Name: "compared", Detail: fmt.Sprintf("digests of %d files, names, versions and licences of %d packages", c.Files, c.Packages)}
	if len(c.Differences) > 0 {
		row.Status = verify.Fail
	}
	if c.Unlisted {
		row.Detail = fmt.Sprintf("names, versions and licences of %d packages; the document lists no files", c.Packages)
	}
	for _, name := range c.Apart {
		row.Notes = append(row.Notes, "not compared: what is in "+name+", of which another document lists the files")
	}
	return row
}

func (v validated) refusal(path, against string) error {
	grave := 0
	for _, f := range v.Findings {
		if f.Grave {
			grave++
		}
	}
	if grave > 0 {
		return &gate.Refusal{Code: codeInvalidSBOM, What: "the bill of materials is not valid", Where: path, Actual: fmt.Sprintf("%d grave findings", grave),
			Fix: "have it made again by whoever made it; sello sbom convert mends identifiers"}
	}
	if c := v.Against; c != nil && len(c.Differences) > 0 {
		return &gate.Refusal{Code: codeOtherThing, What: "the bill of materials does not describe this", Where: path, Expected: "what is in " + against,
			Actual: fmt.Sprintf("%d differences", len(c.Differences)), Fix: "describe it again: sello sbom " + against}
	}
	return nil
}

func (a *app) sbomConvertCommand() *cobra.Command {
	var f sbomFlags
	cmd := &cobra.Command{
		Use:   "convert SBOM",
		Short: "Write a bill of materials in another format",
		Long: `Convert reads a bill of materials in any format that is read and writes it in
one that is written. What a format has no field for stands in properties,
annotations or comments of the other. What is not read, such as services and
vulnerabilities, is named on standard error and in a note of the document.`,
		Example: "  sello sbom convert hello.spdx.json --format cyclonedx --out hello.cdx.json",
		Args:    takes(1, 1, "SBOM"),
		RunE: func(_ *cobra.Command, args []string) error {
			doc, err := a.readSBOM(args[0])
			if err != nil {
				return err
			}
			a.noteLeftOut(doc, args[0])
			doc.Sort()
			return a.writeSBOM(doc, f)
		},
	}
	f.bind(cmd)
	return cmd
}

// noteLeftOut says in the document and on standard error what of the one that was read is lost.
func (a *app) noteLeftOut(doc *sbom.Document, path string) {
	if len(doc.LeftOut) == 0 {
		return
	}
	what := strings.Join(doc.LeftOut, ", ")
	fmt.Fprintf(a.streams.Err, "note: left out of %s, since it is not read: %s\n", ui.Escape(path), ui.Escape(what))
	doc.Notes = append(doc.Notes, sbom.Note{Of: sbom.DocumentID, By: strings.TrimSuffix("Tool: sello-"+a.build.Version, "-"), Type: "OTHER", Time: doc.Created, Text: "Left out of the document that this one was made from: " + what})
}

func (a *app) sbomMergeCommand() *cobra.Command {
	var f sbomFlags
	cmd := &cobra.Command{
		Use:   "merge SBOM SBOM...",
		Short: "Make one bill of materials of several",
		Long: `Merge puts several bills of materials into one, which describes everything that
they describe. Packages and files that several have are in it once, and each
document that went in is named by its digest.`,
		Example: "  sello sbom merge a.spdx.json b.spdx.json --name hello --out hello.spdx.json",
		Args:    takes(2, 1000, "SBOM SBOM..."),
		RunE: func(_ *cobra.Command, args []string) error {
			var parts []sbom.Part
			for _, path := range args {
				doc, err := format.ReadFile(path)
				if err != nil {
					return err
				}
				a.noteLeftOut(doc, path)
				sums, err := digest.File(path)
				if err != nil {
					return err
				}
				parts = append(parts, sbom.Part{Doc: doc, SHA256: sums.SHA256})
			}
			name := f.name
			if name == "" {
				name = strings.SplitN(filepath.Base(args[0]), ".", 2)[0]
			}
			doc, err := sbom.Merge(name, parts, sbom.Tool{Name: "sello", Version: a.build.Version})
			if err != nil {
				return err
			}
			return a.writeSBOM(doc, f)
		},
	}
	f.bind(cmd)
	cmd.Flags().StringVar(&f.name, "name", "", "what to call the document (default: as the first file)")
	return cmd
}
