package registrytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
)

// Memory is a registry.Source in memory. It gives what was put into it, true or not.
type Memory struct {
	mu        sync.Mutex
	content   map[digest.Digest][]byte
	referrers map[digest.Digest][]ocispec.Descriptor
	fetched   int
}

// NewMemory makes an empty source.
func NewMemory() *Memory {
	return &Memory{content: map[digest.Digest][]byte{}, referrers: map[digest.Digest][]ocispec.Descriptor{}}
}

// Add puts content there and describes it.
func (m *Memory) Add(mediaType string, data []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	m.Lie(d.Digest, data)
	return d
}

// AddJSON is Add of v as JSON.
func (m *Memory) AddJSON(mediaType string, v any) ocispec.Descriptor {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return m.Add(mediaType, data)
}

// Lie puts other content under a digest.
func (m *Memory) Lie(d digest.Digest, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.content[d] = data
}

// Attach lists referrer as attached to subject.
func (m *Memory) Attach(subject, referrer ocispec.Descriptor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.referrers[subject.Digest] = append(m.referrers[subject.Digest], referrer)
}

// Fetched says how often content was opened.
func (m *Memory) Fetched() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fetched
}

// Fetch implements registry.Source.
func (m *Memory) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fetched++
	data, ok := m.content[desc.Digest]
	if !ok {
		return nil, &gate.Refusal{Code: "image-missing", What: "not in memory", Where: desc.Digest.String()}
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Exists implements registry.Source.
func (m *Memory) Exists(_ context.Context, desc ocispec.Descriptor) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.content[desc.Digest]
	return ok, nil
}

// Referrers implements registry.Source.
func (m *Memory) Referrers(_ context.Context, desc ocispec.Descriptor, artifactType string) ([]ocispec.Descriptor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.referrers[desc.Digest]), func(d ocispec.Descriptor) bool {
		return artifactType != "" && d.ArtifactType != artifactType
	}), nil
}

// Spec says what image to make.
type Spec struct {
	Seed      uint64
	Version   string   // annotation of the index
	Platforms []string // architectures; amd64 and arm64 by default
	Layers    int      // layers of each platform; 2 by default
	Size      int      // bytes of a layer; 1000 by default
	Shared    bool     // the first layer is the same for every platform and every seed
	Attested  bool     // the index and each platform's manifest have two referrers
}

// Image puts an image into m and gives its index.
func (m *Memory) Image(t testing.TB, s Spec) ocispec.Descriptor {
	t.Helper()
	if s.Platforms == nil {
		s.Platforms = []string{"amd64", "arm64"}
	}
	s.Layers, s.Size = max(s.Layers, 2), max(s.Size, 1000)
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	if s.Version != "" {
		index.Annotations = map[string]string{ocispec.AnnotationVersion: s.Version}
	}
	for i, arch := range s.Platforms {
		manifest := m.platform(s, uint64(i), arch)
		if s.Attested {
			m.attest(manifest)
		}
		manifest.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		index.Manifests = append(index.Manifests, manifest)
	}
	root := m.AddJSON(ocispec.MediaTypeImageIndex, index)
	if s.Attested {
		m.attest(root)
	}
	return root
}

func (m *Memory) platform(s Spec, n uint64, arch string) ocispec.Descriptor {
	image := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: arch}, RootFS: ocispec.RootFS{Type: "layers"}}
	for l := range s.Layers {
		seed := s.Seed<<32 | n<<16 | uint64(l)
		if s.Shared && l == 0 {
			seed = 1 << 63
		}
		layer := m.Add(ocispec.MediaTypeImageLayer, Bytes(seed, s.Size))
		image.Layers = append(image.Layers, layer)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
		config.History = append(config.History, ocispec.History{CreatedBy: fmt.Sprint("layer ", l)})
	}
	image.Config = m.AddJSON(ocispec.MediaTypeImageConfig, config)
	return m.AddJSON(ocispec.MediaTypeImageManifest, image)
}

// BundleType is the artifact type of Sigstore bundles.
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

func (m *Memory) attest(subject ocispec.Descriptor) {
	for _, kind := range []string{"provenance", "sbom"} {
		d := m.Referrer(subject, BundleType, fmt.Appendf(nil, `{"%s":%q}`, kind, subject.Digest))
		m.Attach(subject, d)
	}
}

// Referrer puts an artifact into m whose subject is subject, without listing it.
func (m *Memory) Referrer(subject ocispec.Descriptor, artifactType string, content []byte) ocispec.Descriptor {
	subject = ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	d := m.AddJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType,
		Config:  m.Add(ocispec.MediaTypeEmptyJSON, []byte("{}")),
		Layers:  []ocispec.Descriptor{m.Add(artifactType, content)},
		Subject: &subject,
	})
	d.ArtifactType = artifactType
	return d
}

// Bytes gives n bytes that look random and are the same for the same seed.
func Bytes(seed uint64, n int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}
