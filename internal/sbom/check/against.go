package check

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/sbom"
)

// Difference is something in which a document and the thing do not agree.
type Difference struct {
	Kind     string `json:"kind"` // missing: in the thing and not in the document; extra: the other way round; changed
	What     string `json:"what"` // file or package
	Name     string `json:"name"`
	Document string `json:"document,omitempty"` // what the document says: a digest or a version
	Thing    string `json:"thing,omitempty"`
}

// Compared is what Against looked at.
type Compared struct {
	Files       int          `json:"files"`    // of the thing; 0 when the document lists none
	Packages    int          `json:"packages"` // of the thing
	Unlisted    bool         `json:"unlisted"` // the document lists no files, so that files were not compared
	Apart       []string     `json:"apart"`    // source archives whose files the document leaves to another, so that what is in them was not compared
	Differences []Difference `json:"differences"`
}

// Against compares a document with one that was made of the thing itself: files by name and SHA-256 (or SHA-1 where the document has no
// other), packages by package URL without qualifiers, or by name and version where they have none, and licences where both know one. A
// package of which the thing does not tell the version is compared without it: programs do not know the release that they are built for.
// Other things that a document may say are not compared.
func Against(doc, made *sbom.Document) Compared {
	c := Compared{Differences: []Difference{}, Apart: []string{}}
	made = c.without(doc, made)
	theirs, ours := filesOf(doc), filesOf(made)
	if c.Unlisted = len(theirs) == 0 && len(ours) > 0; !c.Unlisted {
		c.Files = len(ours)
		c.files(theirs, ours)
	}
	c.described(doc, made)
	c.packages(doc, made)
	slices.SortFunc(c.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Document, b.Document))
	})
	return c
}

// filesOf gives files by name; one name may be there several times, in the layers of an image.
func filesOf(doc *sbom.Document) map[string][]*sbom.FileEntry {
	out := map[string][]*sbom.FileEntry{}
	for i := range doc.Files {
		f := &doc.Files[i]
		name := strings.TrimLeft(strings.TrimPrefix(f.Name, "./"), "/")
		out[name] = append(out[name], f)
	}
	return out
}

func (c *Compared) files(theirs, ours map[string][]*sbom.FileEntry) {
	for name, all := range ours {
		for _, f := range all {
			switch said := theirs[name]; {
			case len(said) == 0:
				c.add("missing", "file", name, "", f.Checksum(sbom.SHA256))
			case !slices.ContainsFunc(said, func(o *sbom.FileEntry) bool { return same(o.Checksums, f.Checksums) }):
				c.add("changed", "file", name, best(said[0].Checksums), f.Checksum(sbom.SHA256))
			}
		}
	}
	for name, said := range theirs {
		if len(ours[name]) == 0 {
			c.add("extra", "file", name, best(said[0].Checksums), "")
		}
	}
}

// same compares the strongest digest that both have.
func same(a, b []sbom.Checksum) bool {
	for _, algorithm := range []string{sbom.SHA512, sbom.SHA256, sbom.SHA1} {
		x, y := sumOf(a, algorithm), sumOf(b, algorithm)
		if x != "" && y != "" {
			return x == y
		}
	}
	return false
}

func sumOf(all []sbom.Checksum, algorithm string) string {
	for _, c := range all {
		if c.Algorithm == algorithm {
			return c.Value
		}
	}
	return ""
}

func best(all []sbom.Checksum) string {
	return cmp.Or(sumOf(all, sbom.SHA256), sumOf(all, sbom.SHA512), sumOf(all, sbom.SHA1))
}

func (c *Compared) add(kind, what, name, document, thing string) {
	c.Differences = append(c.Differences, Difference{kind, what, name, document, thing})
}

// described compares the digests of what the two describe, when each describes one thing and both have a digest of it.
func (c *Compared) described(doc, made *sbom.Document) {
	a, b := rootOf(doc), rootOf(made)
	if a == nil || b == nil || best(a.Checksums) == "" || best(b.Checksums) == "" || same(a.Checksums, b.Checksums) {
		return
	}
	c.add("changed", "package", a.Name, best(a.Checksums), best(b.Checksums))
}

func rootOf(doc *sbom.Document) *sbom.Package {
	var found *sbom.Package
	for _, r := range doc.Relations {
		if r.From != sbom.DocumentID || r.Kind != sbom.Describes {
			continue
		}
		for i := range doc.Packages {
			if doc.Packages[i].ID == r.To {
				if found != nil {
					return nil
				}
				found = &doc.Packages[i]
			}
		}
	}
	return found
}

