package spdx

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sello-release/sello/internal/sbom"
)

// ldElement is any element of SPDX 3.0's graph, with the members that the model has a place for.
type ldElement struct {
	Type        string          `json:"type"`
	ID          string          `json:"spdxId"`
	AtID        string          `json:"@id"`
	Name        string          `json:"name"`
	Summary     string          `json:"summary"`
	Description string          `json:"description"`
	Comment     string          `json:"comment"`
	Creation    jsontext.Value  `json:"creationInfo"`
	SpecVersion string          `json:"specVersion"`
	Created     string          `json:"created"`
	CreatedBy   []string        `json:"createdBy"`
	CreatedWith []string        `json:"createdUsing"`
	Roots       []string        `json:"rootElement"`
	Verified    []ldHash        `json:"verifiedUsing"`
	External    []ldIdentifier  `json:"externalIdentifier"`
	SuppliedBy  string          `json:"suppliedBy"`
	Originated  []string        `json:"originatedBy"`
	Import      []ldExternalMap `json:"import"`

	Version    string `json:"software_packageVersion"`
	PURL       string `json:"software_packageUrl"`
	Download   string `json:"software_downloadLocation"`
	Homepage   string `json:"software_homePage"`
	SourceInfo string `json:"software_sourceInfo"`
	Purpose    string `json:"software_primaryPurpose"`
	Copyright  string `json:"software_copyrightText"`

	From         string   `json:"from"`
	To           []string `json:"to"`
	Relationship string   `json:"relationshipType"`

	Expression  string `json:"simplelicensing_licenseExpression"`
	LicenseText string `json:"simplelicensing_licenseText"`

	Annotation string `json:"annotationType"`
	Subject    string `json:"subject"`
	Statement  string `json:"statement"`
}

type ldHash struct {
	Type      string `json:"type"`
	Algorithm string `json:"algorithm"`
	Value     string `json:"hashValue"`
}

type ldIdentifier struct {
	Type  string `json:"externalIdentifierType"`
	Value string `json:"identifier"`
}

type ldExternalMap struct {
	ID       string   `json:"externalSpdxId"`
	Location string   `json:"locationHint"`
	Verified []ldHash `json:"verifiedUsing"`
}

// ldReader turns a graph into the model.
type ldReader struct {
	doc      *sbom.Document
	elements map[string]*ldElement
	packages map[string]int
	files    map[string]int
}

// ReadJSONLD reads SPDX 3.0 as JSON-LD in the form that the standard gives it: one @graph with compact names.
func ReadJSONLD(data []byte) (*sbom.Document, error) {
	var in struct {
		Graph []ldElement `json:"@graph"`
	}
	if err := sbom.DecodeJSON(data, &in); err != nil {
		return nil, err
	}
	if len(in.Graph) > sbom.MaxElements+sbom.MaxRelations {
		return nil, sbom.TooLarge(fmt.Sprintf("at most %d elements", sbom.MaxElements+sbom.MaxRelations))
	}
	r := &ldReader{doc: &sbom.Document{}, elements: make(map[string]*ldElement, len(in.Graph)), packages: map[string]int{}, files: map[string]int{}}
	version := ""
	for i := range in.Graph {
		e := &in.Graph[i]
		e.ID = cmp.Or(e.ID, e.AtID)
		if e.Type == "CreationInfo" {
			version = cmp.Or(version, e.SpecVersion)
		}
		if e.ID != "" && r.elements[e.ID] == nil {
			r.elements[e.ID] = e
		}
	}
	if version != "3.0.0" && version != "3.0.1" && version != "3.0" {
		return nil, sbom.UnknownVersion("SPDX", version, "3.0.0 or 3.0.1 in a CreationInfo")
	}
	r.doc.Format = "SPDX-" + version
	for i := range in.Graph {
		if err := r.element(&in.Graph[i]); err != nil {
			return nil, err
		}
	}
	for i := range in.Graph {
		if e := &in.Graph[i]; e.Relationship != "" {
			r.relation(e)
		}
	}
	return r.doc.Checked()
}

// creation gives the CreationInfo of an element, which is another one or stands in it.
func (r *ldReader) creation(e *ldElement) (*ldElement, error) {
	switch e.Creation.Kind() {
	case '"':
		var id string
		if err := sbom.DecodeJSON(e.Creation, &id); err != nil {
			return nil, err
		}
		return r.elements[id], nil
	case '{':
		var c ldElement
		return &c, sbom.DecodeJSON(e.Creation, &c)
	}
	return nil, nil
}

