package definition

import (
	"fmt"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/lazyregexp"
	"github.com/sello-release/sello/internal/strictyaml"
)

// Values are all that a template can use.
type Values struct {
	Project     string // the project's name
	Version     string // with its v: v1.4.2
	Commit      string // the full commit id
	ShortCommit string // its first twelve characters
	CommitTime  string // RFC 3339, UTC, whole seconds: 2026-11-20T09:30:00Z
	OS          string // linux
	Arch        string // amd64
	Variant     string // v7; empty for most platforms
}

// ValueNames are the names that a template can use, as documented.
var ValueNames = []string{"Version", "Commit", "ShortCommit", "CommitTime", "Project", "OS", "Arch", "Variant"}

func (v Values) get(name string) string {
	switch name {
	case "Project":
		return v.Project
	case "Version":
		return v.Version
	case "Commit":
		return v.Commit
	case "ShortCommit":
		return v.ShortCommit
	case "CommitTime":
		return v.CommitTime
	case "OS":
		return v.OS
	case "Arch":
		return v.Arch
	}
	return v.Variant
}

// piece is text, or the name of a value.
type piece struct{ text, name string }

// Expand puts values into a template. A template is text with {{ .Name }} in it, where Name
// is one of ValueNames; there are no functions, conditions or pipelines.
func Expand(template string, v Values) (string, error) {
	pieces, err := parseTemplate(template)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.text)
		if p.name != "" {
			b.WriteString(v.get(p.name))
		}
	}
	return b.String(), nil
}

// ExpandName is Expand for a name of a file: the result must be a SafeName.
func ExpandName(template string, v Values) (string, error) {
	name, err := Expand(template, v)
	if err != nil {
		return "", err
	}
	return name, SafeName(name)
}

func parseTemplate(s string) ([]piece, error) {
	var pieces []piece
	for rest := s; rest != ""; {
		text, after, found := strings.Cut(rest, "{{")
		if strings.Contains(text, "}}") {
			return nil, badTemplate(s, "}} without {{")
		}
		pieces = append(pieces, piece{text: text})
		if !found {
			break
		}
		action, after, closed := strings.Cut(after, "}}")
		if !closed {
			return nil, badTemplate(s, "{{ without }}")
		}
		name, err := valueName(s, strings.TrimSpace(action))
		if err != nil {
			return nil, err
		}
		pieces, rest = append(pieces, piece{name: name}), after
	}
	return pieces, nil
}

var field = lazyregexp.New(`^\.[A-Za-z][A-Za-z0-9]*$`)

func valueName(template, action string) (string, error) {
	if !field.MatchString(action) {
		return "", badTemplate(template, fmt.Sprintf("{{ %s }}", action))
	}
	for _, name := range ValueNames {
		if action == "."+name {
			return name, nil
		}
	}
	r := badTemplate(template, fmt.Sprintf("the unknown value {{ %s }}", action))
	near := elsewhere[action[1:]]
	if near == "" {
		near = strictyaml.Nearest(action[1:], ValueNames)
	}
	if near != "" {
		r.Fix = fmt.Sprintf("did you mean {{ .%s }}?", near)
	}
	return "", r
}

// elsewhere are names that other release tools use.
var elsewhere = map[string]string{
	"Tag": "Version", "RawVersion": "Version", "FullCommit": "Commit", "ProjectName": "Project",
	"Date": "CommitTime", "CommitDate": "CommitTime", "Timestamp": "CommitTime", "Arm": "Variant", "Amd64": "Variant", "Revision": "Commit",
}

func badTemplate(template, found string) *gate.Refusal {
	return &gate.Refusal{Code: "definition-template", Class: gate.Usage, What: fmt.Sprintf("the template %q cannot be expanded", template),
		Expected: "text and the values {{ ." + strings.Join(ValueNames, " }} {{ .") + " }}", Actual: found}
}

// safeName holds for names that every file system, shell and checksum file takes.
var safeName = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}$`)

var deviceName = lazyregexp.New(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)

// SafeName refuses names of files that are not portable: anything but letters, digits, '.', '_', '+' and '-',
// a leading '.', '+' or '-', a trailing '.', the names of Windows devices, more than 200 characters.
func SafeName(name string) error {
	if safeName.MatchString(name) && !strings.HasSuffix(name, ".") && !deviceName.MatchString(name) {
		return nil
	}
	return &gate.Refusal{Code: "definition-file-name", Class: gate.Usage, What: "this is not a portable name of a file",
		Expected: "letters, digits, '.', '_', '+' and '-'", Actual: fmt.Sprintf("%q", name)}
}
