// Package cyclonedx writes and reads bills of materials in the format of CycloneDX.
//
// Written is CycloneDX 1.6 as JSON; the same document gives the same bytes. What CycloneDX has no field for stands in properties whose names begin
// with sello:, so that a document that was written here is read without loss. Dependencies lead from what contains or depends to what is
// contained or depended on.
//
// Read is CycloneDX 1.4 to 1.7 as JSON, from documents of unknown origin, within the bounds of package sbom: what is no such
// document is refused with a code, and nothing of it is returned. Services, vulnerabilities, pedigrees, formulations and signatures
// are left out.
package cyclonedx

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"

	"github.com/sello-release/sello/internal/sbom"
)

// Names of the properties that keep what CycloneDX has no field for.
const (
	propPurpose     = "sello:purpose"
	propRelation    = "sello:relation:" // and its kind; the value is the other element, and behind a space the comment
	propRef         = "sello:ref:"      // and category and type; the value is the locator
	propComment     = "sello:comment"
	propSummary     = "sello:summary"
	propSourceInfo  = "sello:source-info"
	propFileName    = "sello:file-name"
	propFileType    = "sello:file-type"
	propCode        = "sello:verification-code"
	propDeclared    = "sello:license:declared"
	propConcluded   = "sello:license:concluded"
	propConfidence  = "sello:license:confidence"
	propLicComment  = "sello:license:comment"
	propCPE         = "sello:cpe"
	propName        = "sello:name"
	propNamespace   = "sello:namespace"
	propLicense     = "sello:license-text:" // and LicenseRef-…; the value is the text
	propLicenseName = "sello:license-name:" // and LicenseRef-…; the value is what the licence is called
)

// JSON gives the document as CycloneDX 1.6 JSON: indented, with a final newline.
func JSON(doc *sbom.Document) ([]byte, error) {
	var b bytes.Buffer
	e := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	if err := e.EncodeVersion(newEncoder(doc).bom(), cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("encode CycloneDX document %s: %w", doc.Name, err)
	}
	return b.Bytes(), nil
}

// encoder turns the model into CycloneDX's types.
type encoder struct {
	doc    *sbom.Document
	root   string // identifier of the one element that is described, or ""
	known  map[string]bool
	deps   map[string][]string
	extras map[string][]cdx.Property // relations that are no dependencies, by element
	texts  map[string]sbom.LicenseText

	sources map[string]string // where what an element was generated from lies in a version control system
}

// generatedFrom marks a reference that repeats a relation.
const generatedFrom = "generated from"

func newEncoder(doc *sbom.Document) *encoder {
	e := &encoder{doc: doc, known: map[string]bool{sbom.DocumentID: true}, deps: map[string][]string{}, extras: map[string][]cdx.Property{}, texts: map[string]sbom.LicenseText{}, sources: map[string]string{}}
	locations := map[string]string{}
	for i := range doc.Packages {
		e.known[doc.Packages[i].ID] = true
		if strings.HasPrefix(doc.Packages[i].Download, "git+") {
			locations[doc.Packages[i].ID] = doc.Packages[i].Download
		}
	}
	for i := range doc.Files {
		e.known[doc.Files[i].ID] = true
	}
	for _, l := range doc.Licenses {
		e.texts[l.ID] = l
	}
	described := []string{}
	for _, r := range doc.Relations {
		if r.From == sbom.DocumentID && r.Kind == sbom.Describes && e.known[r.To] {
			described = append(described, r.To)
		}
	}
	if len(described) == 1 {
		e.root = described[0]
	}
	for _, r := range doc.Relations {
		if r.Kind == sbom.GeneratedFrom && locations[r.To] != "" {
			e.sources[r.From] = locations[r.To]
		}
		e.relate(r)
	}
	return e
}

// relate writes a relation as a dependency, and its kind and comment as a property when that would be lost.
func (e *encoder) relate(r sbom.Relation) {
	if r.From == sbom.DocumentID && r.Kind == sbom.Describes && r.To == e.root {
		return
	}
	if e.known[r.From] && e.known[r.To] && r.From != sbom.DocumentID && (r.Kind == sbom.DependsOn || r.Kind == sbom.Contains) {
		e.deps[r.From] = append(e.deps[r.From], r.To)
		if r.Kind == sbom.DependsOn && r.Comment == "" {
			return
		}
	}
	e.extras[r.From] = append(e.extras[r.From], cdx.Property{Name: propRelation + r.Kind, Value: strings.TrimSpace(r.To + " " + r.Comment)})
}

