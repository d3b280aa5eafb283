package spdx

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sello-release/sello/internal/sbom"
)

// tagReader reads tag-value: lines of "Tag: value", values over several lines between <text> and </text>. A tag belongs to
// the element that the last PackageName, FileName or LicenseID began.
type tagReader struct {
	doc     *sbom.Document
	line    int
	version string
	pkg     *sbom.Package
	file    *sbom.FileEntry
	snippet bool // of which nothing is kept
	text    *sbom.LicenseText
	note    *sbom.Note
	ref     *sbom.Ref // the last one of pkg, which a comment may follow
	rel     bool      // whether the last thing was a relation
	fields  fields    // of pkg or file
	within  string    // identifier of the package that files belong to
	inside  []sbom.Relation
}

// fields are those of which the model makes one value.
type fields struct{ concluded, declared, comment, copyright string }

// ReadTagValue reads SPDX 2.2 or 2.3 as tag-value.
func ReadTagValue(data []byte) (*sbom.Document, error) {
	if err := sbom.CheckText(data); err != nil {
		return nil, err
	}
	r := &tagReader{doc: &sbom.Document{}}
	for len(data) > 0 {
		tag, value, rest, err := r.next(data)
		if err != nil {
			return nil, err
		}
		data = rest
		if tag == "" {
			continue
		}
		if err := r.take(tag, value); err != nil {
			return nil, err
		}
	}
	r.end()
	if err := checkVersion(r.version); err != nil {
		return nil, err
	}
	also := sayAlso(r.doc)
	for _, rel := range r.inside {
		also(rel.From, rel.Kind, rel.To)
	}
	return r.doc.Checked()
}

// next takes one line, or several that are one value; tag is "" for a comment or an empty line.
func (r *tagReader) next(data []byte) (tag, value string, rest []byte, err error) {
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	r.line++
	text := strings.TrimSpace(string(line))
	if text == "" || text[0] == '#' {
		return "", "", rest, nil
	}
	tag, value, ok := strings.Cut(text, ":")
	if !ok || strings.ContainsAny(tag, " \t") {
		return "", "", nil, r.bad("a line that is no tag with a value: %.100q", text)
	}
	value = strings.TrimSpace(value)
	const open, shut = "<text>", "</text>"
	if !strings.HasPrefix(value, open) {
		return tag, value, rest, nil
	}
	from := bytes.Index(data, []byte(open)) + len(open)
	to := bytes.Index(data[from:], []byte(shut))
	if to < 0 {
		return "", "", nil, r.bad("a text that does not end")
	}
	value = string(data[from : from+to])
	r.line += strings.Count(value, "\n")
	if strings.Contains(value, "\n") {
		_, rest, _ = bytes.Cut(data[from+to:], []byte("\n"))
	}
	return tag, strings.ReplaceAll(value, "\r\n", "\n"), rest, nil
}

func (r *tagReader) bad(format string, args ...any) error {
	return sbom.Malformed(fmt.Sprintf("line %d", r.line), format, args...)
}

// take takes up a tag.
func (r *tagReader) take(tag, value string) error {
	switch tag {
	case "PackageName":
		r.end()
		r.within = ""
		r.pkg = &sbom.Package{Name: value}
		return nil
	case "FileName":
		r.end()
		r.file = &sbom.FileEntry{Name: fileName(value)}
		return nil
	case "SnippetSPDXID", "SnippetSPDXIdentifier":
		r.end()
		r.snippet = true
		return nil
	case "LicenseID":
		r.end()
		r.text = &sbom.LicenseText{ID: value}
		return nil
	case "Annotator":
		r.endNote()
		r.note = &sbom.Note{By: value, Type: "OTHER"}
		return nil
	case "Relationship":
		return r.relation(value)
	case "RelationshipComment":
		if n := len(r.doc.Relations); n > 0 && r.rel {
			r.doc.Relations[n-1].Comment = value
		}
		return nil
	}
	r.rel = false
	switch {
	case strings.HasPrefix(tag, "Annotation"), tag == "SPDXREF":
		return r.annotation(tag, value)
	case r.snippet:
		return nil
	case r.text != nil:
		r.licenseTag(tag, value)
		return nil
	case r.pkg != nil:
		return r.packageTag(tag, value)
	case r.file != nil:
		return r.fileTag(tag, value)
	}
	return r.documentTag(tag, value)
}

func (r *tagReader) relation(value string) error {
	f := strings.Fields(value)
	if len(f) != 3 {
		return r.bad("a relationship that is not three words: %.100q", value)
	}
	r.doc.Relations = append(r.doc.Relations, sbom.Relation{From: element(f[0]), Kind: f[1], To: element(f[2])})
	if len(r.doc.Relations) > sbom.MaxRelations {
		return sbom.TooLarge(fmt.Sprintf("at most %d relations", sbom.MaxRelations))
	}
	r.rel = true
	return nil
}

func (r *tagReader) documentTag(tag, value string) error {
	d := r.doc
	switch tag {
	case "SPDXVersion":
		r.version, d.Format, d.License = value, value, sbom.DataLicense
		return checkVersion(value)
	case "DocumentName":
		d.Name = value
	case "DocumentNamespace":
		d.Namespace = value
	case "DocumentComment":
		d.Comment = value
	case "CreatorComment":
		if after, ok := strings.CutPrefix(value, phase); ok {
			d.Phase = after
		}
	case "Creator":
		creator(d, value)
	case "Created":
		t, err := parseTime(fmt.Sprintf("line %d", r.line), value)
		d.Created = t
		return err
	case "ExternalDocumentRef":
		f := strings.Fields(value)
		if len(f) < 3 {
			return r.bad("a reference to a document that is not three words: %.100q", value)
		}
		algorithm, sum, ok := strings.Cut(strings.Join(f[2:], ""), ":")
		if !ok {
			return r.bad("a checksum without its algorithm: %.100q", value)
		}
		d.Links = append(d.Links, sbom.Link{ID: f[0], URI: f[1], Checksum: checksumOf(algorithm, sum)})
	}
	return nil
}

