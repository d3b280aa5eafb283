package attest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gowebpki/jcs"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// Limits on a statement that is read.
const (
	MaxSize     = 16 << 20 // bytes of the payload
	maxSubjects = 100_000
)

// Canonical gives v as canonical JSON (RFC 8785): the same value is the same bytes.
func Canonical(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode statement: %w", err)
	}
	data, err := jcs.Transform(plain)
	if err != nil {
		return nil, fmt.Errorf("encode statement: %w", err)
	}
	return data, nil
}

// Encode gives the statement's payload, ready to be signed: canonical JSON.
func (s Statement[P]) Encode() ([]byte, error) { return Canonical(s) }

// Decode reads a statement whose predicate is of type P, in the order of SLSA v1.2, Verifying artifacts:
// JSON, statement type, subjects, predicate type, predicate. It refuses, by code:
// bad-json (also: a key twice, or nested too deep), wrong-statement-type, subject-missing,
// weak-digest (a subject without a SHA-256) and wrong-predicate. The payload must
// have been verified before.
func Decode[P any](payload []byte, predicateType string) (*Statement[P], error) {
	s, raw, err := decode(payload, ours)
	if err != nil {
		return nil, err
	}
	if s.PredicateType != predicateType {
		return nil, &gate.Refusal{Code: "wrong-predicate", What: "the statement says something else than it has to", Expected: predicateType,
			Actual: fmt.Sprintf("%.200q", s.PredicateType), Fix: "give the attestation of the right kind; a valid signature on another kind of statement proves nothing here"}
	}
	out := &Statement[P]{Type: s.Type, Subject: s.Subject, PredicateType: s.PredicateType}
	if err := strictjson.Unmarshal(raw, &out.Predicate); err != nil {
		return nil, badJSON("the statement's predicate", err)
	}
	return out, nil
}

// ExternalParameterNames gives the names of the externalParameters of a provenance payload,
// as they are written, so that a parameter that Sello does not know is seen.
func ExternalParameterNames(payload []byte) ([]string, error) {
	_, raw, err := decode(payload, ours)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"buildDefinition", "externalParameters"} {
		m, err := strictjson.Object(raw)
		if err != nil {
			return nil, badJSON("the statement's predicate", err)
		}
		raw = m[key]
	}
	m, err := strictjson.Object(raw)
	if err != nil {
		return nil, badJSON("the statement's externalParameters", err)
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	return names, nil
}

// rules say what of in-toto's statements is accepted.
type rules struct {
	types       []string // of statements
	algorithms  []string // one of which every subject has; the first is shown
	identifiers []string // one of which a subject may have instead
}

var (
	ours   = rules{types: []string{StatementType}, algorithms: []string{"sha256"}}
	theirs = rules{types: []string{StatementType, "https://in-toto.io/Statement/v0.1"}, algorithms: []string{"sha256", "sha384", "sha512"}}
)

// decode reads everything but the predicate.
func decode(payload []byte, r rules) (*Statement[struct{}], json.RawMessage, error) {
	if len(payload) > MaxSize {
		return nil, nil, badJSON("the statement", fmt.Errorf("%d bytes, more than %d", len(payload), MaxSize))
	}
	if err := strictjson.Check(payload); err != nil {
		return nil, nil, badJSON("the statement", err)
	}
	m, err := strictjson.Object(payload)
	if err != nil {
		return nil, nil, badJSON("the statement", err)
	}
	s := &Statement[struct{}]{}
	if err := field(m, "_type", &s.Type); err != nil {
		return nil, nil, err
	}
	if !slices.Contains(r.types, s.Type) {
		return nil, nil, &gate.Refusal{Code: "wrong-statement-type", What: "what was signed is not an in-toto Statement v1",
			Expected: strings.Join(r.types, " or "), Actual: fmt.Sprintf("%.200q", s.Type), Fix: "give an attestation that holds an in-toto Statement v1"}
	}
	if err := field(m, "subject", &s.Subject); err != nil {
		return nil, nil, err
	}
	if err := checkSubjects(s.Subject, r); err != nil {
		return nil, nil, err
	}
	if err := field(m, "predicateType", &s.PredicateType); err != nil {
		return nil, nil, err
	}
	return s, m["predicate"], nil
}

func field(m map[string]json.RawMessage, name string, v any) error {
	raw, ok := m[name]
	if !ok {
		return nil
	}
	if err := strictjson.Unmarshal(raw, v); err != nil {
		return badJSON("the statement's "+name, err)
	}
	return nil
}

func checkSubjects(subjects []Subject, r rules) error {
	if len(subjects) == 0 || len(subjects) > maxSubjects {
		return &gate.Refusal{Code: "subject-missing", What: "the statement is about nothing, or about too much", Expected: fmt.Sprintf("1 to %d subjects", maxSubjects),
			Actual: fmt.Sprint(len(subjects)), Fix: "give a statement whose subject names what was made, by digest"}
	}
	for i, s := range subjects {
		if len(s.Digest) == 0 {
			return &gate.Refusal{Code: "subject-missing", What: fmt.Sprintf("subject %d of the statement, %.100q, has no digest", i, s.Name),
				Expected: "a SHA-256", Fix: "every subject is named by its digest"}
		}
		if !slices.ContainsFunc(r.algorithms, func(a string) bool { return isHex(s.Digest[a], a) }) && !slices.ContainsFunc(r.identifiers, func(i string) bool { return s.Digest[i] != "" }) {
			return &gate.Refusal{Code: "weak-digest", What: fmt.Sprintf("subject %d of the statement, %.100q, has no SHA-256", i, s.Name),
				Expected: strings.Join(r.algorithms, " or ") + " as lower-case hex digits", Actual: fmt.Sprintf("%.200q", digests(s.Digest)), Fix: "every subject needs a SHA-256; other digests alone are not relied on"}
		}
	}
	return nil
}

// digests shows what names a subject.
func digests(set map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		all = append(all, name+":"+set[name])
	}
	return strings.Join(all, ", ")
}

// isHex reports whether s is a digest of the algorithm in lower-case hex.
func isHex(s, algorithm string) bool {
	return len(s) == map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}[algorithm] && strings.Trim(s, "0123456789abcdef") == ""
}

func badJSON(what string, err error) error {
	return &gate.Refusal{Code: "bad-json", What: what + " cannot be read", Cause: err, Fix: "give the file as it was published; this one is damaged"}
}
