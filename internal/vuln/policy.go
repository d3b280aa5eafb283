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

// fix names an upgrade where there is one, and how to decide otherwise.
func fix(bad []Finding) string {
	decide := "have a manager decide: sello vex create --id " + bad[0].ID
	i := slices.IndexFunc(bad, func(f Finding) bool { return len(f.Fixed) > 0 })
	if i < 0 {
		return decide
	}
	f := bad[i]
	return fmt.Sprintf("upgrade %s to %s or later, and so on; or %s", f.Package.Name, f.Fixed[0], decide)
}
