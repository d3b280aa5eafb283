package definition_test

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/trust"
)

const pem = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEBCHeKLOwXu1cVBQciIWI5uctjFCb
buGJSegLZDZzYN047aZ2GJARb2Gn3dTGcLWgsbCniX1VtMmmJrgU7xvJfA==
-----END PUBLIC KEY-----
`

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	data, ok := definition.Schema(name)
	if !ok {
		t.Fatalf("no schema %s", name)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An editor with the schema and the program agree on these files.
func TestSchemasAgreeWithTheParser(t *testing.T) {
	t.Parallel()
	trustFile := func(role, threshold string) string {
		return "version: 1\nproject: age\nsource: https://github.com/a/age\nexpires: \"2027-06-30\"\nidentities:\n" +
			"  ci:\n    key: |\n      " + string(bytes.ReplaceAll([]byte(pem), []byte("\n"), []byte("\n      "))) + "\n" +
			"roles:\n  builder: {identities: [ci]}\n  " + role + ": {identities: [ci], threshold: " + threshold + "}\n" +
			"builders: [{id: https://example.org/b, signer: ci, level: 3}]\n"
	}
	tests := map[string]struct {
		schema, text string
		ok           bool
	}{
		"least":             {"sello", minimal, true},
		"full":              {"sello", full, true},
		"unknown key":       {"sello", minimal + "buids: []\n", false},
		"no source":         {"sello", "project: age\nbuilds: [{go: {packages: [.]}}]", false},
		"no builds":         {"sello", "project: age\nsource: https://github.com/a/age\nbuilds: []", false},
		"no packages":       {"sello", "project: age\nsource: https://github.com/a/age\nbuilds: [{go: {}}]", false},
		"no builder":        {"sello", "project: age\nsource: https://github.com/a/age\nbuilds: [{name: a}]", false},
		"another format":    {"sello", minimal + "archives: [{format: rar}]\n", false},
		"text for a bool":   {"sello", minimal + "source-archive: \"yes\"\n", false},
		"level too high":    {"sello", minimal + "policy: {level: 4}\n", false},
		"other evidence":    {"sello", minimal + "policy: {evidence: [vibes]}\n", false},
		"bad project":       {"sello", "project: Age\nsource: https://github.com/a/age\nbuilds: [{go: {packages: [.]}}]", false},
		"release":           {"release", "version: v1.2.3\ncommit: " + commit + "\nchannel: stable\n", true},
		"release, staged":   {"release", "version: v1.2.3-rc.1\ncommit: " + commit + "\nstage: " + digest + "\n", true},
		"version without v": {"release", "version: 1.2.3\ncommit: " + commit + "\n", false},
		"short commit":      {"release", "version: v1.2.3\ncommit: 5471f1c\n", false},
		"other channel":     {"release", "version: v1.2.3\ncommit: " + commit + "\nchannel: beta\n", false},
		"trust":             {"trust", trustFile("manager", "1"), true},
		"unknown role":      {"trust", trustFile("manger", "1"), false},
		"threshold 0":       {"trust", trustFile("manager", "0"), false},
	}
	paths := map[string]string{"release": "releases/v1.2.3.yaml"}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var value any
			if err := yaml.Unmarshal([]byte(test.text), &value); err != nil {
				t.Fatal(err)
			}
			if err := compile(t, test.schema).Validate(value); (err == nil) != test.ok {
				t.Errorf("the schema says: %v", err)
			}
			var err error
			switch test.schema {
			case "sello":
				_, err = definition.Parse("sello.yaml", []byte(test.text))
			case "release":
				path := paths["release"]
				if name == "release, staged" {
					path = "releases/v1.2.3-rc.1.yaml"
				}
				_, err = definition.ParseRelease(path, []byte(test.text))
			default:
				_, err = trust.Parse("trust.yaml", []byte(test.text))
			}
			if (err == nil) != test.ok {
				t.Errorf("the parser says: %v", err)
			}
		})
	}
}

func TestSchemaKnowsItsNames(t *testing.T) {
	t.Parallel()
	for _, name := range definition.Schemas {
		compile(t, name)
	}
	for _, name := range []string{"", "x", "../schema", "sello.schema.json"} {
		if _, ok := definition.Schema(name); ok {
			t.Errorf("there is a schema %q", name)
		}
	}
}
