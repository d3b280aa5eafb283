// Package format reads bills of materials in whatever format they come, and writes them in the formats that are made.
//
// Read are SPDX 2.2 and 2.3 (JSON, tag-value), SPDX 3.0 (JSON-LD), CycloneDX 1.4 to 1.7 (JSON), and in-toto statements, DSSE
// envelopes and Sigstore bundles that carry one of these. The format is told by the content, never by a name. Signatures are not
// verified: that is for verify. What is none of these, or is not what it says to be, is refused by a code of package sbom.
package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/cyclonedx"
	"github.com/sello-release/sello/internal/sbom/spdx"
)

// Formats that are written.
const (
	SPDXJSON  = "spdx-json"
	SPDXTag   = "spdx-tag"
	CycloneDX = "cyclonedx"
)

// Names are the formats that are written.
var Names = []string{SPDXJSON, SPDXTag, CycloneDX}

// Encode writes a document in one of the formats.
func Encode(doc *sbom.Document, format string) ([]byte, error) {
	switch format {
	case SPDXJSON:
		return spdx.JSON(doc)
	case SPDXTag:
		return spdx.TagValue(doc)
	case CycloneDX:
		return cyclonedx.JSON(doc)
	}
	return nil, fmt.Errorf("unknown format %q", format)
}

// ReadFile reads the document at path.
func ReadFile(path string) (*sbom.Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &gate.Refusal{Code: CodeUnreadable, Class: gate.Usage, What: "the bill of materials cannot be read", Where: path, Cause: err,
			Fix: "give the path of a bill of materials; sello sbom makes one"}
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &gate.Refusal{Code: CodeUnreadable, Class: gate.Usage, What: "the bill of materials cannot be read", Where: path, Actual: "a folder",
			Fix: "give the path of a bill of materials; of a folder, sello sbom makes one"}
	}
	doc, err := Read(f)
	var r *gate.Refusal
	if errors.As(err, &r) {
		in := *r
		in.Where = path
		if r.Where != "" {
			in.Where += ": " + r.Where
		}
		return nil, &in
	}
	return doc, err
}

// CodeUnreadable refuses a file that cannot be opened.
const CodeUnreadable = "sbom-unreadable"

// Read reads one document.
func Read(r io.Reader) (*sbom.Document, error) {
	room := bytes.MinRead
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			room += int(min(info.Size(), sbom.MaxBytes)) // what is read is not copied as it grows
		}
	}
	data := bytes.NewBuffer(make([]byte, 0, room))
	if _, err := data.ReadFrom(io.LimitReader(r, sbom.MaxBytes+1)); err != nil {
		return nil, fmt.Errorf("read bill of materials: %w", err)
	}
	return Decode(data.Bytes())
}

// Decode reads one document.
func Decode(data []byte) (*sbom.Document, error) { return decode(data, 0) }
