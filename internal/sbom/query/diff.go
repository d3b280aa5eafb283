package query

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/sbom"
)

// Diff is how two documents differ in their packages. What the documents describe as a whole is not compared.
type Diff struct {
	From     string          `json:"from"`
	To       string          `json:"to"`
	Added    []Change        `json:"added"`
	Removed  []Change        `json:"removed"`
	Upgraded []Change        `json:"upgraded"` // also what went back to an earlier version: Downgrade is true
	Licenses []LicenseChange `json:"licenses"` // of packages that are in both
}

// Change is a package that came, went or has another version.
type Change struct {
	Name      string `json:"name"`
	PURL      string `json:"purl,omitempty"` // of the newer document, where there is one
	From      string `json:"from,omitempty"` // version
	To        string `json:"to,omitempty"`
	License   string `json:"license,omitempty"`
	Downgrade bool   `json:"downgrade,omitempty"`
}

// LicenseChange is a package of which another licence is known. "" is that none is.
type LicenseChange struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	From    string `json:"from"`
	To      string `json:"to"`
}

// Empty reports whether the documents have the same packages under the same licences.
func (d *Diff) Empty() bool {
	return len(d.Added)+len(d.Removed)+len(d.Upgraded)+len(d.Licenses) == 0
}

// Compare tells what changed from one document to another. Packages are the same when their package URLs are, but for the
// version, or their names where they have none.
func Compare(from, to *sbom.Document) *Diff {
	d := &Diff{From: subject(from), To: subject(to), Added: []Change{}, Removed: []Change{}, Upgraded: []Change{}, Licenses: []LicenseChange{}}
	before, after := versionsOf(from), versionsOf(to)
	keys := map[string]bool{}
	for k := range before {
		keys[k] = true
	}
	for k := range after {
		keys[k] = true
	}
	for k := range keys {
		d.compare(before[k], after[k])
	}
	byName := func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.PURL, b.PURL), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	}
	slices.SortFunc(d.Added, byName)
	slices.SortFunc(d.Removed, byName)
	slices.SortFunc(d.Upgraded, byName)
	slices.SortFunc(d.Licenses, func(a, b LicenseChange) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.From, b.From))
	})
	return d
}

// subject names what a document describes.
func subject(doc *sbom.Document) string {
	g := New(doc)
	if len(g.roots) == 0 {
		return doc.Name
	}
	n := g.nodes[g.roots[0]]
	return strings.TrimSpace(n.Name() + " " + n.Version())
}

// versionsOf gives the packages of a document by what they are without their versions, each version once.
func versionsOf(doc *sbom.Document) map[string][]*sbom.Package {
	described := map[string]bool{}
	for _, r := range doc.Relations {
		if r.From == sbom.DocumentID && r.Kind == sbom.Describes {
			described[r.To] = true
		}
	}
	out := map[string][]*sbom.Package{}
	for i := range doc.Packages {
		p := named(doc, &doc.Packages[i])
		if described[p.ID] || p.PURL == "" && strings.HasPrefix(p.Name, "sha256:") { // layers are their digests
			continue
		}
		k := identity(p)
		if !slices.ContainsFunc(out[k], func(o *sbom.Package) bool { return versionOf(o) == versionOf(p) }) {
			out[k] = append(out[k], p)
		}
	}
	for _, all := range out {
		slices.SortFunc(all, func(a, b *sbom.Package) int { return CompareVersions(versionOf(a), versionOf(b)) })
	}
	return out
}

// identity is what a package is without its version: the package URL up to it, with the architecture, or the name.
func identity(p *sbom.Package) string {
	base, rest := p.PURL, ""
	if i := strings.IndexAny(base, "?#"); i >= 0 {
		base, rest = base[:i], base[i:]
	}
	if base == "" {
		return "name:" + p.Name
	}
	if i := strings.LastIndexByte(base, '@'); i > strings.LastIndexByte(base, '/') {
		base = base[:i]
	}
	for _, q := range strings.FieldsFunc(rest, func(r rune) bool { return r == '?' || r == '&' || r == '#' }) {
		if strings.HasPrefix(q, "arch=") {
			base += "?" + q
		}
	}
	if _, subpath, ok := strings.Cut(rest, "#"); ok {
		base += "#" + subpath
	}
	return base
}

func (d *Diff) compare(before, after []*sbom.Package) {
	gone := without(before, after)
	came := without(after, before)
	for len(gone) > 0 && len(came) > 0 {
		a, b := gone[0], came[0]
		gone, came = gone[1:], came[1:]
		if unversioned(versionOf(a)) || unversioned(versionOf(b)) {
			d.license(a, b)
			continue
		}
		d.Upgraded = append(d.Upgraded, Change{Name: b.Name, PURL: b.PURL, From: versionOf(a), To: versionOf(b), License: known(b), Downgrade: CompareVersions(versionOf(a), versionOf(b)) > 0})
		d.license(a, b)
	}
	for _, p := range gone {
		d.Removed = append(d.Removed, Change{Name: p.Name, PURL: p.PURL, From: versionOf(p), License: known(p)})
	}
	for _, p := range came {
		d.Added = append(d.Added, Change{Name: p.Name, PURL: p.PURL, To: versionOf(p), License: known(p)})
	}
	for _, a := range before {
		for _, b := range after {
			if versionOf(a) == versionOf(b) {
				d.license(a, b)
			}
		}
	}
}

// unversioned reports whether a version says nothing: sources have none yet.
func unversioned(v string) bool { return v == "" || v == "(devel)" }

func (d *Diff) license(a, b *sbom.Package) {
	if x, y := known(a), known(b); x != y {
		d.Licenses = append(d.Licenses, LicenseChange{b.Name, versionOf(b), x, y})
	}
}

// named gives a package with the names of its licences: two documents may call one licence by different identifiers.
func named(doc *sbom.Document, p *sbom.Package) *sbom.Package {
	if !strings.Contains(p.License.Concluded+p.License.Declared, "LicenseRef-") {
		return p
	}
	out := *p
	out.License.Concluded, out.License.Declared = LicenseName(doc, p.License.Concluded), LicenseName(doc, p.License.Declared)
	return &out
}

func known(p *sbom.Package) string { return cmp.Or(p.License.Concluded, p.License.Declared) }

// without gives the packages whose versions are not among others.
func without(all, others []*sbom.Package) []*sbom.Package {
	var out []*sbom.Package
	for _, p := range all {
		if !slices.ContainsFunc(others, func(o *sbom.Package) bool { return versionOf(o) == versionOf(p) }) {
			out = append(out, p)
		}
	}
	return out
}
