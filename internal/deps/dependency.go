package deps

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/sbom"
)

// Dependency is a package that something is made of, or that its build read.
type Dependency struct {
	Name     string   `json:"name"` // module path, or package URL without version for other languages
	Version  string   `json:"version,omitempty"`
	License  string   `json:"license,omitempty"`  // SPDX expression; "" when nobody could tell
	Direct   bool     `json:"direct"`             // the project itself uses it, or nobody is known to
	Via      []string `json:"via,omitempty"`      // who brings it in: the way to it from a direct one, name@version
	Linked   bool     `json:"linked"`             // the bill of materials lists it; else the build only read it
	Replaces string   `json:"replaces,omitempty"` // what it stands in for, by a replace line of go.mod
	Local    string   `json:"local,omitempty"`    // the folder of the source that it is, with Replaces

	Observed  bool      `json:"observed"`            // the build's record has it
	Published time.Time `json:"published,omitzero"`  // when its source says that this version was made
	Unvouched string    `json:"unvouched,omitempty"` // why the checksum database was not asked; with Observed
}

// String is name@version.
func (d *Dependency) String() string {
	if d.Version == "" {
		return d.Name
	}
	return d.Name + "@" + d.Version
}

// Set is the dependencies of one thing.
type Set struct {
	All   []*Dependency `json:"dependencies"` // by name and version
	Go    string        `json:"go,omitempty"` // versions of the standard library
	Notes []string      `json:"notes,omitempty"`

	byKey map[string]*Dependency
}

// Kinds of package URLs that are no dependencies in the sense of a policy: artifacts, images, packages of distributions.
var (
	artifacts     = []string{packageurl.TypeGeneric, packageurl.TypeOCI, packageurl.TypeDocker}
	distributions = []string{packageurl.TypeDebian, packageurl.TypeApk, packageurl.TypeRPM, packageurl.TypeAlpm, packageurl.TypeQpkg}
)

// FromDocument takes the dependencies out of a bill of materials. Direct are those that the project's own modules, or what the
// document describes, depend on; and those that nothing is known to bring in.
func FromDocument(doc *sbom.Document) *Set {
	r := reader{set: &Set{byKey: map[string]*Dependency{}}, of: map[string]*Dependency{}, own: map[string]bool{}, to: map[string][]string{}}
	r.relations(doc)
	for i := range doc.Packages {
		r.take(&doc.Packages[i])
	}
	r.ways()
	for _, n := range []struct {
		count int
		what  string
	}{{r.systems, "packages of distributions, which are not judged: images[].base chooses them, by digest"}, {r.nameless, "packages without a package URL, which are not judged"}} {
		if n.count > 0 {
			r.set.Notes = append(r.set.Notes, fmt.Sprintf("%d × %s", n.count, n.what))
		}
	}
	r.set.sort()
	return r.set
}

type reader struct {
	set      *Set
	of       map[string]*Dependency // by element
	own      map[string]bool        // elements that are the project's own
	to       map[string][]string    // DEPENDS_ON
	variants map[string]string      // replacement: what it stands in for
	replaced map[string]bool        // elements that are not there, since another stands in
	packages map[string]*sbom.Package

	systems, nameless int
}

func (r *reader) relations(doc *sbom.Document) {
	r.variants, r.replaced, r.packages = map[string]string{}, map[string]bool{}, map[string]*sbom.Package{}
	for i := range doc.Packages {
		r.packages[doc.Packages[i].ID] = &doc.Packages[i]
	}
	for _, rel := range doc.Relations {
		switch {
		case rel.Kind == sbom.Describes && rel.From == sbom.DocumentID:
			r.own[rel.To] = true
		case rel.Kind == sbom.DependsOn:
			r.to[rel.From] = append(r.to[rel.From], rel.To)
		case strings.HasSuffix(rel.Kind, "DEPENDENCY_OF"):
			r.to[rel.To] = append(r.to[rel.To], rel.From)
		case rel.Kind == sbom.VariantOf:
			if original := r.packages[rel.To]; original != nil && strings.HasPrefix(original.PURL, "pkg:golang/") {
				r.variants[rel.From], r.replaced[rel.To] = rel.To, true
			}
		}
	}
}

