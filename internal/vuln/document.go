package vuln

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/format"
)

// readDocument reads an SBOM into t: its packages, what holds them, and the digests of what it describes. Packages without a
// package URL, of which it says nothing else either, are counted in a note.
func readDocument(t *Target, r io.ReaderAt, size int64, where string) error {
	if size > maxDocument {
		return &gate.Refusal{Code: "vuln-input-too-large", Where: where, What: "there is more than is read", Expected: fmt.Sprintf("at most %d bytes", maxDocument), Actual: fmt.Sprint(size), Fix: "give the documents of single artifacts"}
	}
	data := make([]byte, size)
	if _, err := r.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", where, err)
	}
	return parseDocument(t, data, where)
}

// parseDocument reads a document in any format, alone or in a statement or bundle.
func parseDocument(t *Target, data []byte, where string) error {
	doc, err := format.Decode(data)
	if err != nil {
		return notReadable(where, err)
	}
	return takeDocument(t, doc, where)
}

// takeDocument takes up the packages of a document, what holds them, and the digests of what it says to hold something.
func takeDocument(t *Target, doc *sbom.Document, where string) error {
	t.holders, t.hashes = holdersOf(doc), map[string]bool{}
	sums := func(id string, all []sbom.Checksum) {
		for _, c := range all {
			t.hashes[c.Value] = t.hashes[c.Value] || t.holders.filled[id]
		}
	}
	l := listing{t}
	for _, p := range doc.Packages {
		sums(p.ID, p.Checksums)
		purls := p.PURLs()
		if len(purls) == 0 && !t.holders.explains(p) {
			l.without++
		}
		whole := isArtifact(p) || slices.Contains(t.holders.roots, p.ID)
		for _, purl := range purls {
			if whole && nowhere(purl) {
				continue
			}
			if err := l.take(p.ID, purl); err != nil {
				return notReadable(where, err)
			}
		}
	}
	for _, f := range doc.Files {
		sums(f.ID, f.Checksums)
	}
	return nil
}

// explains holds for a package without a package URL of which the document says enough elsewhere: what it consists of, or
// that something was made of it.
func (h *holders) explains(p sbom.Package) bool {
	switch {
	case h.filled[p.ID]:
		return true
	case p.Purpose == sbom.PurposeSource:
		return h.made[p.ID]
	case p.Purpose == sbom.PurposeArchive: // a layer, which is named by its digest; its image has what is in it
		return p.Name == "sha256:"+p.Checksum(sbom.SHA256)
	}
	return false
}

// isArtifact holds for what a document describes as a file, by its digest: it is made of packages, and is none. So is the
// project's own source.
func isArtifact(p sbom.Package) bool {
	switch p.Purpose {
	case sbom.PurposeFile, sbom.PurposeArchive, sbom.PurposeContainer, sbom.PurposeInstall:
		return len(p.Checksums) > 0
	case sbom.PurposeSource:
		return true
	}
	return false
}

// listing adds packages of a document to a target, and counts those that cannot be looked up.
type listing struct{ *Target }

// nowhere reports whether no database can know what has that package URL.
func nowhere(purl string) bool {
	p, err := osv.FromPurl(purl)
	return err == nil && p.Ecosystem == ""
}

func (l listing) take(id, purl string) error {
	p, err := osv.FromPurl(purl)
	if err != nil {
		return err
	}
	if p.Ecosystem == "" {
		l.elsewhere++
	}
	l.Packages = append(l.Packages, p)
	l.holders.packages[p.Plain()] = append(l.holders.packages[p.Plain()], id)
	return nil
}
