package deps

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/decision"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom/query"
	"github.com/sello-release/sello/internal/strictyaml"
	"github.com/sello-release/sello/internal/trust"
)

// What an approval is for.
const (
	ForDirect  = "direct"  // a direct dependency
	ForLicense = "license" // its licence
	ForModule  = "module"  // that the policy denies it, or does not allow it
	ForSource  = "source"  // where it comes from, what it stands in for, that nobody vouches for it
	ForAge     = "age"     // its age
)

// Purposes are all that an approval can be for.
var Purposes = []string{ForDirect, ForLicense, ForModule, ForSource, ForAge}

// AnyVersion approves every version, and what has none.
const AnyVersion = "any"

// Approval is a document below dependencies/: what a release manager approves. It counts with a signature beside it, which sello deps approve and sello deps sign make.
type Approval struct {
	// Modules are what is approved.
	Modules []ApprovedModule `yaml:"modules" jsonschema:"minItems=1"`
	// Reason is why.
	Reason string `yaml:"reason" example:"The command line of our tools"`
}

// ApprovedModule is a dependency that is approved.
type ApprovedModule struct {
	// Module is its name: a module path, or a package URL without a version for other languages. Nothing stands for anything here.
	Module string `yaml:"module" example:"github.com/spf13/cobra"`
	// Versions are comparisons, all of which have to hold; or any.
	Versions string `yaml:"versions" example:"'>=v1.8.0 <v2.0.0-0'"`
	// For says what is approved: a direct dependency, its license, its source (also that it replaces another, or that nobody vouches for it), its age, or the module although the policy denies it. Default: [direct].
	For []string `yaml:"for,omitempty" jsonschema:"enum=direct,enum=license,enum=module,enum=source,enum=age,minItems=1,uniqueItems=true"`
}

// ParseApproval reads an approval. The error is a strictyaml.Errors with every refusal.
func ParseApproval(name string, data []byte) (*Approval, error) {
	var a Approval
	doc, err := strictyaml.Decode(name, data, &a)
	if doc == nil {
		return nil, err
	}
	c := checker{doc, "approval-invalid"}
	c.text("reason", a.Reason)
	c.count("modules", len(a.Modules))
	for i, m := range a.Modules[:min(len(a.Modules), maxEntries)] {
		at := fmt.Sprintf("modules[%d]", i)
		c.name(at+".module", m.Module)
		if strings.Contains(m.Module, "*") {
			c.refuse(at+".module", "an approval names what it approves", "a whole name, without *", m.Module, "list the modules one by one")
		}
		if m.Versions != AnyVersion {
			c.versions(at+".versions", m.Versions)
		}
		for k, word := range m.For {
			if !slices.Contains(Purposes, word) || slices.Contains(m.For[:k], word) {
				c.refuse(fmt.Sprintf("%s.for[%d]", at, k), "this is not what something can be approved for, or is there twice", "one of "+strings.Join(Purposes, ", "), word, "")
			}
		}
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return &a, nil
}

// Encode writes an approval as YAML that ParseApproval takes.
func (a *Approval) Encode() []byte {
	var b strings.Builder
	b.WriteString("modules:\n")
	for _, m := range a.Modules {
		fmt.Fprintf(&b, "  - module: %s\n    versions: %s\n", quoted(m.Module), quoted(m.Versions))
		if len(m.For) > 0 {
			fmt.Fprintf(&b, "    for: [%s]\n", strings.Join(m.For, ", "))
		}
	}
	fmt.Fprintf(&b, "reason: %s\n", quoted(a.Reason))
	return []byte(b.String())
}

// quoted writes YAML's single-quoted text.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Approved is what release managers approved, in all documents that count.
type Approved struct {
	// Ignored says which documents do not count, and why.
	Ignored []string

	given []given
}

type given struct {
	ApprovedModule
	document, by string
	holds        func(version string) bool
}

// Add adds a document if its signature counts, and else says in Ignored why it does not. A document that cannot be read is an error.
func (s *Approved) Add(name string, data, bundle []byte, t *trust.Trust, project string, now time.Time) error {
	a, err := ParseApproval(name, data)
	if err != nil {
		return err
	}
	if bundle == nil {
		s.Ignored = append(s.Ignored, name+": "+decision.Reason(decision.Approval.Unsigned(name)))
		return nil
	}
	e, err := decision.Approval.Judge(data, bundle, t, project, now)
	if err != nil {
		s.Ignored = append(s.Ignored, name+": "+decision.Reason(err))
		return nil //nolint:nilerr // it does not count, and that is said
	}
	for _, m := range a.Modules {
		holds, err := query.Range(m.Versions)
		if m.Versions == AnyVersion {
			holds, err = func(string) bool { return true }, nil
		}
		if err != nil {
			return err
		}
		if len(m.For) == 0 {
			m.For = []string{ForDirect}
		}
		s.given = append(s.given, given{m, name, e.Identity, holds})
	}
	return nil
}

// by gives one approval of each manager (of those in among, when it is not empty) that lets the dependency through.
func (s *Approved) by(d *Dependency, purpose string, among []string) []given {
	if s == nil {
		return nil
	}
	var out []given
	for _, g := range s.given {
		if g.Module == d.Name && g.holds(d.Version) && slices.Contains(g.For, purpose) && (len(among) == 0 || slices.Contains(among, g.by)) &&
			!slices.ContainsFunc(out, func(o given) bool { return o.by == g.by }) {
			out = append(out, g)
		}
	}
	return out
}

// From gives the range of a version and later ones of its major version, for a module's approval.
func From(version string) string {
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	n := 0
	if _, err := fmt.Sscanf(major, "%d", &n); err != nil {
		return "=" + version
	}
	return fmt.Sprintf(">=%s <v%d.0.0-0", version, n+1)
}

// Missing refuses an approval that is not there.
func Missing(name string) error {
	return &gate.Refusal{Code: "file-missing", Class: gate.Usage, Where: name, What: "there is no such approval", Expected: "an approval below " + Folder + "/", Fix: "give the path of one that is there"}
}
