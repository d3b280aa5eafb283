package vuln

import (
	"errors"
	"fmt"
	"io"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/format"
)

// readDocument reads an SBOM into t: its packages, and the digests of what it describes. Packages without a package URL are
// counted in a note.
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

// takeDocument takes up the packages of a document.
func takeDocument(t *Target, doc *sbom.Document, where string) error {
	described := map[string]bool{}
	for _, r := range doc.Relations {
		if r.From == sbom.DocumentID && r.Kind == sbom.Describes {
			described[r.To] = true
		}
	}
	l := listing{t}
	t.hashes = map[string]bool{}
	for _, p := range doc.Packages {
		for _, c := range p.Checksums {
			t.hashes[c.Value] = true
		}
		t.sources = t.sources || described[p.ID] && p.Purpose == sbom.PurposeSource
		if (described[p.ID] || isArtifact(p)) && l.nowhere(p.PURL) {
			continue
		}
		if err := l.take(p.PURL); err != nil {
			return notReadable(where, err)
		}
	}
	for _, f := range doc.Files {
		for _, c := range f.Checksums {
			t.hashes[c.Value] = true
		}
	}
	return nil
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

// listing adds packages to a target and counts those that cannot be looked up.
type listing struct{ *Target }

// nowhere reports whether no database can know what has that package URL.
func (l listing) nowhere(purl string) bool {
	p, err := osv.FromPurl(purl)
	return purl == "" || err == nil && p.Ecosystem == ""
}

func (l listing) take(purl string) error {
	if purl == "" {
		l.without++
		return nil
	}
	p, err := osv.FromPurl(purl)
	if err != nil {
		return err
	}
	if p.Ecosystem == "" {
		l.elsewhere++
	}
	l.Packages = append(l.Packages, p)
	return nil
}
