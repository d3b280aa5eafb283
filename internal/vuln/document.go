package vuln

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/strictjson"
)

// document is as much of an SPDX 2 or CycloneDX document as names packages.
type document struct {
	SPDXVersion string    `json:"spdxVersion"`
	Packages    []element `json:"packages"`
	Files       []element `json:"files"`
	Relations   []struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	} `json:"relationships"`

	BOMFormat  string      `json:"bomFormat"`
	Components []component `json:"components"`
	Metadata   struct {
		Component component `json:"component"`
	} `json:"metadata"`

	// An in-toto statement about one, and the envelope of a signed one.
	Predicate    json.RawMessage `json:"predicate"`
	DSSEEnvelope *struct {
		Payload string `json:"payload"`
	} `json:"dsseEnvelope"`
}

// element is a package or a file of an SPDX document.
type element struct {
	ID      string `json:"SPDXID"`
	Purpose string `json:"primaryPackagePurpose"`
	Refs    []struct {
		Type    string `json:"referenceType"`
		Locator string `json:"referenceLocator"`
	} `json:"externalRefs"`
	Checksums []struct {
		Value string `json:"checksumValue"`
	} `json:"checksums"`
}

// component is one of a CycloneDX document.
type component struct {
	Name   string `json:"name"`
	Purl   string `json:"purl"`
	Hashes []struct {
		Content string `json:"content"`
	} `json:"hashes"`
	Components []component `json:"components"`
}

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

// parseDocument reads a document, looking into the statement and the bundle that it may be wrapped in.
func parseDocument(t *Target, data []byte, where string) error {
	for range 3 { // a bundle, a statement, the document
		var d document
		if err := strictjson.Check(data); err != nil {
			return notReadable(where, err)
		}
		if err := json.Unmarshal(data, &d); err != nil {
			return notReadable(where, err)
		}
		switch {
		case d.SPDXVersion != "" || d.BOMFormat == "CycloneDX":
			return d.into(t, where)
		case d.DSSEEnvelope != nil:
			payload, err := base64.StdEncoding.DecodeString(d.DSSEEnvelope.Payload)
			if err != nil {
				return notReadable(where, err)
			}
			data = payload
		case len(d.Predicate) > 0:
			data = d.Predicate
		default:
			return notReadable(where, nil)
		}
	}
	return notReadable(where, nil)
}

// into puts what the document says into t.
func (d *document) into(t *Target, where string) error {
	if d.SPDXVersion != "" && !strings.HasPrefix(d.SPDXVersion, "SPDX-2.") {
		return notReadable(where, fmt.Errorf("version %.40q", d.SPDXVersion))
	}
	l := listing{t}
	t.hashes = map[string]bool{}
	described := map[string]bool{}
	for _, r := range d.Relations {
		if r.Type == "DESCRIBES" {
			described[r.To] = true
		}
	}
	for _, p := range d.Packages {
		purl := ""
		for _, r := range p.Refs {
			if r.Type == "purl" {
				purl = r.Locator
			}
		}
		if purl == "" && (described[p.ID] || isArtifact(p)) {
			continue
		}
		if err := l.take(purl); err != nil {
			return notReadable(where, err)
		}
	}
	for _, e := range append(d.Packages, d.Files...) {
		for _, c := range e.Checksums {
			t.hashes[strings.ToLower(c.Value)] = true
		}
	}
	if c := d.Metadata.Component; c.Purl != "" || len(c.Hashes) > 0 || len(c.Components) > 0 {
		d.Components = append(d.Components, c)
	}
	for todo := d.Components; len(todo) > 0; {
		c := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], c.Components...)
		if err := l.take(c.Purl); err != nil {
			return notReadable(where, err)
		}
		for _, h := range c.Hashes {
			t.hashes[strings.ToLower(h.Content)] = true
		}
	}
	return nil
}

// isArtifact holds for what a document describes as a file, by its digest: it is made of packages, and is none. So is the
// project's own source.
func isArtifact(e element) bool {
	switch e.Purpose {
	case "FILE", "ARCHIVE", "CONTAINER", "INSTALL":
		return len(e.Checksums) > 0
	case "SOURCE":
		return true
	}
	return false
}

// listing adds packages to a target and counts those that cannot be looked up.
type listing struct{ *Target }

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
