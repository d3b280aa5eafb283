// Package spdx writes and reads bills of materials in the formats of SPDX.
//
// Written are SPDX 2.3 as JSON and as tag-value; the same document gives the same bytes. What the model does not know is
// NOASSERTION. Identifiers that SPDX does not allow are replaced by ones that it does; line breaks in fields of one line become spaces.
//
// Read are SPDX 2.2 and 2.3 as JSON and as tag-value, and SPDX 3.0 as JSON-LD. Readers are for documents of unknown
// origin, within the limits of sbom.Limits: what is no such document is refused with a code, and nothing of it is returned.
// What the model has no place for (snippets, reviews, attribution texts) is left out.
//
// The package opens no files and no connections.
package spdx

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spdx/tools-golang/tagvalue"

	"github.com/sello-release/sello/internal/sbom"
)

// JSON gives the document as SPDX 2.3 JSON: indented, with a final newline.
func JSON(doc *sbom.Document) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(encode(doc, false)); err != nil {
		return nil, fmt.Errorf("encode SPDX document %s: %w", doc.Name, err)
	}
	return b.Bytes(), nil
}

// TagValue gives the document as SPDX 2.3 tag-value.
func TagValue(doc *sbom.Document) ([]byte, error) {
	var b bytes.Buffer
	if err := tagvalue.Write(encode(doc, true), &b); err != nil {
		return nil, fmt.Errorf("encode SPDX document %s: %w", doc.Name, err)
	}
	return b.Bytes(), nil
}
