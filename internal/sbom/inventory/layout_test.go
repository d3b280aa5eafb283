package inventory_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/sbom/inventory"
)

// layout writes an OCI image layout piece by piece.
type layout struct {
	t   testing.TB
	dir string
}

func newLayout(t testing.TB) *layout {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return &layout{t, dir}
}

func (l *layout) blob(mediaType string, data []byte) ocispec.Descriptor {
	l.t.Helper()
	sum := sha256.Sum256(data)
	name := hex.EncodeToString(sum[:])
	if err := os.WriteFile(filepath.Join(l.dir, "blobs", "sha256", name), data, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.NewDigestFromEncoded("sha256", name), Size: int64(len(data))}
}

func (l *layout) json(mediaType string, v any) ocispec.Descriptor {
	data, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.blob(mediaType, data)
}

// image writes an image of tar archives, the first one as tar, the others with gzip and zstd in turn.
func (l *layout) image(arch string, annotations map[string]string, layers ...string) ocispec.Descriptor {
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: arch}, RootFS: ocispec.RootFS{Type: "layers"}}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Annotations: annotations}
	for i, plain := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromString(plain))
		var b bytes.Buffer
		mediaType := ocispec.MediaTypeImageLayer
		switch i % 3 {
		case 0:
			b.WriteString(plain)
		case 1:
			mediaType = ocispec.MediaTypeImageLayerGzip
			w := gzip.NewWriter(&b)
			_, _ = w.Write([]byte(plain))
			w.Close()
		case 2:
			mediaType = ocispec.MediaTypeImageLayerZstd
			w, _ := zstd.NewWriter(&b)
			_, _ = w.Write([]byte(plain))
			w.Close()
		}
		m.Layers = append(m.Layers, l.blob(mediaType, b.Bytes()))
	}
	m.Config = l.json(ocispec.MediaTypeImageConfig, config)
	return l.json(ocispec.MediaTypeImageManifest, m)
}

func (l *layout) index(roots ...ocispec.Descriptor) {
	data, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: roots})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "index.json"), data, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func layers(t testing.TB) []string {
	return []string{
		tarOf(t, member{"etc/os-release", "ID=debian\nVERSION_ID=12\n"}, member{"var/lib/dpkg/status", "Package: old\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n"},
			member{"usr/bin/tool", program(buildInfo)}, member{"opt/a/x", "1"}, member{"opt/b", "2"}, member{"srv/deep/er/y", "3"}),
		tarOf(t, member{"var/lib/dpkg/status", "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\nArchitecture: amd64\n"}, member{"opt/.wh.b", ""}, member{"srv/.wh..wh..opq", ""},
			member{"srv/new", "4"}),
		tarOf(t, member{"opt/a", "a file where a folder was"}, member{"usr/bin/second", "=> usr/bin/none"}, member{"usr/share/z", "5"}, member{"usr/share/zz", "=> usr/share/z"}),
	}
}

func TestImageLayout(t *testing.T) {
	t.Parallel()
	l := newLayout(t)
	base := digest.FromString("base")
	root := l.image("amd64", map[string]string{ocispec.AnnotationBaseImageDigest: base.String(), ocispec.AnnotationBaseImageName: "registry.example/base:12"}, layers(t)...)
	root.Annotations = map[string]string{ocispec.AnnotationRefName: "registry.example/team/tool:v1.2.3"}
	other := l.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: l.blob(ocispec.MediaTypeEmptyJSON, []byte("{}")), Subject: &root})
	l.index(root, other)
	doc := described(t, l.dir)
	const name = "registry.example/team/tool"
	has(t, doc, "DOCUMENT DESCRIBES "+name, name+" CONTAINS libc6", "./usr/bin/tool CONTAINS example.com/a", name+" DESCENDANT_OF registry.example/base:12",
		"note "+name+": Not described, since they are no images: 1 manifests (attestations, signatures or other attachments)")
	found := facts(doc)
	for _, file := range []string{"opt/a", "srv/new", "usr/share/z", "usr/share/zz", "etc/os-release"} {
		contained := false
		for f := range found {
			contained = contained || f[0:min(len(f), 7)] == "sha256:" && f[len(f)-len(file)-2:] == "./"+file
		}
		if !contained {
			t.Errorf("%s is in no layer", file)
		}
	}
	for _, f := range doc.Files {
		switch f.Name {
		case "opt/b", "opt/a/x", "srv/deep/er/y":
			t.Errorf("%s is hidden, and described", f.Name)
		}
	}
	for _, p := range doc.Packages {
		if p.Name == "old" {
			t.Error("a database that a later layer replaced was read")
		}
	}
	if p := packageNamed(t, doc, name); p.PURL != "pkg:oci/tool@"+root.Digest.String()+"?arch=amd64&repository_url=registry.example%2Fteam%2Ftool" {
		t.Error(p.PURL)
	}
}