func (r *tagReader) packageTag(tag, value string) error {
	p := r.pkg
	if field := r.packageText(tag); field != nil {
		*field = value
		return nil
	}
	switch tag {
	case "SPDXID":
		p.ID = element(value)
	case "PackageDownloadLocation":
		p.Download = known(value)
	case "PackageHomePage":
		p.Homepage = known(value)
	case "PrimaryPackagePurpose":
		p.Purpose = purposeOf(value)
	case "PackageSupplier":
		p.Supplier = parseAgent(value)
	case "PackageOriginator":
		p.Originator = parseAgent(value)
	case "PackageVerificationCode":
		p.Verification, _, _ = strings.Cut(value, " ")
	case "PackageChecksum":
		return r.checksum(&p.Checksums, value)
	case "ExternalRef":
		f := strings.Fields(value)
		if len(f) != 3 {
			return r.bad("an external reference that is not three words: %.100q", value)
		}
		before := len(p.Refs)
		reference(p, sbom.Ref{Category: f[0], Type: f[1], Locator: f[2]})
		r.ref = nil
		if len(p.Refs) > before {
			r.ref = &p.Refs[before]
		}
	case "ExternalRefComment":
		if r.ref != nil {
			r.ref.Comment = value
		}
	}
	return nil
}

// packageText gives the field of a tag whose value is taken as it is.
func (r *tagReader) packageText(tag string) *string {
	switch tag {
	case "PackageVersion":
		return &r.pkg.Version
	case "PackageFileName":
		return &r.pkg.FileName
	case "PackageSummary":
		return &r.pkg.Summary
	case "PackageDescription":
		return &r.pkg.Description
	case "PackageSourceInfo":
		return &r.pkg.SourceInfo
	case "PackageComment":
		return &r.pkg.Comment
	case "PackageLicenseConcluded":
		return &r.fields.concluded
	case "PackageLicenseDeclared":
		return &r.fields.declared
	case "PackageLicenseComments":
		return &r.fields.comment
	case "PackageCopyrightText":
		return &r.fields.copyright
	}
	return nil
}

func (r *tagReader) fileTag(tag, value string) error {
	f := r.file
	switch tag {
	case "SPDXID":
		f.ID = element(value)
		if r.within != "" {
			r.inside = append(r.inside, sbom.Relation{From: r.within, Kind: sbom.Contains, To: f.ID})
		}
	case "FileType":
		f.Types = append(f.Types, value)
	case "FileChecksum":
		return r.checksum(&f.Checksums, value)
	case "FileComment":
		f.Comment = value
	case "LicenseConcluded":
		r.fields.concluded = value
	case "LicenseInfoInFile":
		r.fields.declared = value
	case "LicenseComments":
		r.fields.comment = value
	case "FileCopyrightText":
		r.fields.copyright = value
	}
	return nil
}

func (r *tagReader) checksum(to *[]sbom.Checksum, value string) error {
	algorithm, sum, ok := strings.Cut(value, ":")
	if !ok {
		return r.bad("a checksum without its algorithm: %.100q", value)
	}
	*to = append(*to, checksumOf(strings.TrimSpace(algorithm), strings.TrimSpace(sum)))
	return nil
}

func (r *tagReader) licenseTag(tag, value string) {
	switch tag {
	case "LicenseName":
		r.text.Name = known(value)
	case "ExtractedText":
		r.text.Text = value
	case "LicenseComment":
		r.text.Comment = value
	case "LicenseCrossReference":
		r.text.URLs = append(r.text.URLs, strings.Split(value, ", ")...)
	}
}

func (r *tagReader) annotation(tag, value string) error {
	if r.note == nil {
		return r.bad("%s without an annotator before it", tag)
	}
	switch tag {
	case "AnnotationDate":
		t, err := parseTime(fmt.Sprintf("line %d", r.line), value)
		r.note.Time = t
		return err
	case "AnnotationType":
		r.note.Type = value
	case "AnnotationComment":
		r.note.Text = value
	case "SPDXREF":
		r.note.Of = element(value)
	}
	return nil
}

// end takes up the element that was begun.
func (r *tagReader) end() {
	r.endNote()
	l := license(r.fields.concluded, r.fields.declared, r.fields.comment, r.fields.copyright)
	switch {
	case r.pkg != nil:
		r.pkg.License = l
		completeness(r.pkg)
		r.doc.Packages = append(r.doc.Packages, *r.pkg)
		r.within = r.pkg.ID
	case r.file != nil:
		r.file.License = l
		r.doc.Files = append(r.doc.Files, *r.file)
	case r.text != nil:
		r.doc.Licenses = append(r.doc.Licenses, *r.text)
	}
	r.pkg, r.file, r.text, r.ref, r.snippet, r.fields = nil, nil, nil, nil, false, fields{}
}

func (r *tagReader) endNote() {
	if r.note != nil {
		if r.note.Of == "" {
			r.note.Of = sbom.DocumentID
		}
		r.doc.Notes = append(r.doc.Notes, *r.note)
		r.note = nil
	}
}
