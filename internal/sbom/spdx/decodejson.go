package spdx

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sello-release/sello/internal/sbom"
)

// The types of SPDX's JSON, with the members that the model has a place for.
type (
	jsonDocument struct {
		Version   string       `json:"spdxVersion"`
		Name      string       `json:"name"`
		Namespace string       `json:"documentNamespace"`
		Comment   string       `json:"comment"`
		Creation  jsonCreation `json:"creationInfo"`
		Links     []struct {
			ID       string       `json:"externalDocumentId"`
			URI      string       `json:"spdxDocument"`
			Checksum jsonChecksum `json:"checksum"`
		} `json:"externalDocumentRefs"`
		Packages    jsonPackages     `json:"packages"`
		Files       []jsonFile       `json:"files"`
		Licenses    []jsonLicense    `json:"hasExtractedLicensingInfos"`
		Relations   []jsonRelation   `json:"relationships"`
		Annotations []jsonAnnotation `json:"annotations"`
		Describes   []string         `json:"documentDescribes"`
		Rest        jsontext.Value   `json:",embed"`
	}
	jsonCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
		Comment  string   `json:"comment"`
	}
	jsonChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	jsonPackage struct {
		ID           string `json:"SPDXID"`
		Name         string `json:"name"`
		Version      string `json:"versionInfo"`
		FileName     string `json:"packageFileName"`
		Supplier     string `json:"supplier"`
		Originator   string `json:"originator"`
		Download     string `json:"downloadLocation"`
		Homepage     string `json:"homepage"`
		SourceInfo   string `json:"sourceInfo"`
		Concluded    string `json:"licenseConcluded"`
		Declared     string `json:"licenseDeclared"`
		LicComment   string `json:"licenseComments"`
		Copyright    string `json:"copyrightText"`
		Summary      string `json:"summary"`
		Description  string `json:"description"`
		Comment      string `json:"comment"`
		Purpose      string `json:"primaryPackagePurpose"`
		Verification struct {
			Value string `json:"packageVerificationCodeValue"`
		} `json:"packageVerificationCode"`
		Checksums   []jsonChecksum   `json:"checksums"`
		Refs        []jsonRef        `json:"externalRefs"`
		Files       []string         `json:"hasFiles"`
		Annotations []jsonAnnotation `json:"annotations"`
	}
	jsonRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
		Comment  string `json:"comment"`
	}
	jsonFile struct {
		ID          string           `json:"SPDXID"`
		Name        string           `json:"fileName"`
		Types       []string         `json:"fileTypes"`
		Checksums   []jsonChecksum   `json:"checksums"`
		Concluded   string           `json:"licenseConcluded"`
		InFile      []string         `json:"licenseInfoInFiles"`
		LicComment  string           `json:"licenseComments"`
		Copyright   string           `json:"copyrightText"`
		Comment     string           `json:"comment"`
		Annotations []jsonAnnotation `json:"annotations"`
	}
	jsonLicense struct {
		ID      string   `json:"licenseId"`
		Name    string   `json:"name"`
		Text    string   `json:"extractedText"`
		Comment string   `json:"comment"`
		URLs    []string `json:"seeAlsos"`
	}
	jsonRelation struct {
		From    string `json:"spdxElementId"`
		Kind    string `json:"relationshipType"`
		To      string `json:"relatedSpdxElement"`
		Comment string `json:"comment"`
	}
	jsonAnnotation struct {
		By      string `json:"annotator"`
		Date    string `json:"annotationDate"`
		Type    string `json:"annotationType"`
		Comment string `json:"comment"`
	}
)

// perElement is how many bytes of a document a package or file takes, with its relations, or more: lists that have room from the
// beginning are not copied while they grow.
const perElement = 600

// jsonPackages are the packages of a document, each put into the model as it is read: what stands in the JSON takes twice as much.
type jsonPackages struct {
	models []sbom.Package
	more   []packageMore
}

