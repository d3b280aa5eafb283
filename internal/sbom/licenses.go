package sbom

import (
	"maps"
	"slices"
)

// Licenses tells the licences of packages. It is asked for each package with a package URL of which the
// licence was not found otherwise, in a fixed order and from one goroutine.
type Licenses interface {
	// Package gives what is known of the package with that package URL, and the texts of licences of it that are not on
	// SPDX's list. The zero License says that nothing is known.
	Package(purl string) (License, []LicenseText)
}

// license asks for the licences that are not known.
func (d *Builder) license() {
	if d.meta.Licenses == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(d.packages)) {
		p := d.packages[id]
		if p.PURL == "" || p.License.Concluded != "" {
			continue
		}
		found, texts := d.meta.Licenses.Package(p.PURL)
		if p.License.Declared == "" {
			p.License.Declared = found.Declared
		}
		p.License.Concluded, p.License.Confidence = found.Concluded, found.Confidence
		if p.License.Comment == "" {
			p.License.Comment = found.Comment
		}
		if p.License.Copyright == "" {
			p.License.Copyright = found.Copyright
		}
		for _, t := range texts {
			d.texts[t.ID] = t
		}
	}
}