func (e *encoder) bom() *cdx.BOM {
	doc := e.doc
	bom := cdx.NewBOM()
	bom.JSONSchema, bom.SpecVersion = "http://cyclonedx.org/schema/bom-1.6.schema.json", cdx.SpecVersion1_6
	bom.SerialNumber = serial(cmp.Or(doc.Namespace, doc.Hash()))
	bom.Metadata = &cdx.Metadata{Timestamp: stamp(doc.Created), Properties: properties(propName, doc.Name, propNamespace, doc.Namespace, propComment, doc.Comment)}
	var tools []cdx.Component
	for _, t := range doc.Tools {
		tools = append(tools, cdx.Component{Type: cdx.ComponentTypeApplication, Name: t.Name, Version: t.Version})
	}
	if len(tools) > 0 {
		bom.Metadata.Tools = &cdx.ToolsChoice{Components: &tools}
	}
	var authors []cdx.OrganizationalContact
	for _, a := range doc.Authors {
		if a.Kind == sbom.AgentOrganization && bom.Metadata.Manufacturer == nil {
			bom.Metadata.Manufacturer = organization(a) // of the document (CycloneDX 1.6, metadata.manufacturer)
			continue
		}
		authors = append(authors, cdx.OrganizationalContact{Name: a.Name, Email: a.Email})
	}
	bom.Metadata.Authors = pointer(authors)
	if doc.License != "" {
		bom.Metadata.Licenses = &cdx.Licenses{{License: &cdx.License{ID: doc.License}}}
	}
	if slices.Contains(phases, doc.Phase) {
		bom.Metadata.Lifecycles = &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhase(doc.Phase)}}
	} else if doc.Phase != "" {
		bom.Metadata.Lifecycles = &[]cdx.Lifecycle{{Name: doc.Phase}}
	}
	var components []cdx.Component
	for i := range doc.Packages {
		c := e.component(&doc.Packages[i])
		if doc.Packages[i].ID == e.root {
			bom.Metadata.Component, bom.Metadata.Supplier = &c, c.Supplier
			continue
		}
		components = append(components, c)
	}
	for i := range doc.Files {
		c := e.file(&doc.Files[i])
		if doc.Files[i].ID == e.root {
			bom.Metadata.Component = &c
			continue
		}
		components = append(components, c)
	}
	bom.Components, bom.Dependencies, bom.Annotations = pointer(components), pointer(e.dependencies()), pointer(e.annotations())
	bom.Compositions = e.compositions()
	bom.ExternalReferences = pointer(links(doc.Links))
	bom.Properties = pointer(e.bomProperties())
	return bom
}

// phases are those that CycloneDX has words for.
var phases = []string{"design", sbom.PhasePreBuild, sbom.PhaseBuild, sbom.PhasePostBuild, "operations", "discovery", "decommission"}

// compositions names the elements whose parts and dependencies are listed whole. It says nothing of the others.
func (e *encoder) compositions() *[]cdx.Composition {
	var whole []cdx.BOMReference
	for i := range e.doc.Packages {
		if e.doc.Packages[i].Complete {
			whole = append(whole, cdx.BOMReference(e.doc.Packages[i].ID))
		}
	}
	if len(whole) == 0 {
		return nil
	}
	return &[]cdx.Composition{{Aggregate: cdx.CompositionAggregateComplete, Assemblies: &whole, Dependencies: &whole}}
}

func (e *encoder) bomProperties() []cdx.Property {
	out := slices.Clone(e.extras[sbom.DocumentID])
	for id, all := range e.extras {
		if !e.known[id] {
			for _, p := range all {
				out = append(out, cdx.Property{Name: p.Name, Value: id + " " + p.Value})
			}
		}
	}
	for _, l := range e.doc.Licenses {
		out = append(out, cdx.Property{Name: propLicense + l.ID, Value: l.Text})
		if l.Name != "" {
			out = append(out, cdx.Property{Name: propLicenseName + l.ID, Value: l.Name})
		}
	}
	slices.SortStableFunc(out, func(a, b cdx.Property) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value)) })
	return out
}

func (e *encoder) dependencies() []cdx.Dependency {
	var out []cdx.Dependency
	add := func(id string) {
		to := slices.Compact(slices.Sorted(slices.Values(e.deps[id])))
		out = append(out, cdx.Dependency{Ref: id, Dependencies: pointer(to)})
	}
	for i := range e.doc.Packages {
		add(e.doc.Packages[i].ID)
	}
	for i := range e.doc.Files {
		if id := e.doc.Files[i].ID; len(e.deps[id]) > 0 {
			add(id)
		}
	}
	return out
}

