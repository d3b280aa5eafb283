package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/strictyaml"
)

// Pinned is a base image whose digest was written into the definition.
type Pinned struct {
	Where string `json:"where"` // sello.yaml:12:11
	From  string `json:"from"`  // as it was written
	To    string `json:"to"`    // registry/repository@sha256:…
}

// Pin asks registries for the digests of the images that the definition in the working tree names by a tag, and writes them there
// in the place of the tags; all of them, or none when there is one that no digest is found for. Everything else in the file stays as it is.
func (p *Project) Pin(ctx context.Context) ([]Pinned, error) {
	file := filepath.Join(p.Repo.Root(), definition.FileName)
	data, err := readLimited(file)
	if err != nil {
		return nil, missing(definition.FileName, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		_, err = definition.Parse(definition.FileName, data) // says it better
		return nil, err
	}
	var done []Pinned
	var wrong []error
	lines := bytes.SplitAfter(data, []byte("\n"))
	for _, n := range imageNodes(&doc) {
		if _, _, pinned := definition.ParseBase(n.Value); pinned {
			continue
		}
		where := fmt.Sprintf("%s:%d:%d", definition.FileName, n.Line, n.Column)
		to, err := p.digestOf(ctx, n.Value)
		if err != nil {
			wrong = append(wrong, notPinned(where, n.Value, err))
			continue
		}
		line := lines[n.Line-1]
		at := bytes.Index(line[min(n.Column-1, len(line)):], []byte(n.Value))
		if at < 0 {
			return nil, fmt.Errorf("pin %s: line %d of %s does not hold it as it is", n.Value, n.Line, definition.FileName)
		}
		at += n.Column - 1
		rest := append([]byte(to), line[at+len(n.Value):]...)
		lines[n.Line-1] = append(line[:at:at], rest...)
		done = append(done, Pinned{Where: where, From: n.Value, To: to})
	}
	if err := errors.Join(wrong...); err != nil || len(done) == 0 {
		return nil, err
	}
	return done, writeFile(file, bytes.Join(lines, nil))
}

// notPinned says where in the definition the image stands that no digest was found for.
func notPinned(where, reference string, err error) error {
	var r *gate.Refusal
	if !errors.As(err, &r) {
		return fmt.Errorf("%s: pin %s: %w", where, reference, err)
	}
	at := *r
	at.Where = where
	if at.Actual == "" {
		at.Actual = reference
	}
	if full := definition.Qualified(reference); full != "" {
		at.Fix = "write " + full + ", with its registry"
	}
	return &at
}

// imageNodes finds the images that a definition names: images[].base and builds[].run.root.
func imageNodes(doc *yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	if len(doc.Content) == 0 {
		return nil
	}
	for _, i := range list(child(doc.Content[0], "images")) {
		if base := child(i, "base"); base != nil && base.Kind == yaml.ScalarNode && base.Value != "" {
			out = append(out, base)
		}
	}
	for _, b := range list(child(doc.Content[0], "builds")) {
		if root := child(child(b, "run"), "root"); root != nil && root.Kind == yaml.ScalarNode && root.Value != "" {
			out = append(out, root)
		}
	}
	return out
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func list(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// digestOf asks the registry which image a tag names now, and gives repository@sha256:….
func (p *Project) digestOf(ctx context.Context, reference string) (string, error) {
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return "", err
	}
	repo, err := registry.Open(ref.Name(), p.Registry)
	if err != nil {
		return "", err
	}
	desc, err := repo.Resolve(ctx, ref.Target())
	if err != nil {
		return "", err
	}
	return ref.Name() + "@" + desc.Digest.String(), nil
}

// askTime bounds what checking a definition waits for a registry.
const askTime = 10 * time.Second

// withDigests tells, of each image that is named by a tag, the digest to write, where the registry answers.
func (p *Project) withDigests(ctx context.Context, err error) error {
	var all strictyaml.Errors
	if !errors.As(err, &all) {
		return err
	}
	for _, r := range all {
		if r.Code != "definition-image-base" {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, askTime)
		o := p.Registry
		o.Attempts = 1
		asked := *p
		asked.Registry = o
		if to, err := asked.digestOf(ctx, strings.Trim(r.Actual, `"`)); err == nil {
			r.Fix = "write " + to + ", or let sello pin write it"
		} else if gate.Code(err) == "image-missing" {
			r.Fix = "the registry has no such image: correct the name"
		}
		cancel()
	}
	return all
}
