package strictyaml

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sello-release/sello/internal/gate"
)

// survey walks every node, known to the type or not: it notes positions and refuses the
// parts of YAML that are not for files like these. It never follows an alias.
func (d *Document) survey(path string, n *yaml.Node, depth int) {
	if !d.count(n) {
		return
	}
	d.at[path] = position{n.Line, n.Column}
	if r := checkNode(n, depth); r != nil {
		d.breakAt(path, n, r)
		if n.Kind == yaml.AliasNode || depth > MaxDepth {
			return
		}
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for i, c := range n.Content {
			if d.nodes >= d.maxNodes {
				return
			}
			d.survey(fmt.Sprintf("%s[%d]", path, i), c, depth+1)
		}
	case yaml.MappingNode:
		d.surveyMapping(path, n, depth)
	}
}

// count counts a value, and refuses the document when there are too many.
func (d *Document) count(n *yaml.Node) bool {
	if d.nodes++; d.nodes == d.maxNodes {
		d.breakAt("", n, &gate.Refusal{Code: "yaml-size", What: "the file has too many values", Expected: fmt.Sprintf("fewer than %d", d.maxNodes)})
	}
	return d.nodes < d.maxNodes
}

func (d *Document) surveyMapping(path string, n *yaml.Node, depth int) {
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content) && d.nodes < d.maxNodes; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if r := checkKey(key, depth); r != nil {
			d.breakAt(path, key, r)
			d.count(key)
			continue
		}
		if first, dup := seen[key.Value]; dup {
			d.add(position{key.Line, key.Column}, &gate.Refusal{Code: "yaml-duplicate-key",
				What: fmt.Sprintf("key %q is there twice", key.Value), Actual: fmt.Sprintf("the first one in line %d", first.Line),
				Fix: "remove one of them"})
			d.count(key)
			continue
		}
		seen[key.Value] = key
		d.survey(join(path, key.Value), value, depth+1)
	}
}

// breakAt adds a refusal and keeps consequences of it from being reported.
func (d *Document) breakAt(path string, n *yaml.Node, r *gate.Refusal) {
	d.broken[path] = true
	d.add(position{n.Line, n.Column}, r)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// checkNode refuses what no value may be or have.
func checkNode(n *yaml.Node, depth int) *gate.Refusal {
	switch {
	case depth > MaxDepth:
		return &gate.Refusal{Code: "yaml-depth", What: "values are nested too deeply", Expected: fmt.Sprintf("at most %d levels", MaxDepth)}
	case n.Kind == yaml.AliasNode:
		return &gate.Refusal{Code: "yaml-alias", What: "aliases are not allowed", Actual: "*" + clip(n.Value), Fix: "write the value out"}
	case n.Anchor != "":
		return &gate.Refusal{Code: "yaml-alias", What: "anchors are not allowed", Actual: "&" + clip(n.Anchor), Fix: "remove the anchor"}
	case n.Style&yaml.TaggedStyle != 0:
		return &gate.Refusal{Code: "yaml-tag", What: "tags are not allowed", Actual: clip(n.Tag), Fix: "remove the tag; quote the value if it is text"}
	case n.Kind == yaml.ScalarNode:
		if bad := checkValue(n.Value); bad != "" {
			return &gate.Refusal{Code: "yaml-encoding", What: "the value has a character that does not belong in it", Actual: bad}
		}
	}
	return nil
}

func checkKey(key *yaml.Node, depth int) *gate.Refusal {
	switch {
	case key.Kind == yaml.ScalarNode && key.Tag == "!!merge":
		return &gate.Refusal{Code: "yaml-alias", What: "merge keys are not allowed", Actual: "<<", Fix: "write the keys out"}
	case key.Kind == yaml.ScalarNode && key.Value == "":
		return &gate.Refusal{Code: "yaml-type", What: "a key must be a word", Actual: "nothing"}
	case key.Kind == yaml.MappingNode || key.Kind == yaml.SequenceNode:
		return &gate.Refusal{Code: "yaml-type", What: "a key must be a word", Actual: kind(key)}
	}
	if len(key.Value) > MaxKey {
		return &gate.Refusal{Code: "yaml-size", What: "the key is too long", Expected: fmt.Sprintf("at most %d bytes", MaxKey)}
	}
	return checkNode(key, depth)
}

// kind says in a user's words what a node is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	if isNull(n) {
		return "nothing"
	}
	names := map[string]string{"!!bool": "the bool ", "!!int": "the number ", "!!float": "the number "}
	if name, ok := names[n.Tag]; ok && n.Style == 0 {
		return name + clip(n.Value)
	}
	return fmt.Sprintf("the text %q", clip(n.Value))
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Style == 0 && n.Tag == "!!null" }

// clip keeps hostile text out of messages in bulk.
func clip(s string) string {
	s, _, cut := strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 60 {
		s, cut = string(r[:60]), true
	}
	if cut {
		s += "…"
	}
	return s
}
