package flow

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

// lossy says what in a type would be lost or changed by JSON, or "". Checking the
// type, when the graph is made, finds it in every run and not only in a resumed one.
func lossy(t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] {
		return ""
	}
	seen[t] = true
	if encodesItself(t) {
		return ""
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Uintptr:
		return fmt.Sprintf("%v has no JSON form", t)
	case reflect.Interface:
		return fmt.Sprintf("%v does not say what comes back", t)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return lossy(t.Elem(), seen)
	case reflect.Map:
		if why := lossy(t.Key(), seen); why != "" {
			return why
		}
		return lossy(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() && !f.Anonymous {
				return fmt.Sprintf("%v.%s is not exported", t, f.Name)
			}
			if f.Tag.Get("json") == "-" {
				return fmt.Sprintf("%v.%s is left out", t, f.Name)
			}
			if why := lossy(f.Type, seen); why != "" {
				return why
			}
		}
	}
	return ""
}

// encodesItself reports whether the type has methods for both ways, as time.Time and json.RawMessage do.
func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Marshaler]()) && p.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