func (r *ldReader) element(e *ldElement) error {
	switch e.Type {
	case "SpdxDocument":
		return r.document(e)
	case "software_Sbom":
		for _, root := range e.Roots {
			r.describes(root)
		}
	case "software_Package":
		r.packages[e.ID] = len(r.doc.Packages)
		p := sbom.Package{ID: e.ID, Name: e.Name, Version: e.Version, PURL: e.PURL, Download: e.Download, Homepage: e.Homepage, SourceInfo: e.SourceInfo,
			Summary: e.Summary, Description: e.Description, Comment: e.Comment, Purpose: constant(e.Purpose, '-'), Checksums: ldSums(e.Verified),
			License: sbom.License{Copyright: known(e.Copyright)}, Supplier: r.agent(e.SuppliedBy)}
		if len(e.Originated) > 0 {
			p.Originator = r.agent(e.Originated[0])
		}
		for _, x := range e.External {
			switch x.Type {
			case "packageUrl":
				if p.PURL = cmp.Or(p.PURL, x.Value); p.PURL != x.Value {
					p.Refs = append(p.Refs, sbom.Ref{Category: "PACKAGE-MANAGER", Type: sbom.PURLType, Locator: x.Value})
				}
			case "cpe23":
				p.CPEs = append(p.CPEs, x.Value)
			default:
				p.Refs = append(p.Refs, sbom.Ref{Category: "OTHER", Type: x.Type, Locator: x.Value})
			}
		}
		r.doc.Packages = append(r.doc.Packages, p)
	case "software_File":
		r.files[e.ID] = len(r.doc.Files)
		r.doc.Files = append(r.doc.Files, sbom.FileEntry{ID: e.ID, Name: fileName(e.Name), Comment: e.Comment, Checksums: ldSums(e.Verified),
			License: sbom.License{Copyright: known(e.Copyright)}})
	case "simplelicensing_SimpleLicensingText":
		r.doc.Licenses = append(r.doc.Licenses, sbom.LicenseText{ID: e.ID, Name: e.Name, Text: e.LicenseText, Comment: e.Comment})
	case "Annotation":
		r.doc.Notes = append(r.doc.Notes, sbom.Note{Of: e.Subject, By: "Tool: unknown", Type: strings.ToUpper(e.Annotation), Text: e.Statement})
	}
	return nil
}

func (r *ldReader) document(e *ldElement) error {
	d := r.doc
	d.Name, d.Namespace, d.Comment = e.Name, e.ID, e.Comment
	for _, root := range e.Roots {
		if o := r.elements[root]; o == nil || o.Type != "software_Sbom" {
			r.describes(root)
		}
	}
	for i, m := range e.Import {
		if sums := ldSums(m.Verified); len(sums) > 0 {
			d.Links = append(d.Links, sbom.Link{ID: fmt.Sprintf("DocumentRef-%d", i+1), URI: cmp.Or(m.Location, m.ID), Checksum: sums[0]})
		}
	}
	c, err := r.creation(e)
	if err != nil || c == nil {
		return err
	}
	if d.Created, err = parseTime("/created", c.Created); err != nil {
		return err
	}
	for _, by := range c.CreatedBy {
		if a := r.agent(by); a.Name != "" {
			d.Authors = append(d.Authors, a)
		}
	}
	for _, tool := range c.CreatedWith {
		if t := r.elements[tool]; t != nil {
			d.Tools = append(d.Tools, sbom.Tool{Name: t.Name})
		}
	}
	return nil
}

func (r *ldReader) describes(id string) {
	r.doc.Relations = append(r.doc.Relations, sbom.Relation{From: sbom.DocumentID, Kind: sbom.Describes, To: id})
}

func (r *ldReader) agent(id string) sbom.Agent {
	e := r.elements[id]
	if e == nil || e.Type != "Person" && e.Type != "Organization" {
		return sbom.Agent{}
	}
	a := sbom.Agent{Kind: e.Type, Name: e.Name}
	for _, x := range e.External {
		if x.Type == "email" {
			a.Email = x.Value
		}
	}
	return a
}

// relation takes up a relationship: one of licences belongs to an element, the others are relations.
func (r *ldReader) relation(e *ldElement) {
	from := e.From
	if o := r.elements[from]; o != nil && (o.Type == "SpdxDocument" || o.Type == "software_Sbom") {
		from = sbom.DocumentID
	}
	for _, to := range e.To {
		switch e.Relationship {
		case "hasDeclaredLicense", "hasConcludedLicense":
			r.license(from, to, e.Relationship == "hasConcludedLicense")
			continue
		}
		switch {
		case strings.HasSuffix(to, "NoneElement"):
			to = none
		case strings.HasSuffix(to, "NoAssertionElement"):
			to = noAssertion
		}
		r.doc.Relations = append(r.doc.Relations, sbom.Relation{From: from, Kind: constant(e.Relationship, '_'), To: to, Comment: e.Comment})
	}
}

func (r *ldReader) license(of, id string, concluded bool) {
	expression := id
	if e := r.elements[id]; e != nil {
		expression = cmp.Or(e.Expression, e.ID)
	}
	switch {
	case strings.HasSuffix(expression, "NoAssertionLicense"):
		return
	case strings.HasSuffix(expression, "NoneLicense"):
		expression = none
	}
	var l *sbom.License
	if i, ok := r.packages[of]; ok {
		l = &r.doc.Packages[i].License
	} else if i, ok := r.files[of]; ok {
		l = &r.doc.Files[i].License
	} else {
		return
	}
	if concluded {
		l.Concluded = expression
	} else {
		l.Declared = expression
	}
}

func ldSums(all []ldHash) []sbom.Checksum {
	var out []sbom.Checksum
	for _, h := range all {
		if h.Type == "Hash" {
			out = append(out, sbom.Checksum{Algorithm: strings.ToUpper(strings.ReplaceAll(h.Algorithm, "_", "-")), Value: strings.ToLower(h.Value)})
		}
	}
	return out
}

// constant turns dependsOn into DEPENDS_ON.
func constant(s string, join rune) string {
	var b strings.Builder
	for i, c := range s {
		if i > 0 && unicode.IsUpper(c) {
			b.WriteRune(join)
		}
		b.WriteRune(unicode.ToUpper(c))
	}
	return b.String()
}
