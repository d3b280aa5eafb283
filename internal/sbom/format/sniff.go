package format

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/cyclonedx"
	"github.com/sello-release/sello/internal/sbom/spdx"
)

// maxWraps is how many statements, envelopes and bundles may lie in each other.
const maxWraps = 4

func decode(data []byte, wraps int) (*sbom.Document, error) {
	if err := sbom.CheckText(data); err != nil {
		return nil, err
	}
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(data) == 0 || data[0] != '{' {
		if bytes.HasPrefix(data, []byte("SPDXVersion:")) || bytes.HasPrefix(data, []byte("#")) || bytes.Contains(data[:min(len(data), 4096)], []byte("\nSPDXVersion:")) {
			return spdx.ReadTagValue(data)
		}
		return nil, unknown("neither a JSON object nor SPDX tag-value")
	}
	kind, err := kindOf(data)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "spdxVersion":
		return spdx.ReadJSON(data)
	case "bomFormat":
		return cyclonedx.ReadJSON(data)
	case "@context", "@graph":
		return spdx.ReadJSONLD(data)
	case "predicate", "payload", "dsseEnvelope":
		if wraps == maxWraps {
			return nil, unknown("statements in statements")
		}
		inner, err := unwrap(data, kind)
		if err != nil {
			return nil, err
		}
		return decode(inner, wraps+1)
	}
	return nil, unknown("a JSON object that is no bill of materials")
}

func unknown(found string) error {
	return &gate.Refusal{Code: sbom.CodeFormat, What: "this is no bill of materials that is read", Expected: "SPDX 2.2 to 3.0, CycloneDX 1.4 to 1.7, or an in-toto statement with one",
		Actual: found, Fix: "give a bill of materials; sello sbom FILE makes one of anything else"}
}

// kindOf looks for the member by which a format is known among those of the outermost object.
func kindOf(data []byte) (string, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if _, err := d.ReadToken(); err != nil {
		return "", syntax(err)
	}
	for {
		name, err := d.ReadToken()
		if err != nil {
			return "", syntax(err)
		}
		if name.Kind() != '"' {
			return "", nil
		}
		switch key := name.String(); key {
		case "spdxVersion", "bomFormat", "@context", "@graph", "predicate", "payload", "dsseEnvelope":
			return key, nil
		}
		if err := d.SkipValue(); err != nil {
			return "", syntax(err)
		}
	}
}

func syntax(err error) error {
	var s *jsontext.SyntacticError
	if errors.As(err, &s) {
		return sbom.Malformed("", "%v, at byte %d", s.Err, s.ByteOffset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return sbom.Malformed("", "the JSON ends too early")
	}
	return sbom.Malformed("", "%v", err)
}

// unwrap takes out what a statement, an envelope or a bundle carries.
func unwrap(data []byte, kind string) ([]byte, error) {
	var in struct {
		Predicate jsontext.Value `json:"predicate"`
		Payload   string         `json:"payload"`
		Envelope  struct {
			Payload string `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := sbom.DecodeJSON(data, &in); err != nil {
		return nil, err
	}
	payload := in.Payload
	switch kind {
	case "predicate":
		return in.Predicate, nil
	case "dsseEnvelope":
		payload = in.Envelope.Payload
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		if inner, err := encoding.DecodeString(payload); err == nil {
			return inner, nil
		}
	}
	return nil, sbom.Malformed("/payload", "a payload that is not base64")
}
