package spdx

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/sello-release/sello/internal/sbom"
)

const (
	noAssertion = "NOASSERTION"
	none        = sbom.None
)

// encoder turns the model into SPDX's types.
type encoder struct {
	doc   *sbom.Document
	flat  bool // for tag-value: annotations are all in one list, and line breaks need care
	ids   map[string]string
	notes map[string][]spdx.Annotation
}

func encode(doc *sbom.Document, flat bool) *spdx.Document {
	e := &encoder{doc: doc, flat: flat, ids: identifiers(doc), notes: map[string][]spdx.Annotation{}}
	out := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: sbom.DocumentID,
		DocumentName: e.line(cmp.Or(doc.Name, "unnamed")), DocumentNamespace: e.line(strings.ReplaceAll(cmp.Or(doc.Namespace, "urn:sha256:"+doc.Hash()), "#", "%23")),
		DocumentComment: e.text(doc.Comment), CreationInfo: e.creation(),
	}
	for _, l := range doc.Links {
		out.ExternalDocumentReferences = append(out.ExternalDocumentReferences, spdx.ExternalDocumentRef{
			DocumentRefID: common.DocumentID(e.word(strings.TrimPrefix(l.ID, "DocumentRef-"))), URI: e.word(l.URI), Checksum: e.checksums([]sbom.Checksum{l.Checksum})[0]})
	}
	for _, n := range doc.Notes {
		e.note(out, n)
	}
	for i := range doc.Packages {
		out.Packages = append(out.Packages, e.pkg(&doc.Packages[i]))
	}
	for i := range doc.Files {
		out.Files = append(out.Files, e.file(&doc.Files[i]))
	}
	for _, l := range doc.Licenses {
		urls := make([]string, 0, len(l.URLs))
		for _, u := range l.URLs {
			urls = append(urls, e.line(u))
		}
		out.OtherLicenses = append(out.OtherLicenses, &spdx.OtherLicense{LicenseIdentifier: e.word(l.ID), LicenseName: e.line(cmp.Or(l.Name, noAssertion)),
			ExtractedText: e.text(cmp.Or(l.Text, "The text is not in the document")), LicenseComment: e.text(l.Comment), LicenseCrossReferences: urls})
	}
	for _, r := range doc.Relations {
		out.Relationships = append(out.Relationships, &spdx.Relationship{Relationship: e.word(r.Kind), RelationshipComment: e.text(r.Comment),
			RefA: e.ref(r.From), RefB: e.ref(r.To)})
	}
	return out
}

func (e *encoder) creation() *spdx.CreationInfo {
	c := &spdx.CreationInfo{Created: stamp(e.doc.Created)}
	if e.doc.Phase != "" {
		c.CreatorComment = e.text(phase + e.doc.Phase)
	}
	for _, a := range e.doc.Authors {
		c.Creators = append(c.Creators, common.Creator{CreatorType: cmp.Or(a.Kind, sbom.AgentOrganization), Creator: e.filled(agent(a))})
	}
	for _, t := range e.doc.Tools {
		c.Creators = append(c.Creators, common.Creator{CreatorType: "Tool", Creator: e.filled(strings.TrimSuffix(t.Name+"-"+t.Version, "-"))})
	}
	if len(c.Creators) == 0 {
		c.Creators = []common.Creator{{CreatorType: "Tool", Creator: "unknown"}}
	}
	return c
}

