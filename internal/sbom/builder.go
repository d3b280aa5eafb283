package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// namespaceBase starts the namespace of every document that is made here. It is a name and need not lead anywhere.
const namespaceBase = "https://github.com/sello-release/sello/spdx/"

// Builder collects packages, files and relations, each once, in whatever order, and makes a Document of them.
type Builder struct {
	meta      Meta
	graph     Graph
	packages  map[string]*Package
	files     map[string]*FileEntry
	relations map[Relation]bool
	notes     map[Note]bool
	links     map[Link]bool
	texts     map[string]LicenseText
	programs  map[string]string // artifacts that are programs: identifier by SHA-256
}

// NewBuilder starts a document. graph says which of the modules that are linked into the project's own programs import which.
func NewBuilder(meta Meta, graph Graph) (*Builder, error) {
	if err := meta.check(); err != nil {
		return nil, err
	}
	meta.Tool = cmp.Or(meta.Tool, "sello")
	return &Builder{meta: meta, graph: graph, packages: map[string]*Package{}, files: map[string]*FileEntry{}, relations: map[Relation]bool{},
		notes: map[Note]bool{}, links: map[Link]bool{}, texts: map[string]LicenseText{}, programs: map[string]string{}}, nil
}

// Add takes up a package, unless one of its identifier is there, and gives the identifier.
// The package may be changed until Document is called.
func (d *Builder) Add(p *Package) string {
	if _, ok := d.packages[p.ID]; !ok {
		d.packages[p.ID] = p
	}
	return p.ID
}

// Package gives a package that was added, to be changed; nil when there is none.
func (d *Builder) Package(id string) *Package { return d.packages[id] }

// AddFile takes up a file under that identifier; ElementID makes one.
func (d *Builder) AddFile(id string, f File) error {
	if err := f.check(); err != nil {
		return err
	}
	if _, ok := d.files[id]; ok {
		return fmt.Errorf("two files are called %q", f.Name)
	}
	d.files[id] = &FileEntry{ID: id, Name: f.Name, Checksums: []Checksum{{SHA1, f.SHA1}, {SHA256, f.SHA256}}}
	return nil
}

// File gives a file that was added, to be changed; nil when there is none.
func (d *Builder) File(id string) *FileEntry { return d.files[id] }

// Relate says that from has that relation to to.
func (d *Builder) Relate(from, kind, to string) {
	r := Relation{From: from, Kind: kind, To: to}
	switch {
	case kind != VariantOf:
	case strings.HasPrefix(to, "Index-"):
		r.Comment = "for its platform"
	default:
		r.Comment = "linked in its place, by go.mod's replace directive"
	}
	d.relations[r] = true
}

// RelateSince is Relate with a comment that says why.
func (d *Builder) RelateSince(from, kind, to, why string) {
	d.relations[Relation{From: from, Kind: kind, To: to, Comment: strings.Map(printable, why)}] = true
}

// Remove takes a package out again that nothing was related to.
func (d *Builder) Remove(id string) { delete(d.packages, id) }

// Note says something about an element in a sentence.
func (d *Builder) Note(of, format string, args ...any) {
	text := strings.ToValidUTF8(fmt.Sprintf(format, args...), "?")
	text = strings.Map(printable, text)
	d.notes[Note{Of: of, By: "Tool: " + d.meta.tool(), Type: "OTHER", Time: d.meta.created(), Text: text}] = true
}

func printable(r rune) rune {
	if r != '\n' && isUnprintable(r) {
		return '?'
	}
	return r
}

// Link names another document by its digest, and gives what to relate to: the element id of it.
func (d *Builder) Link(name, namespace, sha256, id string) string {
	l := Link{ID: "DocumentRef-" + name, URI: namespace, Checksum: Checksum{SHA256, sha256}}
	d.links[l] = true
	return l.ID + ":SPDXRef-" + id
}

// ElementID gives an identifier out of the letters that SPDX allows (SPDX 2.3, 3.2), unique
// for the parts, readable for people.
func ElementID(kind string, parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, strings.Join(parts[:min(2, len(parts))], "-"))
	return kind + "-" + strings.Trim(readable[:min(len(readable), 100)], "-") + "-" + hex.EncodeToString(h[:6])
}

// Document gives everything that was taken up, in a fixed order.
func (d *Builder) Document(name string) *Document {
	d.license()
	doc := &Document{Name: name, Created: d.meta.created(), Tools: []Tool{{d.meta.Tool, d.meta.ToolVersion}}, Authors: d.meta.Authors, Phase: d.meta.Phase, License: DataLicense}
	for _, id := range slices.Sorted(maps.Keys(d.packages)) {
		doc.Packages = append(doc.Packages, *d.packages[id])
	}
	for _, id := range slices.Sorted(maps.Keys(d.files)) {
		doc.Files = append(doc.Files, *d.files[id])
	}
	doc.Relations = slices.Collect(maps.Keys(d.relations))
	doc.Notes = slices.Collect(maps.Keys(d.notes))
	doc.Links = slices.Collect(maps.Keys(d.links))
	doc.Licenses = slices.Collect(maps.Values(d.texts))
	doc.Sort()
	doc.Namespace = d.namespace(name) + doc.Hash()[:namespaceHash]
	return doc
}

// namespaceHash is the length of the hash that ends a namespace, in hex digits, so that
// different documents never share one (SPDX 2.3, 6.5).
const namespaceHash = 16

func (d *Builder) namespace(name string) string {
	parts := []string{d.meta.Project, d.meta.Version}
	if name != d.meta.Project {
		parts = append(parts, strings.Split(name, "/")...)
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return namespaceBase + strings.Join(parts, "/") + "-"
}

func (m Meta) tool() string {
	return strings.TrimSuffix(cmp.Or(m.Tool, "sello")+"-"+m.ToolVersion, "-")
}

func (m Meta) created() time.Time { return m.Created.UTC().Truncate(time.Second) }
