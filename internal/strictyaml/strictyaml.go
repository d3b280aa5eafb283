// Package strictyaml reads the YAML files that people write and review.
//
// # Promises
//
// A document is decoded against a Go type, by its `yaml` struct tags, and
// everything that is wrong with it is reported at once, each with file, line and
// column, and with a suggestion where a known word is near. A field whose tag
// has no omitempty is required. A struct field that is left out keeps its zero
// value; nothing is filled in.
//
// # What it refuses
//
// Unknown keys, wrong types, duplicate keys, keys without a value, anchors,
// aliases, merge keys and explicit tags (so there are no YAML bombs), several
// documents, nesting deeper than MaxDepth, files above MaxSize, text that is
// not UTF-8, and characters that make a reviewer see something else than the parser does:
// control characters, lone carriage returns, Unicode line separators and
// bidirectional overrides.
//
// # Scalars
//
// A string is what was written: version: 1.20 is "1.20", and on, yes, 0x1F and 2026-11-20
// stay those words when a string is wanted. A bool is true or false, nothing
// else; an int is written in decimal; both unquoted. null and ~ are values of
// nothing here: a key without a value is left out instead.
//
// It does no I/O.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sello-release/sello/internal/gate"
)

// Limits on a document.
const (
	MaxSize   = 1 << 20 // bytes
	MaxDepth  = 32      // nested mappings and lists
	MaxKey    = 128     // bytes of a key
	MaxNodes  = 20_000  // values
	MaxErrors = 100     // refusals that are kept
)

// Decode decodes the one document in data into the struct or slice that into points to.
//
// The Document is nil when data is not a YAML document at all, or beyond the limits; otherwise it
// holds the positions of all values, whatever err is, so that a validator can
// go on and add what it finds with Document.Refuse. The error is an Errors.
func Decode(name string, data []byte, into any) (*Document, error) {
	return Limits{Size: MaxSize, Nodes: MaxNodes}.Decode(name, data, into)
}

// Limits are for files that are larger than people write by hand.
type Limits struct {
	Size  int // bytes; instead of MaxSize
	Nodes int // values; instead of MaxNodes
}

// Decode is the function Decode with other limits.
func (l Limits) Decode(name string, data []byte, into any) (*Document, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct && v.Elem().Kind() != reflect.Slice {
		return nil, fmt.Errorf("decode %s: want a pointer to a struct or a slice, got %T", name, into)
	}
	if r := checkText(name, data, l.Size); r != nil {
		return nil, Errors{r}
	}
	root, r := parse(name, data)
	if r != nil {
		return nil, Errors{r}
	}
	d := &Document{name: name, maxNodes: l.Nodes, at: map[string]position{}, broken: map[string]bool{}}
	d.survey("", root, 1)
	if d.nodes >= d.maxNodes { // refused; the rest is not worth the time
		return nil, d.Err()
	}
	d.decode("", root, v.Elem())
	return d, d.Err()
}

// parse gives the root node of the only document.
func parse(name string, data []byte) (*yaml.Node, *gate.Refusal) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && isEmpty(&doc) {
		return nil, &gate.Refusal{Code: "yaml-empty", Class: gate.Usage, Where: name,
			What: "the file is empty", Fix: "write it, or remove it"}
	}
	if err != nil {
		return nil, syntax(name, err)
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
		return doc.Content[0], nil
	case err != nil:
		return nil, syntax(name, err)
	}
	return nil, &gate.Refusal{Code: "yaml-documents", Class: gate.Usage,
		Where: where(name, position{second.Line, second.Column}),
		What:  "the file has more than one document", Expected: "one document", Actual: "another one here",
		Fix: "remove the line --- and what follows it"}
}

func isEmpty(doc *yaml.Node) bool {
	if len(doc.Content) == 0 {
		return true
	}
	root := doc.Content[0]
	return root.Kind == yaml.ScalarNode && root.Style == 0 && root.Value == ""
}

var lineInError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntax turns the parser's error, whose text holds the line, into a refusal.
func syntax(name string, err error) *gate.Refusal {
	line, text := 1, err.Error()
	if m := lineInError.FindStringSubmatch(strings.SplitN(text, "\n", 2)[0]); m != nil {
		text = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	return &gate.Refusal{Code: "yaml-syntax", Class: gate.Usage, Where: where(name, position{line, 1}),
		What: "this is not YAML: " + text,
		Fix:  "look at this line and the one before it: indentation, a missing quote, a tab"}
}
