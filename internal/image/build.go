package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

// Spec says what an image for one platform consists of.
type Spec struct {
	Platform definition.Platform
	// Base is what the image is built upon; nil is scratch. Its user, environment, working directory, labels, ports, volumes
	// and stop signal are kept unless they are set here, its command line unless Entrypoint is set here.
	Base *Base
	// Layers come above the base's, lowest first.
	Layers []AddedLayer
	// User is a name or number, with :group if need be; "" is the base's.
	User            string
	Entrypoint, Cmd []string
	Env             map[string]string
	Labels          map[string]string
	WorkingDir      string
	// Created is in whole seconds of UTC, the same in the configuration and its history.
	Created time.Time
	// Annotations of the manifest.
	Annotations map[string]string
}

// AddedLayer is a layer with what the image's history says of it.
type AddedLayer struct {
	LayerDesc
	CreatedBy string
}

// Built is an image for one platform.
type Built struct {
	// Manifest has its platform filled in, as an index needs it.
	Manifest, Config ocispec.Descriptor
	// Layers of the base and the own ones.
	Layers []ocispec.Descriptor
}

// Build writes the configuration and the manifest into blobs. The layers' blobs need not be there yet.
func Build(ctx context.Context, blobs *Blobs, s Spec) (Built, error) {
	img, err := s.image()
	if err != nil {
		return Built{}, fmt.Errorf("build image: %w", err)
	}
	var out Built
	if s.Base != nil {
		out.Layers = append(out.Layers, s.Base.content.layers...)
	}
	for _, l := range s.Layers {
		out.Layers = append(out.Layers, l.Descriptor)
	}
	if out.Config, err = putJSON(ctx, blobs, ocispec.MediaTypeImageConfig, img); err != nil {
		return Built{}, fmt.Errorf("build image: %w", err)
	}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: out.Config, Layers: slices.Concat([]ocispec.Descriptor{}, out.Layers), Annotations: s.Annotations}
	if out.Manifest, err = putJSON(ctx, blobs, ocispec.MediaTypeImageManifest, manifest); err != nil {
		return Built{}, fmt.Errorf("build image: %w", err)
	}
	out.Manifest.Platform = &img.Platform
	return out, nil
}

// image gives the configuration: the base's, with what s sets.
func (s Spec) image() (*ocispec.Image, error) {
	if s.Created.IsZero() || s.Platform.OS == "" || s.Platform.Arch == "" {
		return nil, errors.New("no time or no platform given")
	}
	created := s.Created.UTC().Truncate(time.Second)
	img := &ocispec.Image{Created: &created, Platform: Platform(s.Platform), RootFS: ocispec.RootFS{Type: "layers"}}
	if b := s.Base; b != nil {
		if fit(img.Platform, inherit(b.Platform, b.Manifest.Platform)) == 0 {
			return nil, fmt.Errorf("the base is for %s, the image for %s", platformName(b.Platform), platformName(img.Platform))
		}
		c := b.content.config
		img.OSVersion, img.OSFeatures = c.platform.OSVersion, c.platform.OSFeatures
		img.Config, img.History, img.RootFS.DiffIDs = c.config, c.baseHistory(), slices.Clone(c.diffIDs)
	}
	for _, l := range s.Layers {
		img.RootFS.DiffIDs = append(img.RootFS.DiffIDs, l.DiffID)
		img.History = append(img.History, ocispec.History{Created: &created, CreatedBy: l.CreatedBy})
	}
	if n := len(img.RootFS.DiffIDs); n == 0 || n > maxLayers {
		return nil, fmt.Errorf("%d layers, not 1 to %d", n, maxLayers)
	}
	return img, s.configure(&img.Config)
}

func (s Spec) configure(c *ocispec.ImageConfig) error {
	if s.User != "" {
		c.User = s.User
	}
	if s.WorkingDir != "" {
		c.WorkingDir = s.WorkingDir
	}
	if s.Entrypoint != nil { // the base's arguments are for the base's program
		c.Entrypoint, c.Cmd = s.Entrypoint, nil
	}
	if s.Cmd != nil {
		c.Cmd = s.Cmd
	}
	if len(s.Labels) > 0 {
		c.Labels = maps.Clone(c.Labels)
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		maps.Copy(c.Labels, s.Labels)
	}
	var err error
	c.Env, err = mergeEnv(c.Env, s.Env)
	return err
}

// mergeEnv keeps the base's order, puts new values in the place of old ones, and adds the others sorted.
func mergeEnv(base []string, set map[string]string) ([]string, error) {
	out, seen := []string{}, map[string]bool{}
	for _, e := range base {
		name, _, _ := strings.Cut(e, "=")
		v, replaced := set[name]
		if replaced {
			e = name + "=" + v
		}
		if !replaced || !seen[name] {
			out = append(out, e)
		}
		seen[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(set[name], "\x00") {
			return nil, fmt.Errorf("environment variable %q cannot be set", name)
		}
		if !seen[name] {
			out = append(out, name+"="+set[name])
		}
	}
	return out, nil
}

// baseHistory gives the base's history, or one that fits its layers when its own does not.
func (c *config) baseHistory() []ocispec.History {
	n := 0
	for _, h := range c.history {
		if !h.EmptyLayer {
			n++
		}
	}
	if n == len(c.diffIDs) {
		return slices.Clone(c.history)
	}
	return slices.Repeat([]ocispec.History{{Comment: "layer of the base image"}}, len(c.diffIDs))
}

// Index writes the index of the manifests, in their order. Each has its platform filled in, as Build gives it.
func Index(ctx context.Context, blobs *Blobs, manifests []ocispec.Descriptor, annotations map[string]string) (ocispec.Descriptor, error) {
	seen := map[string]bool{}
	for _, m := range manifests {
		if m.Platform == nil || checkDescriptor(m) != nil {
			return ocispec.Descriptor{}, fmt.Errorf("make index: manifest %q without platform or digest", m.Digest)
		}
		name := platformName(*m.Platform) + " " + m.Platform.OSVersion
		if seen[name] {
			return ocispec.Descriptor{}, &gate.Refusal{Code: CodePlatformTwice, Class: gate.Usage, What: "an image has two manifests for one platform",
				Where: m.Digest.String(), Actual: platformName(*m.Platform), Fix: "name each platform once"}
		}
		seen[name] = true
	}
	desc, err := putJSON(ctx, blobs, ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex, Manifests: slices.Concat([]ocispec.Descriptor{}, manifests), Annotations: annotations})
	if err != nil {
		return desc, fmt.Errorf("make index: %w", err)
	}
	return desc, nil
}

// putJSON writes v as JSON: members in the order of the type, maps sorted, no white space.
func putJSON(ctx context.Context, blobs *Blobs, mediaType string, v any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return blobs.Put(ctx, mediaType, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
