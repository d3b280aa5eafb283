package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

// Encode gives the canonical bytes of s (RFC 8785). It refuses a stage that
// Decode would refuse, with the same codes.
func (s Stage) Encode() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.Evidence == nil {
		s.Evidence = []string{}
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode stage: %w", err)
	}
	data, err := jcs.Transform(plain)
	if err != nil {
		return nil, fmt.Errorf("encode stage: %w", err)
	}
	if len(data) > MaxSize {
		return nil, tooLarge(len(data))
	}
	return data, nil
}

// Decode reads stage.json. It refuses, each by its code: stage-too-large,
// bad-json, stage-unknown-field, stage-wrong-type, what Validate refuses, and
// stage-not-canonical when the bytes are not what Encode would write.
func Decode(data []byte) (*Stage, error) {
	if len(data) > MaxSize {
		return nil, tooLarge(len(data))
	}
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, refuse("bad-json", "stage.json is not a JSON object", "", "", err)
	}
	if head.Type != Type {
		return nil, refuse("stage-wrong-type", "stage.json has another type", Type, head.Type, nil)
	}
	s, err := decodeStrict(data)
	if err != nil {
		return nil, err
	}
	want, err := s.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(want, data) {
		return nil, refuse("stage-not-canonical", "stage.json is not canonical JSON (RFC 8785)",
			"the bytes that sello stage writes", firstDifference(want, data), nil)
	}
	return s, nil
}

// Digest is the stage digest: "sha256:" and the SHA-256 of stage.json's bytes as lower-case hex.
func Digest(data []byte) string { return "sha256:" + digest.Bytes(data) }

func decodeStrict(data []byte) (*Stage, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var s Stage
	if err := dec.Decode(&s); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		var when *time.ParseError
		if errors.As(err, &syntax) || errors.As(err, &kind) || errors.As(err, &when) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, refuse("bad-json", "stage.json cannot be read", "", "", err)
		}
		return nil, refuse("stage-unknown-field", "stage.json has a field that this version does not know", "", "", err)
	}
	return &s, nil
}

func tooLarge(size int) error {
	return refuse("stage-too-large", "stage.json is too large", fmt.Sprintf("at most %d bytes", MaxSize), fmt.Sprintf("%d bytes", size), nil)
}

func refuse(code, what, expected, actual string, cause error) error {
	return &gate.Refusal{Code: code, What: what, Where: FileName, Expected: expected, Actual: actual, Cause: cause,
		Fix: "stage the release again; stage.json is written by sello stage and never by hand"}
}

// firstDifference says where two byte strings part.
func firstDifference(want, got []byte) string {
	n := min(len(want), len(got))
	for i := range n {
		if want[i] != got[i] {
			return fmt.Sprintf("another byte at offset %d", i)
		}
	}
	return fmt.Sprintf("%d bytes instead of %d", len(got), len(want))
}
