package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/provenance"
	"github.com/sello-release/sello/internal/trust"
)

// schemas are the described files by name.
var schemas = map[string]any{
	"sello":        &definition.Definition{},
	"release":      &definition.Release{},
	"trust":        &trust.Trust{},
	"dependencies": &deps.Policy{},
	"approval":     &deps.Approval{},
	"policy":       &provenance.Policy{},
}

const base = "https://github.com/sello-release/sello/raw/main/schema/"

func schemaOf(name string, value any, c comments) ([]byte, error) {
	r := &jsonschema.Reflector{
		FieldNameTag: "yaml", ExpandedStruct: true, LookupComment: c.lookUp,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == reflect.TypeFor[trust.Date]() {
				return &jsonschema.Schema{Type: "string"}
			}
			return nil
		},
	}
	s := r.Reflect(value)
	s.ID = jsonschema.ID(base + name + ".schema.json")
	s.Title = map[string]string{"sello": definition.FileName, "release": "releases/<version>.yaml", "trust": trust.FileName, "dependencies": deps.FileName, "approval": deps.Folder + "/<name>.yaml", "policy": "policy.yaml"}[name]
	if err := refine(name, s); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("encode schema %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// refine adds what the types cannot say.
func refine(name string, s *jsonschema.Schema) error {
	switch name {
	case "sello":
		env, ok := s.Definitions["Go"].Properties.Get("env")
		if !ok {
			return fmt.Errorf("refine schema: no env")
		}
		// CGO_ENABLED: 0 without quotes is text here, and a number for an editor.
		env.AdditionalProperties = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
		s.Definitions["Build"].Required = append(s.Definitions["Build"].Required, "go")
	case "trust":
		roles, ok := s.Properties.Get("roles")
		if !ok {
			return fmt.Errorf("refine schema: no roles")
		}
		roles.PropertyNames = &jsonschema.Schema{Enum: anys(trust.Roles)}
		roles.Required = []string{trust.RoleBuilder, trust.RoleManager}
		s.Definitions["Identity"].OneOf = []*jsonschema.Schema{{Required: []string{"key"}}, {Required: []string{"issuer", "subject"}}}
		identities, _ := s.Properties.Get("identities")
		identities.PropertyNames = &jsonschema.Schema{Pattern: `^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$`}
	}
	for _, d := range s.Definitions {
		defaults(d)
	}
	defaults(s)
	return nil
}

func anys(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

// defaults takes plain defaults from the comments, for editors.
func defaults(s *jsonschema.Schema) {
	if s.Properties == nil {
		return
	}
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		text := defaultOf(p.Value.Description)
		switch {
		case text == "" || strings.ContainsAny(text, " {"):
		case p.Value.Type == "boolean":
			p.Value.Default = text == "true"
		case p.Value.Type == "string" && text != "none" && text != "always" && text != "all":
			p.Value.Default = strings.Trim(text, `"`)
		}
	}
}
