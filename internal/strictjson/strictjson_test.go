package strictjson

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	good := []string{`{}`, `null`, ` [1,2,{"a":{"a":1}}] `, `{"a":1,"A":2}`, "\"x\"\n", strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)}
	for _, s := range good {
		if err := Check([]byte(s)); err != nil {
			t.Errorf("Check(%s): %v", s, err)
		}
	}
	bad := map[string]string{
		"empty":               ``,
		"truncated":           `{"a":`,
		"same key twice":      `{"a":1,"a":2}`,
		"same key, escaped":   `{"a":1,"\u0061":2}`,
		"same key, nested":    `[{"x":{"b":1,"b":2}}]`,
		"more data":           `{} {}`,
		"garbage after":       `{}x`,
		"bracket after":       `{}}`,
		"not UTF-8":           "\"\xff\"",
		"too deep":            strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1),
		"key is not a string": `{1:2}`,
		"comma at the end":    `[1,]`,
		"missing comma":       `[1 2]`,
		"missing colon":       `{"a" 1}`,
		"wrong bracket":       `[1}`,
	}
	for name, s := range bad {
		if err := Check([]byte(s)); err == nil {
			t.Errorf("%s: %q passed", name, s)
		}
	}
}

func TestUnmarshalRefusesKeysThatDifferInCase(t *testing.T) {
	t.Parallel()
	var v struct{ Kind, S string }
	for _, s := range []string{`{"kind":"a","Kind":"b"}`, `{"kind":"a","\u212aind":"b"}`, `{"s":"a","\u017f":"b"}`} {
		if err := Unmarshal([]byte(s), &v); err == nil {
			t.Errorf("%s passed as %+v", s, v)
		}
	}
	if err := Unmarshal([]byte(`{"kind":"a","other":1}`), &v); err != nil || v.Kind != "a" {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	m, err := Object([]byte(`{"a":1,"A":[2]}`))
	if err != nil || string(m["a"]) != "1" || string(m["A"]) != "[2]" {
		t.Errorf("got %v, %v", m, err)
	}
	for _, s := range []string{`null`, `[]`, `1`, ``} {
		if _, err := Object([]byte(s)); err == nil {
			t.Errorf("%q passed as an object", s)
		}
	}
}

// What passes is valid JSON for encoding/json too.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":[1,"b",null,true]}`, `{"a":1,"a":2}`, `[[[]]]`, `1e5`, `{}{}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data) == nil && !json.Valid(data) {
			t.Errorf("%q passed and is not JSON", data)
		}
	})
}