// stamp gives a time as SPDX writes it. A document without one gets the beginning of time that computers count from.
func stamp(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

func agent(a sbom.Agent) string {
	if a.Email == "" {
		return a.Name
	}
	return a.Name + " (" + a.Email + ")"
}

func (e *encoder) note(out *spdx.Document, n sbom.Note) {
	kind, by, ok := strings.Cut(n.By, ": ")
	if !ok {
		kind, by = "Tool", n.By
	}
	a := spdx.Annotation{Annotator: common.Annotator{AnnotatorType: e.word(kind), Annotator: e.filled(by)}, AnnotationDate: stamp(n.Time),
		AnnotationType: e.line(cmp.Or(n.Type, "OTHER")), AnnotationSPDXIdentifier: e.ref(n.Of), AnnotationComment: e.text(n.Text)}
	if e.flat || n.Of == sbom.DocumentID {
		out.Annotations = append(out.Annotations, &a)
	} else {
		e.notes[n.Of] = append(e.notes[n.Of], a)
	}
}

func (e *encoder) pkg(p *sbom.Package) *spdx.Package {
	out := &spdx.Package{
		PackageName: e.line(cmp.Or(p.Name, p.FileName, "unnamed")), PackageSPDXIdentifier: common.ElementID(e.ids[p.ID]), PackageVersion: e.line(p.Version),
		PackageFileName: e.line(p.FileName), PackageSupplier: &common.Supplier{Supplier: noAssertion}, PackageDownloadLocation: e.line(cmp.Or(p.Download, noAssertion)),
		PackageHomePage: e.line(p.Homepage), PackageSourceInfo: e.text(p.SourceInfo), PackageSummary: e.text(p.Summary), PackageDescription: e.text(p.Description),
		PackageLicenseConcluded: e.line(cmp.Or(p.License.Concluded, noAssertion)), PackageLicenseDeclared: e.line(cmp.Or(p.License.Declared, noAssertion)),
		PackageLicenseComments: e.text(licenseComment(p.License)), PackageCopyrightText: e.text(cmp.Or(p.License.Copyright, noAssertion)),
		PackageComment: e.text(packageComment(p)), PrimaryPackagePurpose: e.purpose(p.Purpose), IsFilesAnalyzedTagPresent: true,
		PackageChecksums: e.checksums(p.Checksums), Annotations: e.notes[p.ID],
	}
	if p.Supplier.Name != "" {
		out.PackageSupplier = &common.Supplier{SupplierType: cmp.Or(p.Supplier.Kind, sbom.AgentOrganization), Supplier: e.line(agent(p.Supplier))}
	}
	if p.Originator.Name != "" {
		out.PackageOriginator = &common.Originator{OriginatorType: cmp.Or(p.Originator.Kind, sbom.AgentOrganization), Originator: e.line(agent(p.Originator))}
	}
	if p.Verification != "" {
		out.FilesAnalyzed = true
		out.PackageVerificationCode = &common.PackageVerificationCode{Value: e.word(p.Verification)}
		out.PackageLicenseInfoFromFiles = []string{noAssertion}
	}
	ref := func(r sbom.Ref) {
		out.PackageExternalReferences = append(out.PackageExternalReferences, &spdx.PackageExternalReference{Category: e.word(r.Category), RefType: e.word(r.Type),
			Locator: e.word(r.Locator), ExternalRefComment: e.text(r.Comment)})
	}
	if p.PURL != "" {
		ref(sbom.Ref{Category: common.CategoryPackageManager, Type: common.TypePackageManagerPURL, Locator: p.PURL})
	}
	for _, cpe := range p.CPEs {
		ref(sbom.Ref{Category: common.CategorySecurity, Type: common.TypeSecurityCPE23Type, Locator: cpe})
	}
	for _, r := range p.Refs {
		ref(r)
	}
	return out
}

// purpose spells a purpose as the format has it: the schema of the JSON has an underscore where the standard has a hyphen.
func (e *encoder) purpose(s string) string {
	if e.flat {
		return e.line(s)
	}
	return strings.ReplaceAll(s, "-", "_")
}

func (e *encoder) file(f *sbom.FileEntry) *spdx.File {
	return &spdx.File{
		FileName: e.line("./" + strings.TrimPrefix(f.Name, "/")), FileSPDXIdentifier: common.ElementID(e.ids[f.ID]), FileTypes: e.words(f.Types), Checksums: e.checksums(f.Checksums),
		LicenseConcluded: e.line(cmp.Or(f.License.Concluded, noAssertion)), LicenseInfoInFiles: []string{e.line(cmp.Or(f.License.Declared, noAssertion))},
		LicenseComments: e.text(licenseComment(f.License)), FileCopyrightText: e.text(cmp.Or(f.License.Copyright, noAssertion)),
		FileComment: e.text(f.Comment), Annotations: e.notes[f.ID],
	}
}

func (e *encoder) checksums(all []sbom.Checksum) []common.Checksum {
	out := make([]common.Checksum, 0, len(all))
	for _, c := range all {
		out = append(out, common.Checksum{Algorithm: common.ChecksumAlgorithm(e.word(c.Algorithm)), Value: e.word(c.Value)})
	}
	return out
}

// phase starts the creator's comment that tells in which phase of its life something was described.
const phase = "Lifecycle phase: "

// complete ends the comment of a package of which that is known.
const complete = "All that it consists of and depends on directly is in this document"

func packageComment(p *sbom.Package) string {
	if !p.Complete {
		return p.Comment
	}
	return strings.TrimPrefix(p.Comment+"\n"+complete, "\n")
}

// confidence starts the sentence that tells how sure a concluded licence is.
const confidence = "Confidence of the concluded licence: "

func licenseComment(l sbom.License) string {
	if l.Confidence == 0 {
		return l.Comment
	}
	return strings.TrimPrefix(l.Comment+"\n"+confidence+fmt.Sprintf("%.2f", l.Confidence), "\n")
}

// ref gives an element's identifier with what SPDX puts before it.
func (e *encoder) ref(id string) common.DocElementID {
	if own, ok := e.ids[id]; ok {
		return common.DocElementID{ElementRefID: common.ElementID(own)}
	}
	if id == none || id == noAssertion {
		return common.DocElementID{SpecialID: id}
	}
	if doc, element, ok := strings.Cut(id, ":"); ok && strings.HasPrefix(doc, "DocumentRef-") {
		return common.MakeDocElementID(e.word(strings.TrimPrefix(doc, "DocumentRef-")), e.word(strings.TrimPrefix(element, "SPDXRef-")))
	}
	return common.DocElementID{ElementRefID: common.ElementID(allowed(id))}
}

// identifiers gives each element one that SPDX allows and no other element has.
func identifiers(doc *sbom.Document) map[string]string {
	ids := map[string]string{sbom.DocumentID: sbom.DocumentID}
	add := func(id string) { ids[id] = allowed(id) }
	for i := range doc.Packages {
		add(doc.Packages[i].ID)
	}
	for i := range doc.Files {
		add(doc.Files[i].ID)
	}
	return ids
}

func allowed(id string) string {
	if id == "" || id == none || id == noAssertion || id == sbom.DocumentID || strings.HasPrefix(id, "SPDXRef-") || strings.HasPrefix(id, "DocumentRef-") {
		return sbom.ElementID("Element", id)
	}
	for i := range len(id) {
		c := id[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' {
			continue
		}
		return sbom.ElementID("Element", id)
	}
	return id
}

// filled makes a text that tag-value can hold in one line, and that is not empty.
func (e *encoder) filled(s string) string { return cmp.Or(strings.TrimSpace(e.line(s)), "unknown") }

// word makes a text that tag-value can hold where words are apart, and that is not empty.
func (e *encoder) word(s string) string {
	if e.flat {
		s = strings.Join(strings.Fields(s), "%20")
	}
	return cmp.Or(s, "unknown")
}

func (e *encoder) words(all []string) []string {
	var out []string
	for _, s := range all {
		out = append(out, e.word(s))
	}
	return out
}

// line makes a text that tag-value can hold in one line.
func (e *encoder) line(s string) string {
	if !e.flat || !strings.ContainsAny(s, "\r\n") {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return slices.Contains([]rune("\r\n"), r) }), " ")
}

// text makes a text that tag-value can hold between its marks.
func (e *encoder) text(s string) string {
	if !e.flat {
		return s
	}
	s = strings.NewReplacer("<text>", "< text>", "</text>", "< /text>", "\r", "").Replace(s)
	return s
}
