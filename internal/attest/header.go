package attest

import (
	"encoding/json"
	"slices"
)

// Header is what a statement says before its predicate.
type Header struct {
	Subject       []Subject
	PredicateType string
}

// DecodeHeader reads a statement up to its predicate type, with the codes of Decode but
// wrong-predicate. Verifiers match subjects with it before they look at the predicate type.
func DecodeHeader(payload []byte) (*Header, error) {
	s, _, err := decode(payload, ours)
	if err != nil {
		return nil, err
	}
	return &Header{Subject: s.Subject, PredicateType: s.PredicateType}, nil
}

// DecodeForeign is DecodeHeader for statements that others made: of in-toto v0.1, too, and with subjects by SHA-384 or SHA-512 alone, or
// with one of the identifiers named instead of a digest, as the standard allows for what has none: gce_image_id. The predicate is given
// as it is written.
func DecodeForeign(payload []byte, identifiers ...string) (*Header, json.RawMessage, error) {
	r := theirs
	r.identifiers = identifiers
	s, predicate, err := decode(payload, r)
	if err != nil {
		return nil, nil, err
	}
	return &Header{Subject: s.Subject, PredicateType: s.PredicateType}, predicate, nil
}

// Matches reports whether a subject has one of a file's digests, by algorithm, and no other digest of the file contradicts it.
func (h *Header) Matches(digests map[string]string) bool {
	return slices.ContainsFunc(h.Subject, func(s Subject) bool {
		same := false
		for a, known := range digests {
			if known == "" || s.Digest[a] == "" {
				continue
			}
			if known != s.Digest[a] {
				return false
			}
			same = true
		}
		return same
	})
}

// StatesMore reports whether a subject with this SHA-256 (lower-case hex) is named by another digest besides.
func (h *Header) StatesMore(sha256 string) bool {
	return slices.ContainsFunc(h.Subject, func(s Subject) bool { return s.Digest["sha256"] == sha256 && len(s.Digest) > 1 })
}

// Names gives the names of the subjects with this SHA-256 (lower-case hex). Subjects are matched by digest alone.
func (h *Header) Names(sha256 string) []string {
	var names []string
	for _, s := range h.Subject {
		if s.Digest["sha256"] == sha256 {
			names = append(names, s.Name)
		}
	}
	return names
}
