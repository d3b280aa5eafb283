package registry

import (
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// Limits on hostile content.
const (
	MaxManifest = 4 << 20   // bytes of a manifest, of an index and of a list of referrers
	MaxBlob     = 256 << 30 // bytes of a layer
	MaxChildren = 10_000    // manifests that an index names, or layers of an image
	MaxDepth    = 5         // indexes in indexes, or referrers of referrers
)

// Docker's media types, which registries and base images still use.
const (
	MediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// IsIndex reports whether content of this media type names manifests.
func IsIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == MediaTypeDockerIndex
}

// IsManifest reports whether content of this media type is an image's manifest or an index.
func IsManifest(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == MediaTypeDockerManifest || IsIndex(mediaType)
}

// Manifest is what copying and verifying need of a manifest or an index.
type Manifest struct {
	MediaType    string
	ArtifactType string // of an image manifest without one: its config's media type
	Subject      *ocispec.Descriptor
	Annotations  map[string]string
	Blobs        []ocispec.Descriptor // of an image: the config, then the layers
	Manifests    []ocispec.Descriptor // of an index
}

// wire is a manifest or an index as it is written.
type wire struct {
	SchemaVersion int                   `json:"schemaVersion"`
	MediaType     string                `json:"mediaType"`
	ArtifactType  string                `json:"artifactType"`
	Config        *ocispec.Descriptor   `json:"config"`
	Layers        []ocispec.Descriptor  `json:"layers"`
	Manifests     *[]ocispec.Descriptor `json:"manifests"`
	Subject       *ocispec.Descriptor   `json:"subject"`
	Annotations   map[string]string     `json:"annotations"`
}

// ParseManifest reads the manifest or index data, which desc describes. What could be
// read in two ways is manifest-invalid: keys that are there twice, another media type
// inside than outside, layers and manifests in one document.
func ParseManifest(desc ocispec.Descriptor, data []byte) (*Manifest, error) {
	m, why := parseManifest(desc, data)
	if why == "" {
		for _, d := range m.Manifests {
			if d.Digest == desc.Digest {
				return nil, loop(desc.Digest)
			}
			if d.Size > MaxManifest {
				return nil, tooLarge(d.Digest.String())
			}
		}
		return m, nil
	}
	return nil, &gate.Refusal{Code: "manifest-invalid", What: "this is no image manifest that can be trusted: " + printable(why),
		Where: desc.Digest.String(), Fix: "build the image again, or ask its publisher"}
}

func parseManifest(desc ocispec.Descriptor, data []byte) (*Manifest, string) {
	var w wire
	if err := strictjson.Unmarshal(data, &w); err != nil {
		return nil, err.Error()
	}
	switch {
	case w.SchemaVersion != 2:
		return nil, fmt.Sprintf("schema version %d", w.SchemaVersion)
	case !IsManifest(desc.MediaType):
		return nil, fmt.Sprintf("media type %q", desc.MediaType)
	case w.MediaType != "" && w.MediaType != desc.MediaType:
		return nil, fmt.Sprintf("it says that it is %q and is served as %q", w.MediaType, desc.MediaType)
	case IsIndex(desc.MediaType) != (w.Manifests != nil) || IsIndex(desc.MediaType) == (w.Config != nil) || IsIndex(desc.MediaType) && w.Layers != nil:
		return nil, "its fields are not those of its media type"
	}
	m := &Manifest{MediaType: desc.MediaType, ArtifactType: w.ArtifactType, Subject: w.Subject, Annotations: w.Annotations}
	if w.Manifests != nil {
		m.Manifests = *w.Manifests
	} else {
		m.Blobs = append([]ocispec.Descriptor{*w.Config}, w.Layers...)
		if m.ArtifactType == "" {
			m.ArtifactType = w.Config.MediaType
		}
	}
	if why := badDescriptors(m); why != "" {
		return nil, why
	}
	return m, ""
}

func badDescriptors(m *Manifest) string {
	if n := len(m.Blobs) + len(m.Manifests); n > MaxChildren {
		return fmt.Sprintf("it names %d parts; %d are allowed", n, MaxChildren)
	}
	if m.Subject != nil {
		if why := badDescriptor(*m.Subject, MaxManifest); why != "" {
			return "its subject: " + why
		}
	}
	for _, d := range m.Manifests {
		if !IsManifest(d.MediaType) {
			return fmt.Sprintf("it names a manifest of media type %q", d.MediaType)
		}
		if why := badDescriptor(d, MaxBlob); why != "" { // ParseManifest says more of what is too large
			return why
		}
	}
	for _, d := range m.Blobs {
		if IsManifest(d.MediaType) {
			return "it names a manifest where a blob belongs"
		}
		if why := badDescriptor(d, MaxBlob); why != "" {
			return why
		}
	}
	return ""
}

func badDescriptor(d ocispec.Descriptor, limit int64) string {
	switch {
	case !sha256Digest.MatchString(d.Digest.String()):
		return "a digest in it is no sha256 digest"
	case d.Size < 0 || d.Size > limit:
		return fmt.Sprintf("%s has %d bytes; at most %d are allowed", d.Digest, d.Size, limit)
	}
	return ""
}

func loop(d digest.Digest) error {
	return &gate.Refusal{Code: "image-index-loop", What: "the index names itself, or indexes are nested too deeply", Where: d.String(),
		Expected: fmt.Sprintf("at most %d levels", MaxDepth), Fix: "do not use this image; ask its publisher"}
}

func tooLarge(where string) error {
	return &gate.Refusal{Code: "manifest-too-large", What: "the manifest is too large", Where: where,
		Expected: fmt.Sprintf("at most %d bytes", MaxManifest), Fix: "do not use this image; ask its publisher"}
}

// checkContent compares data with what desc says of it.
func checkContent(where string, desc ocispec.Descriptor, data []byte) error {
	got := digest.FromBytes(data)
	if got == desc.Digest && int64(len(data)) == desc.Size {
		return nil
	}
	if got != desc.Digest && IsIndex(desc.MediaType) && strings.Contains(string(data), desc.Digest.String()) {
		return loop(desc.Digest)
	}
	return mismatch(where, describe(desc), fmt.Sprintf("%s (%d bytes)", got, len(data)))
}

func describe(d ocispec.Descriptor) string { return fmt.Sprintf("%s (%d bytes)", d.Digest, d.Size) }
