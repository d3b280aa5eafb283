// Package strictjson reads JSON that somebody hostile may have written.
//
// encoding/json accepts two things that let two readers of the same bytes see
// different values: an object with the same key twice, and keys that differ only
// in case from the wanted one. This package refuses both, and also bytes that
// are not UTF-8, anything after the value, and deep nesting. It does not limit
// size: its callers do, before they read.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 64

// Check says what makes data ambiguous or malformed. It allows keys of one
// object that differ only in case, as maps may have them.
func Check(data []byte) error { return check(data, false) }

// Unmarshal is json.Unmarshal after Check, and refuses two keys of one object
// that differ only in case, because encoding/json takes either for the same
// field. Fields that v does not have are ignored.
func Unmarshal(data []byte, v any) error {
	if err := check(data, true); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// Object gives the members of the JSON object in data, by their exact names.
// Nested values are not looked into; call Check on the whole first.
func Object(data []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if first := bytes.TrimLeft(data, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		return nil, errors.New("a list instead of an object")
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("null instead of an object")
	}
	return m, nil
}

func check(data []byte, fold bool) error {
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return errors.New("this is gzip data and not JSON: unpack it first")
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return errors.New("it begins with a byte order mark, which JSON does not have (RFC 8259, section 8.1)")
	case !utf8.Valid(data):
		return errors.New("not UTF-8")
	}
	w := walker{dec: json.NewDecoder(bytes.NewReader(data)), fold: fold}
	w.dec.UseNumber()
	if err := w.value(0); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if _, err := w.dec.Token(); err != io.EOF {
		return fmt.Errorf("more data after the value, at byte %d", w.dec.InputOffset())
	}
	return nil
}

type walker struct {
	dec  *json.Decoder
	fold bool
}

func (w walker) value(depth int) error {
	t, err := w.dec.Token()
	if err != nil {
		return err
	}
	d, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == MaxDepth {
		return fmt.Errorf("nested deeper than %d, at byte %d", MaxDepth, w.dec.InputOffset())
	}
	if d == '{' {
		return w.object(depth)
	}
	for w.dec.More() {
		if err := w.value(depth + 1); err != nil {
			return err
		}
	}
	_, err = w.dec.Token()
	return err
}

func (w walker) object(depth int) error {
	seen := map[string]bool{}
	for w.dec.More() {
		t, err := w.dec.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("a key that is not a string, at byte %d", w.dec.InputOffset())
		}
		if w.fold {
			key = foldKey(key)
		}
		if seen[key] {
			return fmt.Errorf("key %q twice, at byte %d", t, w.dec.InputOffset())
		}
		seen[key] = true
		if err := w.value(depth + 1); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

// foldKey maps keys that encoding/json takes for the same field to one string:
// its folding is Unicode's simple folding, in which ſ is s and the kelvin sign is k.
func foldKey(s string) string { return strings.ToLower(strings.ToUpper(s)) }
