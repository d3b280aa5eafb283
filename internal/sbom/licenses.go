package sbom

import (
	"maps"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Licenses tells the licences of packages. It is asked for each package with a package URL of which the
// licence was not found otherwise, by many at once, and gives the same answer each time.
type Licenses interface {
	// Package gives what is known of the package with that package URL, and the texts of licences of it that are not on
	// SPDX's list. The zero License says that nothing is known.
	Package(purl string) (License, []LicenseText)
}

// Learn asks for the licences of everything that is linked into a program, for who remembers the answers until a document asks.
func Learn(l Licenses, b Binary) {
	d, err := NewBuilder(Meta{Project: b.Path, Created: time.Unix(0, 0), Licenses: l}, nil)
	if err == nil && d.Linked("", b) == nil {
		d.license()
	}
}

// license asks for the licences that are not known.
func (d *Builder) license() {
	if d.meta.Licenses == nil {
		return
	}
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(d.packages)) {
		if p := d.packages[id]; p.PURL != "" && p.License.Concluded == "" {
			ids = append(ids, id)
		}
	}
	type answer struct {
		license License
		texts   []LicenseText
	}
	answers := make([]answer, len(ids))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, id := range ids {
		purl := d.packages[id].PURL
		g.Go(func() error {
			answers[i].license, answers[i].texts = d.meta.Licenses.Package(purl)
			return nil
		})
	}
	_ = g.Wait()
	for i, id := range ids {
		licensed(d.packages[id], answers[i].license)
		for _, t := range answers[i].texts {
			d.texts[t.ID] = t
		}
	}
}

// licensed writes what was found to a package, where it says nothing itself.
func licensed(p *Package, found License) {
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
}
