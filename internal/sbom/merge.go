package sbom

import (
	"errors"
	"slices"
	"time"
)

// Part is a document that goes into another one.
type Part struct {
	Doc    *Document
	SHA256 string // of its bytes, lower-case hex
}

// Merge makes one document of several. What they describe is described by the result; a package or file that several of them have is in it
// once; each of them is named by its digest. The time is that of the latest.
func Merge(name string, parts []Part, tool Tool) (*Document, error) {
	if len(parts) == 0 {
		return nil, errors.New("nothing to merge")
	}
	m := &merger{out: &Document{Name: name, Tools: []Tool{tool}, License: DataLicense}, taken: map[string]string{}, seen: map[string]string{}, texts: map[string]bool{}}
	for i, p := range parts {
		if p.Doc.Created.After(m.out.Created) {
			m.out.Created = p.Doc.Created
		}
		m.part(i, p)
	}
	if m.out.Created.IsZero() {
		m.out.Created = time.Unix(0, 0).UTC()
	}
	m.out.Sort()
	m.out.Relations = slices.Compact(m.out.Relations)
	m.out.Notes = slices.Compact(m.out.Notes)
	m.out.Links = slices.Compact(m.out.Links)
	b := Builder{meta: Meta{Project: name}}
	m.out.Namespace = b.namespace(name) + m.out.Hash()[:namespaceHash]
	return m.out, nil
}

type merger struct {
	out   *Document
	taken map[string]string // content by identifier of the result
	seen  map[string]string // identifier of the result by content
	texts map[string]bool
}

func (m *merger) part(i int, p Part) {
	ids := map[string]string{DocumentID: DocumentID}
	id := func(old string) string {
		if now, ok := ids[old]; ok {
			return now
		}
		return old
	}
	for _, pkg := range p.Doc.Packages {
		h := newContentHash()
		old := pkg.ID
		pkg.ID = ""
		h.pkg(&pkg)
		var fresh bool
		if ids[old], fresh = m.place(i, old, h.sum()); fresh {
			pkg.ID = ids[old]
			m.out.Packages = append(m.out.Packages, pkg)
		}
	}
	for _, f := range p.Doc.Files {
		h := newContentHash()
		h.texts(f.Name, f.Comment)
		h.sums(f.Checksums)
		h.license(f.License)
		var fresh bool
		old := f.ID
		if ids[old], fresh = m.place(i, old, h.sum()); fresh {
			f.ID = ids[old]
			m.out.Files = append(m.out.Files, f)
		}
	}
	for _, r := range p.Doc.Relations {
		r.From, r.To = id(r.From), id(r.To)
		m.out.Relations = append(m.out.Relations, r)
	}
	for _, n := range p.Doc.Notes {
		n.Of = id(n.Of)
		m.out.Notes = append(m.out.Notes, n)
	}
	for _, l := range p.Doc.Licenses {
		if !m.texts[l.ID] {
			m.texts[l.ID] = true
			m.out.Licenses = append(m.out.Licenses, l)
		}
	}
	m.out.Links = append(m.out.Links, p.Doc.Links...)
	if p.SHA256 != "" {
		m.out.Links = append(m.out.Links, Link{ID: "DocumentRef-" + p.SHA256[:16], URI: p.Doc.Namespace, Checksum: Checksum{SHA256, p.SHA256}})
	}
}

// place gives an element its identifier in the result; fresh says that it is not there yet.
func (m *merger) place(part int, old, content string) (id string, fresh bool) {
	if id, ok := m.seen[content]; ok {
		return id, false
	}
	id = old
	if _, ok := m.taken[id]; ok || id == DocumentID {
		id = ElementID("Part", old, string(rune('0'+part%10)), content)
	}
	m.taken[id], m.seen[content] = content, id
	return id, true
}
