package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// fields are the members of a JSON object that are read, by exact name. A value is a
// pointer for encoding/json, or a function for objects within it. Members of other names
// are ignored, unless a reader that does not mind case would take them for one of these.
type fields map[string]any

func (f fields) decode(data []byte) error {
	members, err := strictjson.Object(data)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		to, ok := f[name]
		if !ok {
			for known := range f {
				if strings.EqualFold(known, name) {
					return fmt.Errorf("%q, which some read as %q", name, known)
				}
			}
			continue
		}
		if inner, ok := to.(func(json.RawMessage) error); ok {
			err = inner(members[name])
		} else {
			err = json.Unmarshal(members[name], to)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// object decodes one object, or nothing for null.
func object(f fields) func(json.RawMessage) error {
	return func(data json.RawMessage) error {
		if string(data) == "null" {
			return nil
		}
		return f.decode(data)
	}
}

// list decodes an array of at most limit objects.
func list[T any](to *[]T, limit int, of func(*T) fields) func(json.RawMessage) error {
	return func(data json.RawMessage) error {
		var raw []json.RawMessage
		if err := json.Unmarshal(data, &raw); err != nil {
			return err
		}
		if len(raw) > limit {
			return &gate.Refusal{Code: CodeTooLarge, What: "a list in a document of an image is too long",
				Expected: fmt.Sprintf("at most %d entries", limit), Actual: fmt.Sprint(len(raw)), Fix: "use another image"}
		}
		*to = make([]T, len(raw))
		for i := range raw {
			if err := of(&(*to)[i]).decode(raw[i]); err != nil {
				return fmt.Errorf("entry %d: %w", i, err)
			}
		}
		return nil
	}
}

func descriptorFields(d *ocispec.Descriptor) fields {
	return fields{"mediaType": &d.MediaType, "digest": &d.Digest, "size": &d.Size, "artifactType": &d.ArtifactType, "annotations": &d.Annotations,
		"platform": func(data json.RawMessage) error {
			if string(data) == "null" {
				return nil
			}
			d.Platform = &ocispec.Platform{}
			return platformFields(d.Platform).decode(data)
		}}
}

func platformFields(p *ocispec.Platform) fields {
	return fields{"architecture": &p.Architecture, "os": &p.OS, "variant": &p.Variant, "os.version": &p.OSVersion, "os.features": &p.OSFeatures}
}

// document is a manifest or an index.
type document struct {
	mediaType string // in OCI's words
	config    ocispec.Descriptor
	layers    []ocispec.Descriptor
	manifests []ocispec.Descriptor
}

func (d *document) isIndex() bool { return d.mediaType == ocispec.MediaTypeImageIndex }

// parseDocument reads a manifest or an index that was fetched as mediaType.
func parseDocument(data []byte, mediaType string) (*document, error) {
	if err := strictjson.Check(data); err != nil {
		return nil, err
	}
	d, version, own := &document{}, 0, ""
	var has struct{ config, layers, manifests, fsLayers bool }
	mark := func(b *bool, then func(json.RawMessage) error) func(json.RawMessage) error {
		return func(data json.RawMessage) error { *b = true; return then(data) }
	}
	err := fields{"schemaVersion": &version, "mediaType": &own,
		"config":    mark(&has.config, object(descriptorFields(&d.config))),
		"layers":    mark(&has.layers, list(&d.layers, maxLayers, descriptorFields)),
		"manifests": mark(&has.manifests, list(&d.manifests, maxListed, descriptorFields)),
		"fsLayers":  mark(&has.fsLayers, func(json.RawMessage) error { return nil }),
	}.decode(data)
	if err != nil {
		return nil, err
	}
	if own != "" && own != mediaType {
		return nil, fmt.Errorf("media type %.200q in the document, %.200q where it is named", own, mediaType)
	}
	if version != 2 {
		return nil, unsupported("schema version", fmt.Sprint(version), "2")
	}
	switch mediaType {
	case ocispec.MediaTypeImageIndex, dockerIndex:
		d.mediaType = ocispec.MediaTypeImageIndex
		if has.config || has.layers || has.fsLayers || !has.manifests {
			return nil, errors.New("an index that could be read as a manifest, or lists nothing")
		}
	case ocispec.MediaTypeImageManifest, dockerManifest:
		d.mediaType = ocispec.MediaTypeImageManifest
		if has.manifests || has.fsLayers || !has.config || !has.layers {
			return nil, errors.New("a manifest without config and layers, or one that could be read as an index")
		}
	default:
		return nil, unsupported("media type of the image", mediaType, ocispec.MediaTypeImageIndex+" or "+ocispec.MediaTypeImageManifest)
	}
	return d, d.check()
}

func (d *document) check() error {
	all := slices.Concat(d.manifests, d.layers)
	if !d.isIndex() {
		all = append(all, d.config)
	}
	for _, desc := range all {
		if err := checkDescriptor(desc); err != nil {
			return err
		}
	}
	return nil
}

// layerTypes gives, for each media type that is read, its OCI counterpart.
var layerTypes = map[string]string{
	ocispec.MediaTypeImageLayer: ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip: ocispec.MediaTypeImageLayerGzip,
	ocispec.MediaTypeImageLayerZstd: ocispec.MediaTypeImageLayerZstd,
	dockerLayer:                     ocispec.MediaTypeImageLayer, dockerLayerGzip: ocispec.MediaTypeImageLayerGzip, dockerLayerZstd: ocispec.MediaTypeImageLayerZstd,
}

// config is an image's configuration as far as it is used.
type config struct {
	platform ocispec.Platform
	config   ocispec.ImageConfig
	diffIDs  []digest.Digest
	history  []ocispec.History
}

func parseConfig(data []byte) (*config, error) {
	if err := strictjson.Check(data); err != nil {
		return nil, err
	}
	c, kind := &config{}, ""
	run := &c.config
	top := platformFields(&c.platform)
	top["config"] = object(fields{"User": &run.User, "ExposedPorts": &run.ExposedPorts, "Env": &run.Env, "Entrypoint": &run.Entrypoint,
		"Cmd": &run.Cmd, "Volumes": &run.Volumes, "WorkingDir": &run.WorkingDir, "Labels": &run.Labels, "StopSignal": &run.StopSignal})
	top["rootfs"] = object(fields{"type": &kind, "diff_ids": &c.diffIDs})
	top["history"] = list(&c.history, 10*maxLayers, func(h *ocispec.History) fields {
		return fields{"created": &h.Created, "created_by": &h.CreatedBy, "author": &h.Author, "comment": &h.Comment, "empty_layer": &h.EmptyLayer}
	})
	if err := top.decode(data); err != nil {
		return nil, err
	}
	if kind != "layers" {
		return nil, fmt.Errorf("rootfs of type %.100q instead of layers", kind)
	}
	for _, d := range c.diffIDs {
		if err := checkDigest(d); err != nil {
			return nil, err
		}
	}
	if c.platform.OS == "" || c.platform.Architecture == "" {
		return nil, errors.New("no os and architecture")
	}
	return c, nil
}
