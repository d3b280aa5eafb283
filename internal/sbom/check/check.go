// Package check holds a bill of materials to what its format and good sense ask for, and to what it describes.
//
// Reading has refused already what is not of the format's types. Check looks at what the types do not say: identifiers, relations that lead
// nowhere or in a circle, checksums, package URLs, licence expressions, the verification codes of packages. Against compares a
// document with one that was made of the thing itself.
package check

import (
	"crypto/sha1" // #nosec G505 -- SPDX's verification code is made of it; nothing relies on it
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/license"
	"github.com/sello-release/sello/internal/sbom"
)

// Finding is something that is wrong, or that a reader misses. Codes are kebab-case and keep their meaning.
type Finding struct {
	Code  string `json:"code"`
	Grave bool   `json:"grave"` // the document is invalid for it
	Where string `json:"where,omitempty"`
	What  string `json:"what"`
}

// most is how many findings of one code are told one by one.
const most = 20

type checker struct {
	doc   *sbom.Document
	out   []Finding
	count map[string]int
	files map[string]*sbom.FileEntry
	known map[string]bool
}

// Document checks a document by itself. Findings are in a fixed order.
func Document(doc *sbom.Document) []Finding {
	c := &checker{doc: doc, count: map[string]int{}, files: map[string]*sbom.FileEntry{}, known: map[string]bool{sbom.DocumentID: true, sbom.None: true, "NOASSERTION": true}}
	for i := range doc.Packages {
		c.known[doc.Packages[i].ID] = true
	}
	for i := range doc.Files {
		c.known[doc.Files[i].ID] = true
		c.files[doc.Files[i].ID] = &doc.Files[i]
	}
	c.head()
	for i := range doc.Packages {
		c.pkg(&doc.Packages[i])
	}
	for i := range doc.Files {
		c.file(&doc.Files[i])
	}
	c.relations()
	c.verification()
	for code, n := range c.count {
		if n > most {
			c.out = append(c.out, Finding{Code: code, What: fmt.Sprintf("and %d more of this kind", n-most)})
		}
	}
	slices.SortStableFunc(c.out, func(a, b Finding) int { return strings.Compare(a.Code, b.Code) })
	return c.out
}

// add takes up a finding.
func (c *checker) add(grave bool, code, where, format string, args ...any) {
	if c.count[code]++; c.count[code] <= most {
		c.out = append(c.out, Finding{code, grave, where, fmt.Sprintf(format, args...)})
	}
}

func (c *checker) head() {
	d := c.doc
	if d.Created.IsZero() {
		c.add(c.spdx(), "no-time", "", "the document does not say when it was made")
	}
	if len(d.Tools)+len(d.Authors) == 0 {
		c.add(c.spdx(), "no-creator", "", "the document does not say who or what made it")
	}
	if d.Name == "" {
		c.add(false, "no-name", "", "the document has no name")
	}
	switch bad := !strings.Contains(d.Namespace, ":") || strings.ContainsAny(d.Namespace, "# "); {
	case strings.HasPrefix(d.Format, "CycloneDX") && d.Namespace == "":
		c.add(false, "no-serial-number", "", "the document has no serialNumber, by which others could name it")
	case strings.HasPrefix(d.Format, "CycloneDX") && bad:
		c.add(true, "bad-serial-number", "", "the document's serialNumber is no URN: %.200q", d.Namespace)
	case bad:
		c.add(true, "bad-namespace", "", "the document's namespace is no URI of its own: %.200q", d.Namespace)
	}
	if len(d.Packages)+len(d.Files) == 0 {
		c.add(true, "empty", "", "the document has neither packages nor files")
	}
}

// spdx reports whether identifiers are SPDX's, which allow few characters (SPDX 2.3, 7.2).
func (c *checker) spdx() bool { return c.doc.Format == "" || strings.HasPrefix(c.doc.Format, "SPDX-2") }

func (c *checker) id(id string) {
	if c.spdx() && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != "" {
		c.add(true, "bad-id", id, "an identifier has other characters than letters, digits, '.' and '-'")
	}
}

func (c *checker) pkg(p *sbom.Package) {
	c.id(p.ID)
	if p.Name == "" {
		c.add(true, "no-package-name", p.ID, "a package has no name")
	}
	for _, purl := range p.PURLs() {
		if _, err := packageurl.FromString(purl); err != nil {
			c.add(true, "bad-purl", p.ID, "not a package URL: %.200q", purl)
		}
	}
	c.sums(p.ID, p.Checksums)
	c.license(p.ID, p.License)
}

