package strictyaml

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sello-release/sello/internal/gate"
)

// decode sets v from n. Values that survey has refused are passed over.
func (d *Document) decode(path string, n *yaml.Node, v reflect.Value) {
	if d.broken[path] && n.Kind != yaml.MappingNode {
		return
	}
	if isNull(n) {
		d.breakAt(path, n, &gate.Refusal{Code: "yaml-no-value", What: "the key has no value",
			Expected: wanted(v.Type()), Fix: "give it a value or remove the key"})
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.decode(path, n, p.Elem())
		v.Set(p)
	case reflect.Struct:
		if d.want(path, n, yaml.MappingNode, v) {
			d.decodeStruct(path, n, v)
		}
	case reflect.Map:
		if d.want(path, n, yaml.MappingNode, v) {
			d.decodeMap(path, n, v)
		}
	case reflect.Slice:
		if d.want(path, n, yaml.SequenceNode, v) {
			v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
			for i, c := range n.Content {
				d.decode(fmt.Sprintf("%s[%d]", path, i), c, v.Index(i))
			}
		}
	default:
		if d.want(path, n, yaml.ScalarNode, v) {
			d.decodeScalar(path, n, v)
		}
	}
}

var decimal = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

func (d *Document) decodeScalar(path string, n *yaml.Node, v reflect.Value) {
	plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		return
	case reflect.Bool:
		if plain && (n.Value == "true" || n.Value == "false") {
			v.SetBool(n.Value == "true")
			return
		}
	case reflect.Int:
		if i, err := strconv.ParseInt(n.Value, 10, strconv.IntSize); err == nil && plain && decimal.MatchString(n.Value) {
			v.SetInt(i)
			return
		}
	}
	d.wrongType(path, n, v.Type())
}

// want refuses a node of another kind.
func (d *Document) want(path string, n *yaml.Node, k yaml.Kind, v reflect.Value) bool {
	if n.Kind == k {
		return true
	}
	d.wrongType(path, n, v.Type())
	return false
}

func (d *Document) wrongType(path string, n *yaml.Node, t reflect.Type) {
	r := &gate.Refusal{Code: "yaml-type", What: "the value has the wrong type", Expected: wanted(t), Actual: kind(n)}
	if path != "" {
		r.What = fmt.Sprintf("%s has the wrong type", path)
	}
	switch low := strings.ToLower(n.Value); {
	case n.Kind != yaml.ScalarNode:
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		r.Fix = fmt.Sprintf("write it as a list: [%s]", clip(n.Value))
	case t.Kind() == reflect.Bool && (low == "yes" || low == "on" || low == "true"):
		r.Fix = "write true, without quotes"
	case t.Kind() == reflect.Bool && (low == "no" || low == "off" || low == "false"):
		r.Fix = "write false, without quotes"
	}
	d.breakAt(path, n, r)
}

// wanted says in a user's words what a type takes.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Struct:
		return "a mapping with the keys " + strings.Join(keys(fieldsOf(t)), ", ")
	case reflect.Map:
		return "a mapping"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	}
	return "text"
}

func (d *Document) decodeMap(path string, n *yaml.Node, v reflect.Value) {
	m := reflect.MakeMap(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		k := reflect.ValueOf(key.Value).Convert(v.Type().Key())
		if !d.own(path, key) || m.MapIndex(k).IsValid() {
			continue
		}
		e := reflect.New(v.Type().Elem()).Elem()
		d.decode(join(path, key.Value), n.Content[i+1], e)
		m.SetMapIndex(k, e)
	}
	v.Set(m)
}

// own reports whether survey accepted the key.
func (d *Document) own(path string, key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && d.Has(join(path, key.Value))
}

type field struct {
	name     string
	index    int
	required bool
}

// fieldsOf lists the keys of a struct in their order.
func fieldsOf(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		name, options, tagged := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" || !t.Field(i).IsExported() {
			continue
		}
		fs = append(fs, field{name, i, !tagged || !strings.Contains(options, "omitempty")})
	}
	return fs
}

func keys(fs []field) []string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.name
	}
	return names
}

func (d *Document) decodeStruct(path string, n *yaml.Node, v reflect.Value) {
	fs := fieldsOf(v.Type())
	done := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !d.own(path, key) || done[key.Value] {
			continue
		}
		done[key.Value] = true
		if f, ok := lookUp(fs, key.Value); ok {
			d.decode(join(path, f.name), n.Content[i+1], v.Field(f.index))
			continue
		}
		near := d.unknownKey(path, key, fs)
		if near != "" && d.broken[join(path, near)] {
			done[near] = true
		}
	}
	for _, f := range fs {
		if f.required && !done[f.name] && !d.broken[path] {
			d.broken[join(path, f.name)] = true
			d.add(d.find(path), &gate.Refusal{Code: "yaml-missing-key", What: fmt.Sprintf("the key %q is missing", join(path, f.name)),
				Expected: wanted(v.Field(f.index).Type())})
		}
	}
}

func lookUp(fs []field, name string) (field, bool) {
	for _, f := range fs {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// unknownKey refuses a key and gives the known one that was probably meant.
func (d *Document) unknownKey(path string, key *yaml.Node, fs []field) string {
	r := &gate.Refusal{Code: "yaml-unknown-key", What: fmt.Sprintf("unknown key %q", clip(key.Value)),
		Expected: "one of " + strings.Join(keys(fs), ", ")}
	near := Nearest(key.Value, keys(fs))
	if near != "" {
		r.Fix = fmt.Sprintf("did you mean %q?", near)
		if !d.Has(join(path, near)) {
			d.broken[join(path, near)] = true
		}
	}
	d.add(position{key.Line, key.Column}, r)
	return near
}
