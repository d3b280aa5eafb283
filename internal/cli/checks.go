package cli

import (
	"fmt"
	"strings"

	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/ui"
	"github.com/sello-release/sello/verify"
)

// held says in words what a check that passed means; its id names the failure, for scripts.
var held = map[string]string{
	"trust-expired":             "trust file is in force",
	"stage-missing":             "stage.json is there",
	"stage-not-canonical":       "stage.json is well-formed",
	"project-mismatch":          "project is the trusted one",
	"release-version-mismatch":  "version is the same",
	"source-mismatch":           "source is the canonical one",
	"certified-run":             "certificate is of the run that is described",
	"release-statement-missing": "release statement is there",
	"release-name-twice":        "release statement names each file once",
	"bad-json":                  "attestation is well-formed",
	"no-trusted-signer":         "signed by somebody trusted",
	"unsupported-payload-type":  "payload is an in-toto statement",
	"wrong-statement-type":      "statement is of a known version",
	"wrong-predicate":           "statement says the right kind of thing",
	"stage-artifact-unlisted":   "listed in stage.json",
	"stage-artifact-mismatch":   "digest is the staged one",
	"release-file-missing":      "nothing is missing",
	"release-file-extra":        "nothing is extra",
	"attestation-missing":       "provenance is there",
	"subject-mismatch":          "attestation is about these bytes",
	"builder-unknown":           "builder is a known one",
	"signer-builder-mismatch":   "signer may speak for the builder",
	"level-too-low":             "build level is enough",
	"buildtype-unexpected":      "build type is the expected one",
	"entrypoint-mismatch":       "entry point is the definition",
	"param-unexpected":          "no unknown parameters",
	"evidence-missing":          "evidence is complete",
	"checksum-mismatch":         "checksum file agrees",
	"log-proof-missing":         "proof of the transparency log is there",
	"log-proof-invalid":         "proof leads to the log's signed checkpoint",
	"log-entry-mismatch":        "release is in the transparency log",
	"witness-missing":           "witnesses have cosigned the log",
	"sign-off-missing":          "signed off by enough managers",
	"image-digest-mismatch":     "blobs are what their digests say",
	"image-mismatch":            "images are the staged ones",
	"image-unlisted":            "image belongs to the release",
	"image-missing":             "image is there",
	"ref-mismatch":              "branch or tag is the expected one",
	"vsa-missing":               "verification summary is there",
	"vsa-mismatch":              "plain summary is the same",
	"vsa-verifier-untrusted":    "verifier is a trusted one",
	"vsa-resource-mismatch":     "summary is about the expected resource",
	"vsa-failed":                "verification passed",
	"vsa-level":                 "stated levels are enough",
	"signature-invalid":         "certificate, signature, time and log entry hold",
}

// checkName is how a check is shown to people: what holds, or the code of what does not.
func checkName(c verify.Check) string {
	if text, ok := held[c.ID]; ok && c.Status == verify.Pass {
		return text
	}
	return c.ID
}

// row shows one check.
func row(c verify.Check) ui.Row {
	detail := c.What
	if c.Status == verify.Pass {
		detail = c.Actual
	}
	return ui.Row{Status: c.Status, Name: checkName(c), Detail: strings.TrimSpace(c.Subject + "  " + detail)}
}

// each shows every check by itself.
func each(checks []verify.Check) []ui.Row {
	var rows []ui.Row
	for _, c := range checks {
		rows = append(rows, row(c))
	}
	return rows
}

// summary shows what failed first, each by itself; then what was not decided, a line for each reason; then what
// holds, a line for each kind of evidence of which nothing failed.
func summary(checks []verify.Check) []ui.Row {
	var rows []ui.Row
	failed := map[string]bool{}
	for _, c := range checks {
		if c.Status == verify.Fail {
			failed[kindOf(c)] = true
			rows = append(rows, row(c))
		}
	}
	reasons, kinds := groups{}, groups{}
	for _, c := range checks {
		switch c.Status {
		case verify.Skip:
			reasons.add(c.What, c)
		case verify.Pass:
			if kind := kindOf(c); !failed[kind] {
				kinds.add(kind, c)
			}
		}
	}
	for _, g := range reasons.list {
		var ids []string
		for _, c := range g.checks {
			ids = append(ids, c.ID)
		}
		rows = append(rows, ui.Row{Status: verify.Skip, Name: "not checked", Detail: fmt.Sprintf("%s: %s", g.name, few(ids))})
	}
	for _, g := range kinds.list {
		rows = append(rows, ui.Row{Status: verify.Pass, Name: g.name, Detail: g.detail()})
	}
	return rows
}

