package vuln

import (
	"fmt"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
)

// StatementType is the predicate type of a statement about vulnerabilities. See in-toto's predicate vulns, v0.2.
const StatementType = "https://in-toto.io/attestation/vulns/v0.2"

// Predicate is an in-toto vulns v0.2 predicate.
type Predicate struct {
	Scanner  Scanner  `json:"scanner"`
	Metadata Metadata `json:"metadata"`
}

// Scanner says who looked, in what, and what was found.
type Scanner struct {
	URI     string    `json:"uri"`
	Version string    `json:"version,omitempty"`
	DB      ScannerDB `json:"db"`
	Result  []Result  `json:"result"`
}

// ScannerDB is the database.
type ScannerDB struct {
	URI        string    `json:"uri,omitempty"`
	Version    string    `json:"version,omitempty"`
	LastUpdate time.Time `json:"lastUpdate"`
}

// Result is one vulnerability.
type Result struct {
	ID          string              `json:"id"`
	Severity    []Score             `json:"severity"`
	Annotations []map[string]string `json:"annotations,omitempty"`
}

// Score is a severity by some method.
type Score struct {
	Method string `json:"method"`
	Score  string `json:"score"`
}

// Metadata is when it was looked.
type Metadata struct {
	ScanStartedOn  time.Time `json:"scanStartedOn"`
	ScanFinishedOn time.Time `json:"scanFinishedOn"`
}

// Statement makes an in-toto statement of the report, about subjects; nil takes the report's targets.
func (r *Report) Statement(subjects []attest.Subject, version string) (attest.Statement[Predicate], error) {
	if subjects == nil {
		for _, t := range r.Targets {
			if t.SHA256 != "" {
				subjects = append(subjects, attest.Subject{Name: t.Name, Digest: map[string]string{"sha256": t.SHA256}})
			}
		}
	}
	p := Predicate{
		Scanner:  Scanner{URI: "https://github.com/sello-release/sello", Version: version, DB: ScannerDB{URI: r.Database.URI, LastUpdate: r.Database.LastUpdate.UTC().Truncate(time.Second)}, Result: []Result{}},
		Metadata: Metadata{ScanStartedOn: r.Started.Truncate(time.Second), ScanFinishedOn: r.Finished.Truncate(time.Second)},
	}
	for _, f := range r.Findings {
		p.Scanner.Result = append(p.Scanner.Result, f.result())
	}
	return attest.NewStatement(subjects, StatementType, p)
}

func (f Finding) result() Result {
	out := Result{ID: f.ID, Severity: []Score{}}
	if f.Severity.Vector != "" {
		method, _, ok := strings.Cut(f.Severity.Vector, "/")
		if !ok || !strings.HasPrefix(method, "CVSS:") {
			method = "CVSS:2.0"
		}
		out.Severity = append(out.Severity, Score{Method: method, Score: fmt.Sprintf("%.1f", f.Severity.Score)})
	} else if f.Severity.Level != LevelUnknown {
		out.Severity = append(out.Severity, Score{Method: "level", Score: string(f.Severity.Level)})
	}
	note := func(key, value string) {
		if value != "" {
			out.Annotations = append(out.Annotations, map[string]string{"name": key, "value": value})
		}
	}
	note("package", f.Package.String())
	note("ecosystem", f.Package.Ecosystem)
	note("aliases", strings.Join(f.Aliases, " "))
	note("fixed", strings.Join(f.Fixed, " "))
	note("reach", string(f.Reach))
	note("undecided", f.Undecided)
	note("where", strings.Join(f.Where, " "))
	if d := f.Decision; d != nil {
		note("vex", strings.TrimSpace(d.Status+" "+d.Justification))
		note("decided by", d.By)
	}
	return out
}
