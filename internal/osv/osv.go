// Package osv reads vulnerability records in the OSV format (schema 1.x) and says which of them concern a package.
//
// # Promises
//
// A database is a folder of records, of the zips that OSV publishes for each ecosystem, or laid out as Go's vulnerability
// database; or the URL of an OSV API. Nothing is contacted but a URL that the caller names. Only records about the packages
// asked for are kept, so that a database of hundreds of thousands costs what its reading costs and little memory.
//
// Records that were withdrawn say nothing. Whether a version is affected is decided by the record's lists and ranges in the
// order of its ecosystem's versions; what cannot be decided (a version that is none, a range of git commits, a record without
// versions) is Undecided with a reason, never taken for unaffected.
//
// # Refusals
//
// A record that is broken, too large, or of a schema that is not 1.x refuses the whole database, because a gap in it would
// look like an absence of vulnerabilities: vuln-record-invalid, vuln-record-too-large, vuln-record-schema, vuln-db-invalid,
// vuln-db-missing, vuln-db-unreachable.
//
// # What it does not do
//
// It does not judge: severity, reachability and exceptions are for package vuln.
package osv

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// MaxRecord is the largest record that is read, in bytes.
const MaxRecord = 8 << 20

// Record is one vulnerability, as OSV schema 1.x has it; what is not needed is not read.
type Record struct {
	SchemaVersion string     `json:"schema_version,omitempty"`
	ID            string     `json:"id"`
	Modified      time.Time  `json:"modified"`
	Published     time.Time  `json:"published,omitzero"`
	Withdrawn     *time.Time `json:"withdrawn,omitempty"`
	Aliases       []string   `json:"aliases,omitempty"`
	Summary       string     `json:"summary,omitempty"`
	Details       string     `json:"details,omitempty"`
	Severity      []Severity `json:"severity,omitempty"`
	Affected      []Affected `json:"affected,omitempty"`
	Specific      Specific   `json:"database_specific,omitzero"`

	raw []byte
}

// Raw gives the record's bytes as they were read.
func (r *Record) Raw() []byte { return r.raw }

// Severity is a CVSS vector, or a distribution's own word.
type Severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// Specific is what databases add: the one field that several of them share.
type Specific struct {
	Severity string
}

// UnmarshalJSON takes a severity that is a word, and passes over whatever else databases put there.
func (s *Specific) UnmarshalJSON(data []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return nil //nolint:nilerr // its form is the database's own affair
	}
	if json.Unmarshal(m["severity"], &s.Severity) != nil {
		s.Severity = ""
	}
	return nil
}

// MarshalJSON writes what was read.
func (s Specific) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"severity": s.Severity})
}

// Affected is a package and its affected versions.
type Affected struct {
	Package   RecordPackage `json:"package"`
	Severity  []Severity    `json:"severity,omitempty"`
	Ranges    []Range       `json:"ranges,omitempty"`
	Versions  []string      `json:"versions,omitempty"`
	Specific  Specific      `json:"database_specific,omitzero"`
	Ecosystem struct {
		Imports []Import `json:"imports,omitempty"`
	} `json:"ecosystem_specific,omitzero"`
}

// Import is a Go package with its vulnerable symbols, as Go's database names them, and the systems on which they are; none
// means all.
type Import struct {
	Path    string   `json:"path"`
	Symbols []string `json:"symbols,omitempty"`
	GOOS    []string `json:"goos,omitempty"`
	GOARCH  []string `json:"goarch,omitempty"`
}

// UnmarshalJSON passes over ecosystem_specific that has another form than Go's.
func (a *Affected) UnmarshalJSON(data []byte) error {
	type plain Affected
	var p struct {
		plain
		Ecosystem json.RawMessage `json:"ecosystem_specific"`
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*a = Affected(p.plain)
	if len(p.Ecosystem) > 0 {
		if json.Unmarshal(p.Ecosystem, &a.Ecosystem) != nil {
			a.Ecosystem.Imports = nil
		}
	}
	return nil
}

// RecordPackage names a package in its ecosystem.
type RecordPackage struct {
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	Purl      string `json:"purl,omitempty"`
}

// Range is a line of versions with what happened on it.
type Range struct {
	Type   string  `json:"type"` // SEMVER, ECOSYSTEM or GIT
	Repo   string  `json:"repo,omitempty"`
	Events []Event `json:"events"`
}

// Event is a point on a range. One field is set.
type Event struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"last_affected,omitempty"`
	Limit        string `json:"limit,omitempty"`
}

// Parse reads one record. where names it in refusals.
func Parse(data []byte, where string) (*Record, error) {
	if len(data) > MaxRecord {
		return nil, tooLarge(where)
	}
	r := &Record{raw: data}
	if err := strictjson.Unmarshal(data, r); err != nil {
		return nil, invalid(where, err)
	}
	if err := checkHead(r.SchemaVersion, r.ID, r.Modified, where); err != nil {
		return nil, err
	}
	for i := range r.Affected {
		r.Affected[i].Package.Ecosystem = canonical(r.Affected[i].Package.Ecosystem)
	}
	for _, a := range r.Aliases {
		if !ValidID(a) {
			return nil, invalid(where, fmt.Errorf("alias %.100q", a))
		}
	}
	return r, nil
}

// ValidID holds for what identifiers of vulnerabilities consist of, so that one can be a file's name and a part of a URL.
func ValidID(id string) bool {
	return id != "" && len(id) <= 200 && id[0] != '.' && id[0] != '-' &&
		strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") == ""
}

func invalid(where string, cause error) error {
	return &gate.Refusal{Code: "vuln-record-invalid", Where: where, What: "a vulnerability record cannot be read", Expected: "an OSV record, schema 1.x", Cause: cause,
		Fix: "get the database again; a database with a broken record could hide a vulnerability"}
}

func tooLarge(where string) error {
	return &gate.Refusal{Code: "vuln-record-too-large", Where: where, What: "a vulnerability record is larger than any that is read", Expected: fmt.Sprintf("at most %d bytes", MaxRecord),
		Fix: "get the database again, from whom you trust"}
}