func (c *checker) file(f *sbom.FileEntry) {
	c.id(f.ID)
	if f.Name == "" {
		c.add(true, "no-file-name", f.ID, "a file has no name")
	}
	if c.spdx() && f.Checksum(sbom.SHA1) == "" {
		c.add(true, "no-sha1", f.ID, "a file has no SHA-1, which SPDX asks for (8.4): %.200s", f.Name)
	}
	if f.Checksum(sbom.SHA256)+f.Checksum(sbom.SHA512) == "" {
		c.add(false, "weak-checksum", f.ID, "a file has no checksum that can be relied on: %.200s", f.Name)
	}
	c.sums(f.ID, f.Checksums)
	c.license(f.ID, f.License)
}

// lengths are those of checksums, in hex digits.
var lengths = map[string]int{"MD5": 32, "SHA1": 40, "SHA224": 56, "SHA256": 64, "SHA384": 96, "SHA512": 128, "SHA3-256": 64, "SHA3-384": 96, "SHA3-512": 128,
	"BLAKE2b-256": 64, "BLAKE2b-384": 96, "BLAKE2b-512": 128}

func (c *checker) sums(id string, all []sbom.Checksum) {
	for _, s := range all {
		n, known := lengths[s.Algorithm]
		if known && len(s.Value) != n || s.Value == "" || strings.Trim(s.Value, "0123456789abcdef") != "" {
			c.add(true, "bad-checksum", id, "not a %.20s: %.140q", s.Algorithm, s.Value)
		}
	}
}

func (c *checker) license(id string, l sbom.License) {
	for _, expression := range []string{l.Declared, l.Concluded} {
		if expression == "" || expression == sbom.None {
			continue
		}
		if !license.Valid(expression, true) {
			c.add(c.spdx(), "bad-license", id, "not a licence expression of SPDX's list: %.200q", expression)
		}
		for _, word := range strings.FieldsFunc(expression, func(r rune) bool { return strings.ContainsRune(" ()", r) }) {
			if strings.HasPrefix(word, "LicenseRef-") && !slices.ContainsFunc(c.doc.Licenses, func(t sbom.LicenseText) bool { return t.ID == word }) {
				c.add(c.spdx(), "license-text-missing", id, "the text of %.100s is not in the document", word)
			}
		}
	}
}

func (c *checker) relations() {
	described := false
	for _, r := range c.doc.Relations {
		described = described || r.From == sbom.DocumentID && r.Kind == sbom.Describes || r.Kind == "DESCRIBED_BY" && r.To == sbom.DocumentID
		for _, end := range []string{r.From, r.To} {
			if !c.known[end] && !strings.HasPrefix(end, "DocumentRef-") {
				c.add(true, "dangling", end, "a relation (%.40s) has an end that is not in the document", r.Kind)
			}
		}
	}
	if !described && len(c.doc.Packages) > 1 {
		c.add(c.spdx(), "describes-nothing", "", "the document does not say what it describes")
	}
	c.circles()
}

// circles looks for things that contain themselves. That dependencies go round is allowed.
func (c *checker) circles() {
	inside := map[string][]string{}
	for _, r := range c.doc.Relations {
		switch r.Kind {
		case sbom.Contains:
			inside[r.From] = append(inside[r.From], r.To)
		case "CONTAINED_BY":
			inside[r.To] = append(inside[r.To], r.From)
		}
	}
	waiting := map[string]int{} // how many contain it and were not taken away yet
	for _, all := range inside {
		for _, to := range all {
			waiting[to]++
		}
	}
	var free []string
	for from := range inside {
		if waiting[from] == 0 {
			free = append(free, from)
		}
	}
	left := len(inside)
	for len(free) > 0 {
		at := free[len(free)-1]
		free = free[:len(free)-1]
		left--
		for _, to := range inside[at] {
			if waiting[to]--; waiting[to] == 0 && inside[to] != nil {
				free = append(free, to)
			}
		}
	}
	if left > 0 {
		c.add(true, "contains-itself", "", "elements contain each other in a circle: %d of them lie in it or within", left)
	}
}

// verification compares the verification codes of packages with their files (SPDX 2.3, 7.9).
func (c *checker) verification() {
	sums := map[string][]string{}
	for _, r := range c.doc.Relations {
		if f := c.files[r.To]; r.Kind == sbom.Contains && f != nil {
			sums[r.From] = append(sums[r.From], f.Checksum(sbom.SHA1))
		}
	}
	for i := range c.doc.Packages {
		p := &c.doc.Packages[i]
		if p.Verification == "" {
			continue
		}
		slices.Sort(sums[p.ID])
		h := sha1.Sum([]byte(strings.Join(sums[p.ID], ""))) // #nosec G401 -- as above
		if got := hex.EncodeToString(h[:]); got != p.Verification {
			c.add(false, "verification-code", p.ID, "the verification code of %.100s is not that of the files that it contains: %s, not %.60s", p.Name, got, p.Verification)
		}
	}
}