// packageMore is what a package says that has another place in the model.
type packageMore struct {
	id          string
	files       []string
	annotations []jsonAnnotation
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (all *jsonPackages) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '[' {
		return json.UnmarshalDecode(d, new([]jsonPackage)) // which says what is wrong, unless it is null
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	var p jsonPackage
	for d.PeekKind() != ']' {
		p = jsonPackage{}
		if err := json.UnmarshalDecode(d, &p); err != nil {
			return err
		}
		all.models = append(all.models, p.model())
		if len(p.Files)+len(p.Annotations) > 0 {
			all.more = append(all.more, packageMore{element(p.ID), p.Files, p.Annotations})
		}
	}
	_, err := d.ReadToken()
	return err
}

// ReadJSON reads SPDX 2.2 or 2.3 as JSON.
func ReadJSON(data []byte) (*sbom.Document, error) {
	var in jsonDocument
	likely := min(len(data)/perElement, 100_000)
	in.Packages.models, in.Relations = make([]sbom.Package, 0, likely), make([]jsonRelation, 0, likely)
	if err := sbom.DecodeJSON(data, &in); err != nil {
		return nil, err
	}
	if err := checkVersion(in.Version); err != nil {
		return nil, err
	}
	created, err := parseTime("/creationInfo/created", in.Creation.Created)
	if err != nil {
		return nil, err
	}
	doc := &sbom.Document{Format: in.Version, Name: in.Name, Namespace: in.Namespace, Comment: in.Comment, Created: created, License: sbom.DataLicense}
	if after, ok := strings.CutPrefix(in.Creation.Comment, phase); ok {
		doc.Phase = after
	}
	doc.LeaveOut("", in.Rest, "SPDXID", "dataLicense")
	for _, c := range in.Creation.Creators {
		creator(doc, c)
	}
	for _, l := range in.Links {
		doc.Links = append(doc.Links, sbom.Link{ID: l.ID, URI: l.URI, Checksum: checksumOf(l.Checksum.Algorithm, l.Checksum.Value)})
	}
	for _, l := range in.Licenses {
		doc.Licenses = append(doc.Licenses, sbom.LicenseText{ID: l.ID, Name: known(l.Name), Text: l.Text, Comment: l.Comment, URLs: l.URLs})
	}
	if err := notes(doc, sbom.DocumentID, in.Annotations); err != nil {
		return nil, err
	}
	if err := in.elements(doc); err != nil {
		return nil, err
	}
	return doc.Checked()
}

// elements takes up packages, files and relations. Relations that are said in two ways are there once.
func (in *jsonDocument) elements(doc *sbom.Document) error {
	doc.Relations = make([]sbom.Relation, 0, len(in.Relations))
	for _, r := range in.Relations {
		doc.Relations = append(doc.Relations, sbom.Relation{From: element(r.From), Kind: r.Kind, To: element(r.To), Comment: r.Comment})
	}
	also := sayAlso(doc)
	for _, id := range in.Describes {
		also(sbom.DocumentID, sbom.Describes, element(id))
	}
	doc.Packages = in.Packages.models
	for _, p := range in.Packages.more {
		for _, f := range p.files {
			also(p.id, sbom.Contains, element(f))
		}
		if err := notes(doc, p.id, p.annotations); err != nil {
			return err
		}
	}
	doc.Files = make([]sbom.FileEntry, 0, len(in.Files))
	for i := range in.Files {
		f := &in.Files[i]
		doc.Files = append(doc.Files, f.model())
		if err := notes(doc, element(f.ID), f.Annotations); err != nil {
			return err
		}
	}
	return nil
}

// sayAlso gives a function that adds relations that are not there, in either direction.
func sayAlso(doc *sbom.Document) func(from, kind, to string) {
	var seen map[sbom.Relation]bool
	return func(from, kind, to string) {
		if seen == nil {
			seen = make(map[sbom.Relation]bool, len(doc.Relations))
			for _, r := range doc.Relations {
				switch r.Kind {
				case "DESCRIBED_BY":
					r = sbom.Relation{From: r.To, Kind: sbom.Describes, To: r.From}
				case "CONTAINED_BY":
					r = sbom.Relation{From: r.To, Kind: sbom.Contains, To: r.From}
				}
				r.Comment = ""
				seen[r] = true
			}
		}
		if r := (sbom.Relation{From: from, Kind: kind, To: to}); !seen[r] {
			seen[r] = true
			doc.Relations = append(doc.Relations, r)
		}
	}
}

func (p *jsonPackage) model() sbom.Package {
	out := sbom.Package{ID: element(p.ID), Name: p.Name, Version: p.Version, Purpose: purposeOf(p.Purpose), FileName: p.FileName,
		Supplier: parseAgent(p.Supplier), Originator: parseAgent(p.Originator), Download: known(p.Download), Homepage: known(p.Homepage),
		License: license(p.Concluded, p.Declared, p.LicComment, p.Copyright), Checksums: sumsOf(p.Checksums),
		Summary: p.Summary, Description: p.Description, SourceInfo: p.SourceInfo, Comment: p.Comment, Verification: p.Verification.Value}
	for _, r := range p.Refs {
		reference(&out, sbom.Ref(r))
	}
	completeness(&out)
	return out
}

func (f *jsonFile) model() sbom.FileEntry {
	declared := ""
	if len(f.InFile) == 1 {
		declared = f.InFile[0]
	}
	return sbom.FileEntry{ID: element(f.ID), Name: fileName(f.Name), Types: f.Types, Checksums: sumsOf(f.Checksums), Comment: f.Comment,
		License: license(f.Concluded, declared, f.LicComment, f.Copyright)}
}

func sumsOf(all []jsonChecksum) []sbom.Checksum {
	out := make([]sbom.Checksum, 0, len(all))
	for _, c := range all {
		out = append(out, checksumOf(c.Algorithm, c.Value))
	}
	return out
}

func notes(doc *sbom.Document, of string, all []jsonAnnotation) error {
	for i, a := range all {
		t, err := parseTime(fmt.Sprintf("annotation %d of %s", i+1, of), a.Date)
		if err != nil {
			return err
		}
		doc.Notes = append(doc.Notes, sbom.Note{Of: of, By: a.By, Type: a.Type, Time: t, Text: a.Comment})
	}
	return nil
}