// few names at most three things, each once.
func few(names []string) string {
	var out []string
	seen := map[string]bool{}
	for _, n := range names {
		if !seen[n] {
			out = append(out, n)
		}
		seen[n] = true
	}
	if len(out) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(out[:3], ", "), len(out)-3)
	}
	return strings.Join(out, ", ")
}

// groups are checks by name, in the order in which the names came.
type groups struct{ list []*group }

type group struct {
	name   string
	checks []verify.Check
}

func (g *groups) add(name string, c verify.Check) {
	for _, have := range g.list {
		if have.name == name {
			have.checks = append(have.checks, c)
			return
		}
	}
	g.list = append(g.list, &group{name, []verify.Check{c}})
}

// Kinds of evidence, as the summary names them.
const (
	kindTrust      = "trust file"
	kindStage      = "stage.json"
	kindRelease    = "release statement"
	kindSummary    = "summary"
	kindFiles      = "files"
	kindProvenance = "provenance"
	kindEvidence   = "evidence"
	kindChecksums  = "checksums"
	kindSignOffs   = "sign-offs"
	kindLog        = "transparency log"
)

// kindOf tells the kind of evidence that a check is about.
func kindOf(c verify.Check) string {
	switch c.ID {
	case "trust-expired":
		return kindTrust
	case "sign-off-missing":
		return kindSignOffs
	case "log-proof-missing", "log-proof-invalid", "log-entry-mismatch":
		return kindLog
	case "evidence-missing":
		return kindEvidence
	case "checksum-mismatch":
		return kindChecksums
	case "release-file-missing", "release-file-extra", "stage-artifact-unlisted", "stage-artifact-mismatch":
		return kindFiles
	}
	switch {
	case c.Subject == stage.FileName:
		return kindStage
	case verify.IsSummary(c.Subject):
		return kindSummary
	case c.Subject == stage.ReleaseBundle || strings.HasSuffix(c.Subject, kindRelease):
		return kindRelease
	}
	return kindProvenance
}

// detail says what the checks of a group were about, and how many they were.
func (g *group) detail() string {
	first := g.checks[0]
	text := first.Subject
	for _, c := range g.checks {
		if c.ID == "stage-not-canonical" || c.ID == "sign-off-missing" || c.ID == "trust-expired" {
			text = c.Actual
		}
	}
	switch g.name {
	case kindEvidence, kindChecksums:
		var all []string
		for _, c := range g.checks {
			all = append(all, c.Subject)
		}
		return strings.Join(all, ", ")
	case kindFiles:
		return text + ": none missing, changed or extra"
	case kindProvenance:
		return fmt.Sprintf("%s: signature, subject, builder, level, source and more, %d checks", text, len(g.checks))
	}
	return text
}

// highest is the level of a build that was isolated, by a builder that is trusted to do so.
const highest = "SLSA_BUILD_LEVEL_3"

// warnLevel says loudly what a lower level means.
func (a *app) warnLevel(level string) {
	if level != "" && level != highest {
		a.printf("WARNING   %s is below %s: the build was not isolated; it is worth as much as the machine that it ran on\n", level, highest)
	}
}

// built says who built a stage.
func (a *app) built(b release.Built) {
	a.printf("  built by %s, %s\n", ui.Escape(b.Builder), b.Level)
	a.warnLevel(b.Level)
}

// warnBuilt says who built a stage only when that is not as it should be.
func (a *app) warnBuilt(b release.Built) {
	if b.Level != highest {
		a.built(b)
	}
}
