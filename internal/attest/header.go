package attest

// Header is what a statement says before its predicate.
type Header struct {
	Subject       []Subject
	PredicateType string
}

// DecodeHeader reads a statement up to its predicate type, with the codes of Decode but
// wrong-predicate. Verifiers match subjects with it before they look at the predicate type.
func DecodeHeader(payload []byte) (*Header, error) {
	s, _, err := decode(payload)
	if err != nil {
		return nil, err
	}
	return &Header{Subject: s.Subject, PredicateType: s.PredicateType}, nil
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
