package provenance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
)

// maxParameters bounds the parameters of one build.
const maxParameters = 4096

var plainName = regexp.MustCompile(`^[A-Za-z0-9_:/-]+$`)

// under gives the name of a member; a name that could be read in two ways is quoted.
func under(prefix, name string) string {
	if !plainName.MatchString(name) {
		name = strconv.Quote(name)
	}
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// add adds a value under a name, each member of an object by itself. Unset, null and empty are the same and add nothing
// (SLSA v1.2, Build: Provenance).
func (p *Provenance) add(name string, raw json.RawMessage) error {
	raw = bytes.TrimSpace(raw)
	var text string
	switch {
	case len(raw) == 0:
		return nil
	case raw[0] == '{':
		return p.addAll(name, raw)
	case raw[0] == '"':
		if err := json.Unmarshal(raw, &text); err != nil {
			return badJSON(err)
		}
	default:
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			return badJSON(err)
		}
		text = compact.String()
	}
	if text == "" || text == "null" || text == "[]" {
		return nil
	}
	if len(p.Parameters) >= maxParameters {
		return badJSON(fmt.Errorf("more than %d parameters", maxParameters))
	}
	if old, twice := p.Parameters[name]; twice && old != text {
		return badJSON(fmt.Errorf("parameter %.100q twice", name))
	}
	p.Parameters[name] = text
	return nil
}

// addAll adds the members of an object but those named.
func (p *Provenance) addAll(prefix string, raw json.RawMessage, but ...string) error {
	m := object{}
	if err := unmarshal(raw, &m); err != nil {
		return err
	}
	return p.addMembers(prefix, m, but...)
}

func (p *Provenance) addMembers(prefix string, m object, but ...string) error {
	for name, value := range m.without(but...) {
		if err := p.add(under(prefix, name), value); err != nil {
			return err
		}
	}
	return nil
}

// object is a JSON object whose members are not looked into yet.
type object map[string]json.RawMessage

func (o object) without(names ...string) object {
	out := object{}
	for k, v := range o {
		out[k] = v
	}
	for _, n := range names {
		delete(out, n)
	}
	return out
}

// text gives a member that is text; "" when it is anything else.
func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o[name], &s) != nil {
		return ""
	}
	return s
}

// object gives a member that is an object; empty when it is anything else.
func (o object) object(name string) object {
	m := object{}
	if json.Unmarshal(o[name], &m) != nil {
		return object{}
	}
	return m
}

// material gives a member that describes a resource.
func (o object) material(name string) Material {
	m := Material{}
	if json.Unmarshal(o[name], &m) != nil {
		return Material{}
	}
	return m
}
