package sbom

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sello-release/sello/internal/gate"
)

// Codes of the refusals of documents that are read.
const (
	CodeFormat    = "sbom-format-unknown"  // no format that is read
	CodeVersion   = "sbom-version-unknown" // a version of a format that is not read
	CodeMalformed = "sbom-malformed"       // not what its format says: a wrong type, something missing, a key twice
	CodeUTF8      = "sbom-bad-utf8"        // bytes that are no text
	CodeDuplicate = "sbom-duplicate-id"    // two elements with one identifier
	CodeTooLarge  = "sbom-too-large"       // beyond the bounds below
)

// Bounds of documents that are read.
const (
	MaxBytes     = 256 << 20
	MaxDepth     = 256       // of JSON, and of components in components
	MaxElements  = 2_000_000 // packages and files
	MaxRelations = 8_000_000
)

// Malformed refuses a document; where is a JSON pointer, or a line.
func Malformed(where, format string, args ...any) error {
	return &gate.Refusal{Code: CodeMalformed, What: "the bill of materials is not what its format says", Where: where, Actual: fmt.Sprintf(format, args...),
		Fix: "have it made again by whoever made it"}
}

// UnknownVersion refuses a document of another version than those that are read.
func UnknownVersion(format, version, read string) error {
	return &gate.Refusal{Code: CodeVersion, What: "this version of " + format + " is not read", Expected: read, Actual: fmt.Sprintf("%.100q", version),
		Fix: "have the document made, or converted, in a version that is read"}
}

// TooLarge refuses a document beyond a bound.
func TooLarge(expected string) error {
	return &gate.Refusal{Code: CodeTooLarge, What: "the bill of materials is larger than what is read", Expected: expected, Fix: "describe the parts by themselves"}
}

// DecodeJSON decodes JSON of unknown origin into v: text that is UTF-8, no key twice, nothing after the value, not nested deeper than
// MaxDepth. Members that v does not have are passed over. Errors are refusals.
func DecodeJSON(data []byte, v any) error {
	checked := make(chan error)
	go func() { checked <- checkJSON(data) }()
	err := json.Unmarshal(data, v) // it has a bound of its own to how deep it goes
	if err := <-checked; err != nil {
		return err
	}
	if err == nil {
		return nil
	}
	var semantic *json.SemanticError
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax): // also where a type that reads itself met it
		return Malformed(pointer(syntax.JSONPointer), "%v, at byte %d", syntax.Err, syntax.ByteOffset)
	case errors.As(err, &semantic):
		want := "another type"
		if semantic.GoType != nil {
			want = semantic.GoType.Kind().String()
		}
		return Malformed(pointer(semantic.JSONPointer), "JSON %s instead of %s", semantic.JSONKind, want)
	}
	return Malformed("", "%v", err)
}

// checkJSON refuses what is no text or nests deeper than MaxDepth.
func checkJSON(data []byte) error {
	if err := CheckText(data); err != nil {
		return err
	}
	if depth(data) > MaxDepth {
		return TooLarge(fmt.Sprintf("JSON at most %d deep", MaxDepth))
	}
	return nil
}

// LeaveOut takes up that members of an object have no place in the model: rest is that object with those members alone, and nil for none. Those
// that say nothing of what is described are passed over.
func (d *Document) LeaveOut(of string, rest jsontext.Value, passed ...string) {
	if len(rest) == 0 {
		return
	}
	var all map[string]jsontext.Value
	if json.Unmarshal(rest, &all) != nil {
		return
	}
	for name, v := range all {
		text := strings.Map(printable, of+name)
		empty := len(v) == 2 && (v.Kind() == '[' || v.Kind() == '{') || v.Kind() == 'n'
		if !empty && !slices.Contains(passed, name) && !slices.Contains(d.LeftOut, text) && len(d.LeftOut) < maxLeftOut {
			d.LeftOut = append(d.LeftOut, text)
		}
	}
	slices.Sort(d.LeftOut)
}

// maxLeftOut bounds the names of what is left out.
const maxLeftOut = 100

func pointer(p jsontext.Pointer) string {
	s := strings.ToValidUTF8(string(p), "?")
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return strings.Map(printable, strings.ToValidUTF8(s, "?"))
}

// CheckText refuses what is too large, or no text.
func CheckText(data []byte) error {
	if len(data) > MaxBytes {
		return TooLarge(fmt.Sprintf("at most %d bytes", MaxBytes))
	}
	if !utf8.Valid(data) {
		return &gate.Refusal{Code: CodeUTF8, What: "the bill of materials has bytes that are not UTF-8", Fix: "have it made again by whoever made it"}
	}
	return nil
}

// depth gives how deep arrays and objects nest in what may be JSON.
func depth(data []byte) int {
	deepest, now := 0, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		}
	}
	return deepest
}

// Checked gives the document, or the refusal of CheckRead alone.
func (d *Document) Checked() (*Document, error) {
	if err := d.CheckRead(); err != nil {
		return nil, err
	}
	return d, nil
}

// CheckRead holds a document that was read to what all formats have in common: bounds, and identifiers that are there and unique.
func (d *Document) CheckRead() error {
	if len(d.Packages)+len(d.Files) > MaxElements {
		return TooLarge(fmt.Sprintf("at most %d packages and files", MaxElements))
	}
	if len(d.Relations) > MaxRelations {
		return TooLarge(fmt.Sprintf("at most %d relations", MaxRelations))
	}
	seen := make(map[string]bool, len(d.Packages)+len(d.Files)+1)
	seen[DocumentID] = true
	check := func(kind, id, name string) error {
		if id == "" {
			return Malformed("", "%s %.200q without an identifier", kind, name)
		}
		if seen[id] {
			return &gate.Refusal{Code: CodeDuplicate, What: "two elements of the bill of materials have one identifier", Actual: fmt.Sprintf("%.200q", id),
				Fix: "have it made again by whoever made it"}
		}
		seen[id] = true
		return nil
	}
	for i := range d.Packages {
		if err := check("package", d.Packages[i].ID, d.Packages[i].Name); err != nil {
			return err
		}
	}
	for i := range d.Files {
		if err := check("file", d.Files[i].ID, d.Files[i].Name); err != nil {
			return err
		}
	}
	return nil
}
