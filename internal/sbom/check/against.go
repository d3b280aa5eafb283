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
	Packages    int          `json:"packages"` // of the thing, with package URLs
	Unlisted    bool         `json:"unlisted"` // the document lists no files, so that files were not compared
	Differences []Difference `json:"differences"`
}

// Against compares a document with one that was made of the thing itself: files by name and SHA-256 (or SHA-1 where the document has no
// other), packages by package URL. Other things that a document may say are not compared.
func Against(doc, made *sbom.Document) Compared {
	c := Compared{Differences: []Difference{}}
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

func (c *Compared) packages(doc, made *sbom.Document) {
	theirs, ours := purlsOf(doc), purlsOf(made)
	c.Packages = len(ours)
	for purl, p := range ours {
		if theirs[purl] == nil {
			c.add("missing", "package", purl, "", p.Version)
		}
	}
	for purl, p := range theirs {
		if ours[purl] == nil && sameKind(purl, ours) {
			c.add("extra", "package", purl, p.Version, "")
		}
	}
}

// sameKind reports whether packages of that kind were looked for in the thing at all: a document may know more than bytes tell.
func sameKind(purl string, ours map[string]*sbom.Package) bool {
	kind, _, _ := strings.Cut(purl, "/")
	for other := range ours {
		if strings.HasPrefix(other, kind+"/") {
			return true
		}
	}
	return false
}

// purlsOf gives the packages that a thing consists of, by package URL without qualifiers; what it was built with and from is not in it.
func purlsOf(doc *sbom.Document) map[string]*sbom.Package {
	aside := map[string]bool{}
	for _, r := range doc.Relations {
		switch r.Kind {
		case sbom.BuildToolOf, "DEV_TOOL_OF", "TEST_TOOL_OF":
			aside[r.From] = true
		case sbom.GeneratedFrom, sbom.VariantOf, sbom.DescendantOf:
			aside[r.To] = true
		case sbom.Describes:
			aside[r.To] = true
		}
	}
	out := map[string]*sbom.Package{}
	for i := range doc.Packages {
		p := &doc.Packages[i]
		if purl, _, _ := strings.Cut(p.PURL, "?"); purl != "" && !aside[p.ID] {
			out[purl] = p
		}
	}
	return out
}
