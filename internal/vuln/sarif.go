package vuln

import (
	"cmp"
	"fmt"
	"strings"
)

// Sarif is a SARIF 2.1.0 log of one run, with as much of the format as findings need.
type Sarif struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	} `json:"driver"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID         string         `json:"id"`
	Short      sarifText      `json:"shortDescription"`
	Full       sarifText      `json:"fullDescription"`
	HelpURI    string         `json:"helpUri,omitempty"`
	Properties map[string]any `json:"properties,omitempty"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	} `json:"physicalLocation"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification,omitempty"`
}

// Sarif gives the report as SARIF 2.1.0: an error where the policy refuses, a note where somebody has decided, else a warning.
func (r *Report) Sarif(version string) Sarif {
	run := sarifRun{Results: []sarifResult{}}
	d := &run.Tool.Driver
	d.Name, d.Version, d.InformationURI, d.Rules = "sello", version, "https://github.com/sello-release/sello", []sarifRule{}
	index := map[string]int{}
	for _, f := range r.Findings {
		i, ok := index[f.ID]
		if !ok {
			i = len(d.Rules)
			index[f.ID] = i
			d.Rules = append(d.Rules, f.rule())
		}
		run.Results = append(run.Results, f.sarif(i))
	}
	return Sarif{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

func (f Finding) rule() sarifRule {
	text := cmp.Or(f.Summary, f.ID)
	r := sarifRule{ID: f.ID, Short: sarifText{text}, Full: sarifText{text}, HelpURI: "https://osv.dev/vulnerability/" + f.ID}
	if f.Severity.Score > 0 {
		r.Properties = map[string]any{"security-severity": fmt.Sprintf("%.1f", f.Severity.Score), "tags": []string{"security"}}
	}
	return r
}

func (f Finding) sarif(rule int) sarifResult {
	text := fmt.Sprintf("%s has %s (%s)", f.Package, f.ID, f.Weight())
	if f.Undecided != "" {
		text += "; not sure: " + f.Undecided
	}
	if len(f.Fixed) > 0 {
		text += "; fixed in " + strings.Join(f.Fixed, ", ")
	}
	out := sarifResult{RuleID: f.ID, RuleIndex: rule, Level: "warning", Message: sarifText{text}, Fingerprints: map[string]string{"finding/v1": f.ID + " " + f.Package.String()}, Locations: []sarifLocation{}}
	switch {
	case f.Offends:
		out.Level = "error"
	case f.Decision != nil && f.Decision.Settles():
		out.Level = "note"
		out.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: strings.TrimSpace(f.Decision.Status + " " + f.Decision.Justification + " " + f.Decision.Text)}}
	}
	for _, name := range f.Where {
		var l sarifLocation
		l.Physical.Artifact.URI, l.Physical.Region.StartLine = name, 1
		out.Locations = append(out.Locations, l)
	}
	return out
}
