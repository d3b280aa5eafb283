package vuln

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// Threshold says which findings are not let through.
type Threshold string

// Thresholds. Reachable refuses what is called, and what may be; High refuses high and critical ones, and those of an
// unknown severity; Any refuses all; Never lets all through.
const (
	Never     Threshold = "never"
	Reachable Threshold = "reachable"
	High      Threshold = "high"
	Any       Threshold = "any"
)

// Thresholds are all there are.
var Thresholds = []string{string(Reachable), string(High), string(Any), string(Never)}

// refuses holds for what the threshold does not let through. What is not known counts against the finding.
func (t Threshold) refuses(f Finding) bool {
	switch t {
	case Never:
		return false
	case Reachable:
		return f.Reach == Called || f.Reach == Unknown
	case High:
		return f.Severity.rank() >= LevelHigh.rank() || f.Severity.Level == LevelUnknown
	}
	return true
}

func (l Level) rank() int { return ranks[l] }

// Err refuses a report with findings that the policy does not let through.
func (r *Report) Err(where string) error {
	var bad []Finding
	for _, f := range r.Findings {
		if f.Offends {
			bad = append(bad, f)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	var said []string
	for _, f := range bad[:min(len(bad), 5)] {
		said = append(said, fmt.Sprintf("%s in %s (%s)", f.ID, f.Package, f.Weight()))
	}
	if len(bad) > 5 {
		said = append(said, fmt.Sprintf("and %d more", len(bad)-5))
	}
	return &gate.Refusal{Code: "vulnerability-found", Where: where, What: "known vulnerabilities are neither fixed nor decided about", Expected: "none that the policy (fail: " + string(r.Fail) + ") refuses",
		Actual: strings.Join(said, "; "), Fix: fix(bad)}
}

// fix names upgrades where there are some, and how to decide otherwise about the first.
func fix(bad []Finding) string {
	var upgrades []string
	more := 0
	for _, f := range bad {
		if len(f.Fixed) == 0 {
			continue
		}
		u := fmt.Sprintf("upgrade %s to %s or later", f.Package.Name, f.Fixed[0])
		switch {
		case slices.Contains(upgrades, u):
		case len(upgrades) < 3:
			upgrades = append(upgrades, u)
		default:
			more++
		}
	}
	if more > 0 {
		upgrades = append(upgrades, fmt.Sprintf("%d more", more))
	}
	component := bad[0].Component
	if strings.ContainsAny(component, "?&' ") {
		component = "'" + component + "'"
	}
	decide := "have a manager decide: sello vex create --id " + bad[0].ID + " --component " + component
	if len(upgrades) > 0 {
		return strings.Join(upgrades, "; ") + "; or " + decide
	}
	return decide
}
