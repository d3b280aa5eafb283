package osv

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sello-release/sello/internal/gate"
)

// head is what every record has to say, whether it is asked for or not.
type head struct {
	modified time.Time
	packages []RecordPackage
}

// skim reads a record as far as its schema, id, time and packages, and refuses it when those cannot be read in one way only.
// It costs a fifth of Parse, and databases have hundreds of thousands of records.
func skim(data []byte, where string) (head, error) {
	var h head
	if !utf8.Valid(data) {
		return h, invalid(where, errors.New("not UTF-8"))
	}
	top, err := members(data)
	if err != nil {
		return h, invalid(where, err)
	}
	var record struct {
		schema, id string
		affected   []json.RawMessage
	}
	for name, to := range map[string]any{"schema_version": &record.schema, "id": &record.id, "modified": &h.modified, "affected": &record.affected} {
		if raw, ok := top[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return h, invalid(where, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	if err := checkHead(record.schema, record.id, h.modified, where); err != nil {
		return h, err
	}
	for _, a := range record.affected {
		fields, err := members(a)
		if err != nil {
			return h, invalid(where, fmt.Errorf("affected: %w", err))
		}
		raw, ok := fields["package"]
		if !ok {
			continue // only a range of commits
		}
		named, err := members(raw)
		if err != nil {
			return h, invalid(where, fmt.Errorf("package: %w", err))
		}
		var p RecordPackage
		for name, to := range map[string]*string{"ecosystem": &p.Ecosystem, "name": &p.Name} {
			if err := json.Unmarshal(named[name], to); err != nil {
				return h, invalid(where, fmt.Errorf("package: %s: %w", name, err))
			}
		}
		p.Ecosystem = canonical(p.Ecosystem)
		h.packages = append(h.packages, p)
	}
	return h, nil
}

// checkHead refuses a record of another schema, and one without an id or a time.
func checkHead(schema, id string, modified time.Time, where string) error {
	switch {
	case schema != "" && !strings.HasPrefix(schema, "1."):
		return &gate.Refusal{Code: "vuln-record-schema", Where: where, What: "a vulnerability record is of a schema that is not known here",
			Expected: "schema_version 1.x", Actual: fmt.Sprintf("%.40q", schema), Fix: "use a newer Sello, or a database in OSV schema 1.x"}
	case !ValidID(id):
		return invalid(where, errors.New("no id, or one that is none"))
	case modified.IsZero():
		return invalid(where, errors.New("no time of modification"))
	}
	return nil
}

// members gives the members of an object by their names in lower case, as encoding/json finds them, and refuses a name that is
// there twice.
func members(data []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errors.New("no object"), err)
	}
	out := map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("a key that is not a string")
		}
		name = strings.ToLower(strings.ToUpper(name))
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("key %q twice", name)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		out[name] = raw
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more data after the value")
	}
	return out, nil
}
