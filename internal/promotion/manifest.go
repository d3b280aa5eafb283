package promotion

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/lazyregexp"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/strictyaml"
)

// Manifest lists what should be where.
type Manifest struct {
	Registries []Registry
	Images     []Image
}

// Registry is a place that images come from or go to: a host, perhaps with a path.
type Registry struct {
	Name           string `yaml:"name"`
	ServiceAccount string `yaml:"service-account,omitempty"` // kept, not used
	Src            bool   `yaml:"src,omitempty"`             // images come from here
}

// Image is a repository, by its path below each registry.
type Image struct {
	Name string `yaml:"name"`
	// Dmap maps digests (sha256:…) to tags; without tags, a digest is promoted without one.
	Dmap map[string][]string `yaml:"dmap,omitempty"`
}

// limits are for images.yaml of a project with hundreds of releases.
var limits = strictyaml.Limits{Size: 16 << 20, Nodes: 500_000}

type registriesFile struct {
	Registries []Registry `yaml:"registries"`
	ImagesPath string     `yaml:"imagesPath,omitempty"` // means nothing any more
}

type plainFile struct {
	Registries []Registry `yaml:"registries"`
	Images     []Image    `yaml:"images"`
}

// Read reads a plain manifest: registries and images in one file. name is for messages.
// Everything that is wrong is reported at once, with line and column.
func Read(name string, data []byte) (*Manifest, error) {
	var f plainFile
	doc, err := limits.Decode(name, data, &f)
	if doc == nil {
		return nil, err
	}
	checkRegistries(doc, f.Registries)
	checkImages(doc, "images", f.Images)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return &Manifest{f.Registries, f.Images}, nil
}

// ReadThin reads a thin manifest: promoter-manifest.yaml and images.yaml. A file of
// images that holds nothing lists none.
func ReadThin(registriesName string, registries []byte, imagesName string, images []byte) (*Manifest, error) {
	var f registriesFile
	doc, err := limits.Decode(registriesName, registries, &f)
	var wrong strictyaml.Errors
	if doc != nil {
		checkRegistries(doc, f.Registries)
		err = doc.Err()
	}
	if err != nil {
		wrong = append(wrong, err.(strictyaml.Errors)...) //nolint:errorlint // Decode promises this type
	}
	var list []Image
	doc, err = limits.Decode(imagesName, images, &list)
	if doc != nil {
		checkImages(doc, "", list)
		err = doc.Err()
	}
	if err != nil && gate.Code(err) != "yaml-empty" {
		wrong = append(wrong, err.(strictyaml.Errors)...) //nolint:errorlint // Decode promises this type
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return &Manifest{f.Registries, list}, nil
}

func checkRegistries(doc *strictyaml.Document, all []Registry) {
	seen := map[string]bool{}
	sources := 0
	for i, r := range all {
		path := fmt.Sprintf("registries[%d]", i)
		if _, err := registry.ParseReference(r.Name + "/x"); err != nil {
			doc.Refuse(path+".name", gate.Refusal{Code: "promotion-registries", What: "this is no registry", Expected: "host/path, as in registry.example/team", Actual: clip(r.Name)})
		}
		if seen[r.Name] {
			doc.Refuse(path+".name", gate.Refusal{Code: "promotion-registries", What: "the registry is there twice", Actual: clip(r.Name), Fix: "remove one of them"})
		}
		seen[r.Name] = true
		if r.Src {
			if sources++; sources > 1 {
				doc.Refuse(path+".src", gate.Refusal{Code: "promotion-registries", What: "there is more than one source", Expected: "one registry with src: true"})
			}
		}
	}
	if sources == 0 && doc.Err() != nil {
		return // what is wrong with a registry may be that it should be the source
	}
	if sources == 0 {
		doc.Refuse("registries", gate.Refusal{Code: "promotion-registries", What: "no registry is the source", Expected: "one registry with src: true"})
	} else if len(all) < 2 {
		doc.Refuse("registries", gate.Refusal{Code: "promotion-registries", What: "there is no registry to promote to", Expected: "one or more registries without src"})
	}
}

func checkImages(doc *strictyaml.Document, at string, all []Image) {
	seen := map[string]bool{}
	for i, image := range all {
		path := fmt.Sprintf("%s[%d]", at, i)
		if ref, err := registry.ParseReference("registry.example/" + image.Name); err != nil || ref.Repository != image.Name {
			doc.Refuse(path+".name", gate.Refusal{Code: "promotion-image", What: "this is no image's name", Expected: "a path below the registry, without tag and digest", Actual: clip(image.Name)})
		}
		if seen[image.Name] {
			doc.Refuse(path+".name", gate.Refusal{Code: "promotion-image", What: "the image is there twice", Actual: clip(image.Name), Fix: "merge the two"})
		}
		seen[image.Name] = true
		checkDigests(doc, path+".dmap", image)
	}
}

// tagName is a tag (distribution-spec v1.1, Pulling manifests).
var tagName = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

func checkDigests(doc *strictyaml.Document, path string, image Image) {
	tagged := map[string]string{}
	for _, d := range sortedDigests(image.Dmap) {
		if hex, ok := strings.CutPrefix(d, "sha256:"); !ok || !digest.IsSHA256(hex) {
			doc.Refuse(path+"."+d, gate.Refusal{Code: "promotion-digest", What: "this is no digest", Expected: "sha256: and 64 hex digits", Actual: clip(d)})
			continue
		}
		for i, tag := range image.Dmap[d] {
			where := fmt.Sprintf("%s.%s[%d]", path, d, i)
			if !tagName.MatchString(tag) {
				doc.Refuse(where, gate.Refusal{Code: "promotion-tag", What: "this is no tag", Expected: "letters, digits, and inside of it . _ -", Actual: clip(tag)})
			} else if other, ok := tagged[tag]; ok {
				doc.Refuse(where, gate.Refusal{Code: "promotion-tag", What: "the image has this tag twice", Actual: tag + " is also a tag of " + other, Fix: "leave it at one digest"})
			}
			tagged[tag] = d
		}
	}
}

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

// sortedDigests gives the digests in the order in which they are written: by their
// first tag, then by digest.
func sortedDigests(dmap map[string][]string) []string {
	first := func(d string) string {
		if len(dmap[d]) == 0 {
			return ""
		}
		return slices.Min(dmap[d])
	}
	return slices.SortedFunc(maps.Keys(dmap), func(a, b string) int {
		if c := strings.Compare(first(a), first(b)); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
}

// Source is the registry that images come from.
func (m *Manifest) Source() string {
	for _, r := range m.Registries {
		if r.Src {
			return r.Name
		}
	}
	return ""
}