// take takes up a package, unless it is the project's own, no dependency, or replaced.
func (r *reader) take(p *sbom.Package) {
	d := &Dependency{Name: p.Name, Version: p.Version, License: cmp.Or(p.License.Concluded, p.License.Declared), Linked: true}
	if d.License == sbom.None {
		d.License = ""
	}
	u, err := packageurl.FromString(p.PURL)
	original := r.packages[r.variants[p.ID]]
	switch {
	case r.own[p.ID] || r.replaced[p.ID]:
		return
	case original != nil && p.PURL == "":
		d.Name, d.Version, d.Local, d.Replaces = original.Name, original.Version, p.Name, original.Name
	case p.PURL == "" || err != nil:
		if p.Purpose == sbom.PurposeLibrary || p.Purpose == sbom.PurposeFramework {
			r.nameless++
		}
		return
	case slices.Contains(artifacts, u.Type):
		return
	case slices.Contains(distributions, u.Type):
		r.systems++
		return
	case u.Type == packageurl.TypeGolang:
		if u.Namespace == "" && (u.Name == "stdlib" || u.Name == "toolchain") {
			if u.Name == "stdlib" {
				r.set.Go = joined(r.set.Go, p.Version)
			}
			return
		}
		if p.Purpose == sbom.PurposeApplication {
			r.own[p.ID] = true
			return
		}
	default:
		d.Name = "pkg:" + u.Type + "/" + strings.TrimPrefix(u.Namespace+"/"+u.Name, "/")
	}
	if original != nil && d.Replaces == "" {
		d.Replaces = strings.TrimSuffix(original.Name+"@"+original.Version, "@")
	}
	r.of[p.ID] = r.set.add(d)
}

// add gives the dependency of that name and version, which may be there: with a licence, when one of them has it.
func (s *Set) add(d *Dependency) *Dependency {
	key := d.String() + "\x00" + d.Replaces + "\x00" + d.Local
	if have, ok := s.byKey[key]; ok {
		have.License = cmp.Or(have.License, d.License)
		return have
	}
	s.byKey[key] = d
	s.All = append(s.All, d)
	return d
}

// ways finds the direct dependencies, and for the others the shortest way from one of those.
func (r *reader) ways() {
	type step struct{ element, from string }
	var todo []step
	for element := range r.own {
		for _, to := range r.to[element] {
			todo = append(todo, step{to, ""})
		}
	}
	byID := func(a, b step) int { return cmp.Or(cmp.Compare(a.element, b.element), cmp.Compare(a.from, b.from)) }
	slices.SortFunc(todo, byID)
	seen := map[*Dependency]bool{}
	walk := func() {
		for at := 0; at < len(todo); at++ {
			d := r.of[todo[at].element]
			if d == nil || seen[d] {
				continue
			}
			seen[d] = true
			if from := r.of[todo[at].from]; from == nil {
				d.Direct = true
			} else {
				d.Via = append(slices.Clone(from.Via), from.String())
			}
			next := slices.Sorted(slices.Values(r.to[todo[at].element]))
			for _, to := range next {
				todo = append(todo, step{to, todo[at].element})
			}
		}
	}
	walk()
	for _, element := range slices.Sorted(func(yield func(string) bool) {
		for e := range r.of {
			if !yield(e) {
				return
			}
		}
	}) {
		if !seen[r.of[element]] { // nobody is known to bring it in
			todo = []step{{element, ""}}
			walk()
		}
	}
}

func (s *Set) sort() {
	slices.SortFunc(s.All, func(a, b *Dependency) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.Replaces, b.Replaces))
	})
}

// Annotations of a module among the materials of a build.
const (
	annotationSum       = "h1"
	annotationSumDB     = "sumdb"
	annotationExempt    = "exemption"
	annotationReplaces  = "replaces"
	annotationOrigin    = "origin" // toolchain: part of the Go distribution
	annotationPublished = material.Published
)

// Observe adds what a build's record says: which modules it read, when their sources say they were made, and whether the checksum
// database vouches for them. own is the module that is released, when the source is one. Files that only choose versions
// (go.mod without a zip) are no dependencies.
func (s *Set) Observe(ms []material.Material, own string) {
	for _, m := range ms {
		name, version, ok := strings.Cut(m.Name, "@")
		if !ok || !strings.HasPrefix(m.URI, "pkg:golang/") || strings.Contains(m.URI, "#") || m.Annotations[annotationSum] == "" || m.Annotations[annotationOrigin] != "" || name == own {
			continue
		}
		found := false
		for _, d := range s.All {
			if d.Name == name && d.Version == version && d.Local == "" {
				d.observe(m)
				found = true
			}
		}
		if !found {
			d := &Dependency{Name: name, Version: version, Replaces: m.Annotations[annotationReplaces]}
			d.observe(m)
			s.add(d)
		}
	}
	s.sort()
}

// observe takes the worse of what two records say.
func (d *Dependency) observe(m material.Material) {
	if published, err := time.Parse(time.RFC3339, m.Annotations[annotationPublished]); err == nil && published.After(d.Published) {
		d.Published = published
	}
	if m.Annotations[annotationSumDB] != "verified" {
		d.Unvouched = cmp.Or(d.Unvouched, m.Annotations[annotationExempt], "not asked")
	}
	d.Observed = true
}

// Dated adds when versions were made, where somebody besides the build's record knows it; at gives the zero time when nobody does.
func (s *Set) Dated(at func(name, version string) time.Time) {
	for _, d := range s.All {
		if d.Published.IsZero() && d.Local == "" {
			d.Published = at(d.Name, d.Version)
		}
	}
}

// joined adds a word to words with commas between them, once.
func joined(words, word string) string {
	if words == "" || slices.Contains(strings.Split(words, ", "), word) {
		return cmp.Or(words, word)
	}
	return words + ", " + word
}
