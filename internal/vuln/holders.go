package vuln

import (
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/sbom"
)

// holders is what a document says about what is in what: from each element to those that it is a part of, as far as
// relations say so.
type holders struct {
	of       map[string][]string // ids of holders by id of what they hold
	filled   map[string]bool     // ids of those that hold something
	made     map[string]bool     // ids of what was generated, and of what it was generated from
	artifact map[string]string   // SHA-256 of files and of packages that are one, by id; "" when it is not said
	roots    []string            // what the document describes
	sources  map[string]bool     // roots that are sources
	packages map[osv.Package][]string
}

// notParts are relations that say nothing about what is in what.
var notParts = map[string]bool{"DESCRIBES": true, "DESCRIBED_BY": true, "GENERATED_FROM": true, "GENERATES": true, "COPY_OF": true,
	"DESCENDANT_OF": true, "ANCESTOR_OF": true, "AMENDS": true, "OTHER": true}

func holdersOf(doc *sbom.Document) *holders {
	h := &holders{of: map[string][]string{}, filled: map[string]bool{}, made: map[string]bool{}, artifact: map[string]string{}, sources: map[string]bool{}, packages: map[osv.Package][]string{}}
	purpose := map[string]string{}
	for _, p := range doc.Packages {
		purpose[p.ID] = p.Purpose
		if sum := p.Checksum(sbom.SHA256); isArtifact(p) || p.Purpose == sbom.PurposeApplication && len(p.Checksums) > 0 {
			h.artifact[p.ID] = sum
		}
	}
	for _, f := range doc.Files {
		h.artifact[f.ID] = f.Checksum(sbom.SHA256)
	}
	for _, r := range doc.Relations {
		from, to := r.From, r.To
		switch {
		case from == sbom.DocumentID && r.Kind == sbom.Describes, to == sbom.DocumentID && r.Kind == "DESCRIBED_BY":
			if to == sbom.DocumentID {
				to = from
			}
			h.roots = append(h.roots, to)
			h.sources[to] = purpose[to] == sbom.PurposeSource
			continue
		case notParts[r.Kind]:
			if r.Kind == sbom.GeneratedFrom {
				h.made[from], h.made[to] = true, true
			}
			continue
		case r.Kind == sbom.VariantOf: // what was replaced is where that is which took its place
		case strings.HasSuffix(r.Kind, "_OF"), strings.HasSuffix(r.Kind, "_BY"), strings.HasSuffix(r.Kind, "_FOR"):
			from, to = to, from
		}
		if from != to {
			h.of[to] = append(h.of[to], from)
			h.filled[from] = true
		}
	}
	if len(h.roots) == 1 && len(doc.Packages)+len(doc.Files) > 1 {
		h.filled[h.roots[0]] = true // it may list what it is about without saying so of each
	}
	return h
}

// held says what holds a package: the nearest artifacts on every way from it, by their SHA-256; whether a way ends at sources
// without passing one; and whether a way ends anywhere else, so that nothing is known of what holds it.
type held struct {
	digests map[string]bool
	sources bool
	loose   bool
}

// holding follows all ways from the package to what holds it.
func (t Target) holding(p osv.Package) held {
	out := held{digests: map[string]bool{}}
	h := t.holders
	if h == nil || len(h.packages[p]) == 0 {
		out.loose = true
		return out
	}
	seen := map[string]bool{}
	next := append([]string(nil), h.packages[p]...)
	for len(next) > 0 {
		id := next[len(next)-1]
		next = next[:len(next)-1]
		if seen[id] {
			continue
		}
		seen[id] = true
		sum, artifact := h.artifact[id]
		above := h.of[id]
		switch {
		case h.sources[id]:
			out.sources = true
		case artifact && sum != "":
			out.digests[sum] = true
		case artifact:
			out.loose = true
		case len(above) > 0:
			next = append(next, above...)
		case len(h.roots) == 0 || slices.Contains(h.roots, id):
			out.loose = true
		default: // it stands alone: what is described has it
			next = append(next, h.roots...)
		}
	}
	// A circle of packages that hold each other has no way out.
	out.loose = out.loose || len(out.digests) == 0 && !out.sources
	return out
}