func (e *encoder) annotations() []cdx.Annotation {
	var out []cdx.Annotation
	for _, n := range e.doc.Notes {
		kind, by, _ := strings.Cut(n.By, ": ")
		who := &cdx.Annotator{}
		switch kind {
		case sbom.AgentPerson:
			who.Individual = &cdx.OrganizationalContact{Name: by}
		case sbom.AgentOrganization:
			who.Organization = &cdx.OrganizationalEntity{Name: by}
		default:
			who.Component = &cdx.Component{Type: cdx.ComponentTypeApplication, Name: cmp.Or(by, "unknown")}
		}
		subject := n.Of
		if subject == sbom.DocumentID || !e.known[subject] {
			subject = cmp.Or(e.root, "")
		}
		subjects := []cdx.BOMReference{}
		if subject != "" {
			subjects = append(subjects, cdx.BOMReference(subject))
		}
		out = append(out, cdx.Annotation{Subjects: &subjects, Annotator: who, Timestamp: stamp(n.Time), Text: n.Text})
	}
	return out
}

func links(all []sbom.Link) []cdx.ExternalReference {
	var out []cdx.ExternalReference
	for _, l := range all {
		hashes := hashesOf([]sbom.Checksum{l.Checksum})
		out = append(out, cdx.ExternalReference{Type: cdx.ERTypeBOM, URL: l.URI, Comment: l.ID, Hashes: hashes})
	}
	return out
}

// types gives CycloneDX's type of a purpose; the others are kept as properties.
var types = map[string]cdx.ComponentType{
	sbom.PurposeApplication: cdx.ComponentTypeApplication, sbom.PurposeFramework: cdx.ComponentTypeFramework, sbom.PurposeLibrary: cdx.ComponentTypeLibrary,
	sbom.PurposeContainer: cdx.ComponentTypeContainer, sbom.PurposeOS: cdx.ComponentTypeOS, sbom.PurposeDevice: cdx.ComponentTypeDevice,
	sbom.PurposeFirmware: cdx.ComponentTypeFirmware, sbom.PurposeFile: cdx.ComponentTypeFile,
}

func (e *encoder) component(p *sbom.Package) cdx.Component {
	c := cdx.Component{BOMRef: p.ID, Type: types[p.Purpose], Name: cmp.Or(p.Name, p.FileName, "unnamed"), Version: p.Version, Description: p.Description,
		PackageURL: p.PURL, Hashes: hashesOf(p.Checksums), Copyright: p.License.Copyright}
	purpose := ""
	if c.Type == "" {
		c.Type, purpose = cdx.ComponentTypeLibrary, cmp.Or(p.Purpose, "-")
		if p.Purpose == sbom.PurposeArchive {
			c.Type = cdx.ComponentTypeFile
		}
	}
	var more []cdx.Property
	for i, cpe := range p.CPEs {
		if i == 0 {
			c.CPE = cpe
		} else {
			more = append(more, cdx.Property{Name: propCPE, Value: cpe})
		}
	}
	for _, r := range p.Refs {
		more = append(more, cdx.Property{Name: propRef + r.Category + ":" + r.Type, Value: strings.TrimSpace(r.Locator + " " + r.Comment)})
	}
	if p.Supplier.Name != "" {
		c.Supplier = organization(p.Supplier)
		if p.Supplier.Kind == sbom.AgentPerson {
			c.Supplier.Contact = &[]cdx.OrganizationalContact{{Name: p.Supplier.Name, Email: p.Supplier.Email}}
		}
	}
	switch {
	case p.Originator.Name == "":
	case p.Originator.Kind == sbom.AgentPerson:
		c.Authors = &[]cdx.OrganizationalContact{{Name: p.Originator.Name, Email: p.Originator.Email}}
	default:
		c.Manufacturer = organization(p.Originator)
	}
	var refs []cdx.ExternalReference
	if p.Download != "" && p.Download != sbom.None {
		kind := cdx.ERTypeDistribution
		if strings.HasPrefix(p.Download, "git+") {
			kind = cdx.ERTypeVCS
		}
		refs = append(refs, cdx.ExternalReference{Type: kind, URL: p.Download})
	}
	if p.Homepage != "" && p.Homepage != sbom.None {
		refs = append(refs, cdx.ExternalReference{Type: cdx.ERTypeWebsite, URL: p.Homepage})
	}
	if from := e.sources[p.ID]; from != "" && from != p.Download {
		refs = append(refs, cdx.ExternalReference{Type: cdx.ERTypeVCS, URL: from, Comment: generatedFrom})
	}
	c.ExternalReferences = pointer(refs)
	licenses, extra := e.licenses(p.License)
	c.Licenses = licenses
	base := properties(propPurpose, purpose, propSummary, p.Summary, propComment, p.Comment, propSourceInfo, p.SourceInfo, propFileName, p.FileName, propCode, p.Verification)
	c.Properties = joined(base, extra, more, e.extras[p.ID])
	return c
}

func (e *encoder) file(f *sbom.FileEntry) cdx.Component {
	c := cdx.Component{BOMRef: f.ID, Type: cdx.ComponentTypeFile, Name: f.Name, Hashes: hashesOf(f.Checksums), Copyright: f.License.Copyright}
	licenses, extra := e.licenses(f.License)
	c.Licenses = licenses
	c.Properties = joined(properties(propComment, f.Comment, propFileType, cmp.Or(strings.Join(f.Types, " "), "-")), extra, nil, e.extras[f.ID])
	return c
}