func TestLayerWithoutAnEnd(t *testing.T) {
	t.Parallel()
	l := newLayout(t)
	whole := tarOf(t, member{"a", "b"})
	l.index(l.image("amd64", nil, whole[:1024]))
	has(t, described(t, l.dir), "note sha256:…")
}

func TestSeveralImages(t *testing.T) {
	t.Parallel()
	l := newLayout(t)
	a, b := l.image("amd64", nil, layers(t)[0]), l.image("arm64", nil, layers(t)[0])
	l.index(l.json(ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{a, b}}))
	doc := described(t, l.dir)
	images := 0
	for _, p := range doc.Packages {
		if p.Summary == "For linux/amd64" || p.Summary == "For linux/arm64" {
			images++
		}
	}
	if images != 2 {
		t.Errorf("%d images", images)
	}
}

func TestDamagedImages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(l *layout)
		code  string
	}{
		"no index":   {func(*layout) {}, inventory.CodeUnreadable},
		"blob gone":  {func(l *layout) { r := l.image("amd64", nil, layers(t)...); l.index(r); l.remove(r) }, image.CodeBlobMissing},
		"bad index":  {func(l *layout) { l.write("index.json", "{") }, image.CodeMalformed},
		"blob other": {func(l *layout) { r := l.image("amd64", nil, layers(t)...); l.index(r); l.spoilLayer() }, image.CodeDigestMismatch},
		"diffID": {func(l *layout) {
			m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
			m.Layers = []ocispec.Descriptor{l.blob(ocispec.MediaTypeImageLayer, []byte(layers(t)[0]))}
			m.Config = l.json(ocispec.MediaTypeImageConfig, ocispec.Image{RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString("x")}}})
			l.index(l.json(ocispec.MediaTypeImageManifest, m))
		}, image.CodeDiffID},
		"layer numbers": {func(l *layout) {
			m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
			m.Config = l.json(ocispec.MediaTypeImageConfig, ocispec.Image{RootFS: ocispec.RootFS{DiffIDs: []digest.Digest{digest.FromString("x")}}})
			l.index(l.json(ocispec.MediaTypeImageManifest, m))
		}, image.CodeMalformed},
		"media type": {func(l *layout) {
			m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
			m.Layers = []ocispec.Descriptor{l.blob("application/x-own", []byte("x"))}
			m.Config = l.json(ocispec.MediaTypeImageConfig, ocispec.Image{RootFS: ocispec.RootFS{DiffIDs: []digest.Digest{digest.FromString("x")}}})
			l.index(l.json(ocispec.MediaTypeImageManifest, m))
		}, image.CodeUnsupported},
		"truncated": {func(l *layout) { l.index(l.image("amd64", nil, layers(t)[0][:1100])) }, inventory.CodeDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLayout(t)
			test.spoil(l)
			if _, err := inventory.Of(t.Context(), l.dir, options); gate.Code(err) != test.code {
				t.Errorf("expected %s, found %v", test.code, err)
			}
		})
	}
}

func (l *layout) write(name, text string) {
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *layout) remove(d ocispec.Descriptor) {
	if err := os.Remove(filepath.Join(l.dir, "blobs", "sha256", d.Digest.Encoded())); err != nil {
		l.t.Fatal(err)
	}
}

// spoilLayer changes a byte of the first layer.
func (l *layout) spoilLayer() {
	path := filepath.Join(l.dir, "blobs", "sha256", digest.FromString(layers(l.t)[0]).Encoded())
	data, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		l.t.Fatal(err)
	}
}