// without gives the document of the thing without what is in source archives of which the other one lists no files.
func (c *Compared) without(doc, made *sbom.Document) *sbom.Document {
	below, listed := parts(made), parts(doc)
	apart := map[string]bool{}
	for i := range made.Packages {
		p := &made.Packages[i]
		if p.Purpose != sbom.PurposeSource || len(below[p.ID]) == 0 {
			continue
		}
		at := slices.IndexFunc(doc.Packages, func(o sbom.Package) bool { return o.Purpose == sbom.PurposeSource && same(o.Checksums, p.Checksums) })
		if at >= 0 && len(listed[doc.Packages[at].ID]) == 0 {
			apart[p.ID] = true
			c.Apart = append(c.Apart, p.Name)
		}
	}
	if len(apart) == 0 {
		return made
	}
	in, out := map[string]bool{}, map[string]bool{}
	for id := range apart {
		reach(below, below[id], in, nil)
	}
	reach(below, below[sbom.DocumentID], out, apart)
	left := *made
	gone := func(id string) bool { return in[id] && !out[id] }
	left.Packages = slices.DeleteFunc(slices.Clone(made.Packages), func(p sbom.Package) bool { return gone(p.ID) })
	left.Files = slices.DeleteFunc(slices.Clone(made.Files), func(f sbom.FileEntry) bool { return gone(f.ID) })
	return &left
}

// parts gives what elements contain, depend on or describe.
func parts(doc *sbom.Document) map[string][]string {
	out := map[string][]string{}
	for _, r := range doc.Relations {
		switch r.Kind {
		case sbom.Contains, sbom.DependsOn, sbom.Describes, sbom.CopyOf:
			out[r.From] = append(out[r.From], r.To)
		}
	}
	return out
}

// reach marks elements and everything below them, but for what is below those that stop.
func reach(below map[string][]string, from []string, seen, stop map[string]bool) {
	todo := slices.Clone(from)
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[id] {
			continue
		}
		seen[id] = true
		if !stop[id] {
			todo = append(todo, below[id]...)
		}
	}
}

func (c *Compared) packages(doc, made *sbom.Document) {
	theirs, ours := contentsOf(doc), contentsOf(made)
	c.Packages = len(ours)
	anyVersion, said := map[string]bool{}, map[string]bool{} // without their versions
	for k := range theirs {
		said[unversioned(k)] = true
	}
	for k, p := range ours {
		if unversioned(k) == k {
			anyVersion[k] = true
		}
		switch o := theirs[k]; {
		case o != nil:
			c.license(k, o, p)
		case !anyVersion[k] || !said[k]:
			c.add("missing", "package", k, "", p.Version)
		}
	}
	for k, p := range theirs {
		if ours[k] == nil && !anyVersion[unversioned(k)] {
			c.add("extra", "package", k, p.Version, "")
		}
	}
}

func (c *Compared) license(name string, doc, made *sbom.Package) {
	for _, pair := range [][2]string{{doc.License.Declared, made.License.Declared}, {doc.License.Concluded, made.License.Concluded}} {
		if pair[0] != "" && pair[1] != "" && pair[0] != pair[1] {
			c.add("changed", "licence", name, pair[0], pair[1])
		}
	}
}

// unversioned gives the key of a package without the version.
func unversioned(key string) string {
	if strings.HasPrefix(key, "pkg:") {
		purl, subpath, _ := strings.Cut(key, "#")
		if i := strings.LastIndexByte(purl, '@'); i > strings.LastIndexByte(purl, '/') {
			purl = purl[:i]
		}
		return strings.TrimSuffix(purl+"#"+subpath, "#")
	}
	name, _, _ := strings.Cut(key, versionMark)
	return name
}

// versionMark stands between name and version of packages without package URLs.
const versionMark = " at "

// contentsOf gives the packages that a thing consists of, by package URL without qualifiers, or by name and version; what it was built with and
// from is not in it, nor is the thing itself.
func contentsOf(doc *sbom.Document) map[string]*sbom.Package {
	aside := map[string]bool{}
	for _, r := range doc.Relations {
		switch r.Kind {
		case sbom.BuildToolOf, "DEV_TOOL_OF", "TEST_TOOL_OF":
			aside[r.From] = true
		case sbom.GeneratedFrom, sbom.VariantOf, sbom.DescendantOf:
			aside[r.To] = true
		}
	}
	if root := rootOf(doc); root != nil {
		aside[root.ID] = true
	}
	out := map[string]*sbom.Package{}
	for i := range doc.Packages {
		if p := &doc.Packages[i]; !aside[p.ID] {
			for _, k := range keys(p) {
				out[k] = p
			}
		}
	}
	return out
}

func keys(p *sbom.Package) []string {
	all := p.PURLs()
	if len(all) == 0 {
		return []string{strings.TrimSuffix(p.Name+versionMark+p.Version, versionMark)}
	}
	for i, purl := range all {
		purl, subpath, _ := strings.Cut(purl, "#")
		purl, _, _ = strings.Cut(purl, "?")
		all[i] = strings.TrimSuffix(purl+"#"+subpath, "#")
	}
	return all
}