func organization(a sbom.Agent) *cdx.OrganizationalEntity {
	o := &cdx.OrganizationalEntity{Name: a.Name}
	if a.Email != "" {
		o.Contact = &[]cdx.OrganizationalContact{{Email: a.Email}}
	}
	return o
}

// licenses writes the concluded licence, or the declared one. CycloneDX takes either a list of identifiers or one expression.
func (e *encoder) licenses(l sbom.License) (*cdx.Licenses, *[]cdx.Property) {
	concluded, declared := cdx.LicenseAcknowledgementConcluded, cdx.LicenseAcknowledgementDeclared
	confidence := ""
	if l.Confidence > 0 {
		confidence = strconv.FormatFloat(l.Confidence, 'f', 2, 64)
	}
	extra := []string{propConfidence, confidence, propLicComment, l.Comment}
	main, said := l.Concluded, concluded
	if main == "" || main == sbom.None {
		main, said = l.Declared, declared
	}
	if main == "" || main == sbom.None {
		return nil, properties(append(extra, propDeclared, l.Declared, propConcluded, l.Concluded)...)
	}
	var all cdx.Licenses
	switch first, second := e.single(main, said), e.single(l.Declared, declared); {
	case first == nil:
		all = cdx.Licenses{{Expression: main, Acknowledgement: &said}}
		if said == concluded {
			extra = append(extra, propDeclared, l.Declared)
		}
	case said == concluded && second != nil:
		all = cdx.Licenses{{License: first}, {License: second}}
	default:
		all = cdx.Licenses{{License: first}}
		if said == concluded {
			extra = append(extra, propDeclared, l.Declared)
		}
	}
	return &all, properties(extra...)
}

// single gives a licence that is no expression; nil for an expression.
func (e *encoder) single(s string, said cdx.LicenseAcknowledgement) *cdx.License {
	if s == "" || strings.ContainsAny(s, " ()") {
		return nil
	}
	active, _ := spdxlicenses.IsActiveLicense(s)
	if deprecated, _ := spdxlicenses.IsDeprecatedLicense(s); active || deprecated {
		return &cdx.License{ID: s, Acknowledgement: said}
	}
	l := &cdx.License{Name: s, Acknowledgement: said}
	if t, ok := e.texts[s]; ok && t.Text != "" {
		l.Text = &cdx.AttachedText{Content: t.Text, ContentType: "text/plain"}
	}
	return l
}

// algorithms gives CycloneDX's names of those that it knows.
var algorithms = map[string]cdx.HashAlgorithm{"MD5": cdx.HashAlgoMD5, "SHA1": cdx.HashAlgoSHA1, "SHA256": cdx.HashAlgoSHA256, "SHA384": cdx.HashAlgoSHA384, "SHA512": cdx.HashAlgoSHA512,
	"SHA3-256": cdx.HashAlgoSHA3_256, "SHA3-384": cdx.HashAlgoSHA3_384, "SHA3-512": cdx.HashAlgoSHA3_512, "BLAKE2b-256": cdx.HashAlgoBlake2b_256,
	"BLAKE2b-384": cdx.HashAlgoBlake2b_384, "BLAKE2b-512": cdx.HashAlgoBlake2b_512, "BLAKE3": cdx.HashAlgoBlake3}

func hashesOf(all []sbom.Checksum) *[]cdx.Hash {
	var out []cdx.Hash
	for _, c := range all {
		if a, ok := algorithms[c.Algorithm]; ok {
			out = append(out, cdx.Hash{Algorithm: a, Value: c.Value})
		}
	}
	return pointer(out)
}

// properties makes properties of names and values, those without a value left out.
func properties(pairs ...string) *[]cdx.Property {
	var out []cdx.Property
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, cdx.Property{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return pointer(out)
}

func joined(a, b *[]cdx.Property, more ...[]cdx.Property) *[]cdx.Property {
	var out []cdx.Property
	for _, p := range []*[]cdx.Property{a, b} {
		if p != nil {
			out = append(out, *p...)
		}
	}
	for _, m := range more {
		out = append(out, m...)
	}
	return pointer(out)
}

func pointer[T any](all []T) *[]T {
	if len(all) == 0 {
		return nil
	}
	return &all
}

// serial makes a UUID (RFC 9562, version 8) of what is unique to a document.
func serial(unique string) string {
	if uuid, ok := strings.CutPrefix(unique, "urn:uuid:"); ok && len(uuid) == 36 {
		return unique
	}
	h := sha256.Sum256([]byte(unique))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func stamp(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}
