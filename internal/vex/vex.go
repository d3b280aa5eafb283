// Package vex reads and writes OpenVEX documents (0.2.0): what somebody has decided about a vulnerability of a product.
//
// # Promises
//
// A document is plain OpenVEX, which other tools read. An exception is a document with a signature beside it
// (NAME.sigstore.json): an in-toto statement over the document's SHA-256 that says who decided, in which role, and until
// when. Only exceptions that a release manager signed and that have not expired count; every one that does not count is
// named with its reason.
//
// # Refusals
//
// vex-invalid and vex-version (not OpenVEX 0.2, or not a complete statement), vex-too-large; and for exceptions vex-unsigned,
// vex-not-manager, vex-identity, vex-other-document, vex-other-project, vex-expired, vex-future, vex-too-long, and the codes of
// package sign.
//
// # What it does not do
//
// It does not judge whether what is said is true. It does not read CSAF or CycloneDX's VEX.
package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// Context is the version of OpenVEX that is written.
const Context = "https://openvex.dev/ns/v0.2.0"

// Bounds of a document.
const (
	MaxSize       = 8 << 20
	maxStatements = 10_000
)

// Statuses and justifications of OpenVEX.
var (
	Statuses       = []string{NotAffected, Affected, Fixed, UnderInvestigation}
	Justifications = []string{"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path", "vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist"}
)

// What a statement can say.
const (
	NotAffected        = "not_affected"
	Affected           = "affected"
	Fixed              = "fixed"
	UnderInvestigation = "under_investigation"
)

// Document is an OpenVEX document.
type Document struct {
	Context     string      `json:"@context"`
	ID          string      `json:"@id"`
	Author      string      `json:"author"`
	Role        string      `json:"role,omitempty"`
	Timestamp   time.Time   `json:"timestamp"`
	LastUpdated time.Time   `json:"last_updated,omitzero"`
	Version     int         `json:"version"`
	Tooling     string      `json:"tooling,omitempty"`
	Statements  []Statement `json:"statements"`
}

// Statement says what a vulnerability is to products.
type Statement struct {
	ID              string        `json:"@id,omitempty"`
	Vulnerability   Vulnerability `json:"vulnerability"`
	Timestamp       time.Time     `json:"timestamp,omitzero"`
	Products        []Product     `json:"products,omitempty"`
	Status          string        `json:"status"`
	StatusNotes     string        `json:"status_notes,omitempty"`
	Justification   string        `json:"justification,omitempty"`
	ImpactStatement string        `json:"impact_statement,omitempty"`
	ActionStatement string        `json:"action_statement,omitempty"`
}

// Vulnerability names one.
type Vulnerability struct {
	ID          string   `json:"@id,omitempty"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Aliases     []string `json:"aliases,omitempty"`
}

// Product is what a statement is about.
type Product struct {
	Component
	Subcomponents []Component `json:"subcomponents,omitempty"`
}

// Component names software by its id, often a package URL, and by digests.
type Component struct {
	ID          string            `json:"@id,omitempty"`
	Identifiers map[string]string `json:"identifiers,omitempty"`
	Hashes      map[string]string `json:"hashes,omitempty"`
}

// Parse reads a document. where names it in refusals.
func Parse(data []byte, where string) (*Document, error) {
	if len(data) > MaxSize {
		return nil, &gate.Refusal{Code: "vex-too-large", Where: where, What: "an OpenVEX document is larger than any that is read", Expected: fmt.Sprintf("at most %d bytes", MaxSize), Actual: fmt.Sprint(len(data)), Fix: "split it"}
	}
	d := &Document{}
	if err := strictjson.Unmarshal(data, d); err != nil {
		return nil, invalid(where, err)
	}
	if version, ok := strings.CutPrefix(d.Context, "https://openvex.dev/ns/v"); !ok || !strings.HasPrefix(version, "0.2.") {
		return nil, &gate.Refusal{Code: "vex-version", Where: where, What: "this is no OpenVEX document of a version that is read here", Expected: "@context " + Context, Actual: fmt.Sprintf("%.100q", d.Context), Fix: "write it as OpenVEX 0.2.0"}
	}
	if err := d.check(); err != nil {
		return nil, invalid(where, err)
	}
	return d, nil
}

func invalid(where string, cause error) error {
	return &gate.Refusal{Code: "vex-invalid", Where: where, What: "an OpenVEX document does not say what it has to", Expected: "OpenVEX 0.2.0", Fix: "correct it; sello vex create writes one", Cause: cause}
}

// check holds a document to what OpenVEX asks for.
func (d *Document) check() error {
	switch {
	case d.ID == "":
		return errors.New("no @id")
	case d.Author == "":
		return errors.New("no author")
	case d.Timestamp.IsZero():
		return errors.New("no timestamp")
	case d.Version < 1:
		return errors.New("no version, or one below 1")
	case len(d.Statements) == 0:
		return errors.New("no statements")
	case len(d.Statements) > maxStatements:
		return fmt.Errorf("more than %d statements", maxStatements)
	}
	for i, s := range d.Statements {
		if err := s.check(); err != nil {
			return fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	return nil
}

func (s Statement) check() error {
	switch {
	case s.Vulnerability.Name == "":
		return errors.New("no vulnerability")
	case len(s.Products) == 0:
		return errors.New("no products: a statement without them says nothing about anything")
	case !slices.Contains(Statuses, s.Status):
		return fmt.Errorf("status %.60q is none of %s", s.Status, strings.Join(Statuses, ", "))
	case s.Justification != "" && s.Status != NotAffected:
		return fmt.Errorf("a justification with the status %s", s.Status)
	case s.Justification != "" && !slices.Contains(Justifications, s.Justification):
		return fmt.Errorf("justification %.60q is none of %s", s.Justification, strings.Join(Justifications, ", "))
	case s.Status == NotAffected && s.Justification == "" && strings.TrimSpace(s.ImpactStatement) == "":
		return errors.New("not_affected without a justification or an impact statement")
	case s.Status == Affected && strings.TrimSpace(s.ActionStatement) == "":
		return errors.New("affected without an action statement: what is done about it")
	}
	for _, p := range s.Products {
		if err := p.check(); err != nil {
			return err
		}
		for _, c := range p.Subcomponents {
			if err := c.check(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c Component) check() error {
	if c.ID == "" && c.Identifiers["purl"] == "" && len(c.Hashes) == 0 {
		return errors.New("a product with no id, package URL or hash")
	}
	for _, purl := range c.purls() {
		if _, err := packageurl.FromString(purl); err != nil {
			return fmt.Errorf("package URL %.200q: %w", purl, err)
		}
	}
	return nil
}

// purls gives the component's package URLs.
func (c Component) purls() (out []string) {
	for _, s := range []string{c.ID, c.Identifiers["purl"]} {
		if strings.HasPrefix(s, "pkg:") {
			out = append(out, s)
		}
	}
	return out
}

// Encode checks the document and gives its bytes.
func (d *Document) Encode() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, invalid("", err)
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode OpenVEX document: %w", err)
	}
	return append(data, '\n'), nil
}
