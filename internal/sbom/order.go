package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"
	"strconv"
	"time"
)

// Sort brings everything in the document into an order that depends on nothing but what is there.
func (d *Document) Sort() {
	slices.SortFunc(d.Packages, func(a, b Package) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(d.Files, func(a, b FileEntry) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(d.Relations, func(a, b Relation) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.To, b.To), cmp.Compare(a.Comment, b.Comment))
	})
	slices.SortFunc(d.Licenses, func(a, b LicenseText) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(d.Links, func(a, b Link) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.URI, b.URI)) })
	slices.SortFunc(d.Notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.Of, b.Of), cmp.Compare(a.Text, b.Text), cmp.Compare(a.By, b.By), a.Time.Compare(b.Time))
	})
}

// Hash gives the SHA-256 over what the document says, but for its namespace, in lower-case hex. It is the same in every format that
// keeps all of it.
func (d *Document) Hash() string {
	h := newContentHash()
	h.texts(d.Name, d.Created.UTC().Format(time.RFC3339), d.Comment, d.Phase)
	for _, t := range d.Tools {
		h.texts("tool", t.Name, t.Version)
	}
	for _, a := range d.Authors {
		h.texts("author", a.Kind, a.Name, a.Email)
	}
	for i := range d.Packages {
		h.pkg(&d.Packages[i])
	}
	for i := range d.Files {
		f := &d.Files[i]
		h.texts("file", f.ID, f.Name, f.Comment)
		h.texts(f.Types...)
		h.sums(f.Checksums)
		h.license(f.License)
	}
	for _, r := range d.Relations {
		h.texts("relation", r.From, r.Kind, r.To, r.Comment)
	}
	for _, l := range d.Licenses {
		h.texts("licence", l.ID, l.Name, l.Text, l.Comment)
		h.texts(l.URLs...)
	}
	for _, l := range d.Links {
		h.texts("link", l.ID, l.URI, l.Checksum.Algorithm, l.Checksum.Value)
	}
	for _, n := range d.Notes {
		h.texts("note", n.Of, n.By, n.Type, n.Text)
	}
	return h.sum()
}

// hasher hashes lists of texts, each with its length, so that no two lists look alike.
type hasher struct {
	h   hash.Hash
	buf []byte
}

func newContentHash() *hasher { return &hasher{h: sha256.New()} }

func (h *hasher) sum() string { return hex.EncodeToString(h.h.Sum(nil)) }

func (h *hasher) texts(all ...string) {
	h.buf = binary.AppendUvarint(h.buf[:0], uint64(len(all)))
	for _, s := range all {
		h.buf = append(binary.AppendUvarint(h.buf, uint64(len(s))), s...)
	}
	h.h.Write(h.buf)
}

func (h *hasher) sums(all []Checksum) {
	for _, c := range all {
		h.texts("sum", c.Algorithm, c.Value)
	}
}

func (h *hasher) license(l License) {
	h.texts(l.Declared, l.Concluded, strconv.FormatFloat(l.Confidence, 'g', -1, 64), l.Comment, l.Copyright)
}

func (h *hasher) pkg(p *Package) {
	h.texts("package", p.ID, p.Name, p.Version, p.Purpose, p.PURL, p.FileName, p.Supplier.Kind, p.Supplier.Name, p.Supplier.Email,
		p.Originator.Kind, p.Originator.Name, p.Originator.Email, p.Download, p.Homepage, p.Summary, p.Description, p.SourceInfo, p.Comment, p.Verification, strconv.FormatBool(p.Complete))
	h.texts(p.CPEs...)
	h.sums(p.Checksums)
	h.license(p.License)
	for _, r := range p.Refs {
		h.texts("ref", r.Category, r.Type, r.Locator, r.Comment)
	}
}
