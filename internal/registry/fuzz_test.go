package registry_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
)

var emptyDesc = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(fakeDigest), Size: 2}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"registry.example/tool:v1", "[::1]:5000/a/b@" + fakeDigest, "localhost/x:y@" + fakeDigest, "a/b", "registry.example:5000/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := registry.ParseReference(s)
		if err != nil {
			if gate.Code(err) != "image-reference" {
				t.Fatalf("%v", err)
			}
			return
		}
		if ref.String() != s || strings.ContainsAny(s, " \\%?#\"'\n") || strings.Contains(ref.Repository, "..") {
			t.Fatalf("%q was read as %q", s, ref)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	m := rt.NewMemory()
	root := m.Image(f, rt.Spec{Seed: 1})
	data, _ := io.ReadAll(mustFetch(f, m, root))
	f.Add(true, data)
	f.Add(false, []byte(`{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"`+fakeDigest+`","size":2},"layers":[{"mediaType":"a/b","digest":"`+fakeDigest+`","size":2}],"subject":null}`))
	f.Fuzz(func(t *testing.T, index bool, data []byte) {
		desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if index {
			desc.MediaType = ocispec.MediaTypeImageIndex
		}
		got, err := registry.ParseManifest(desc, data)
		if err != nil {
			if gate.Code(err) == "" {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		if index == (len(got.Blobs) > 0) {
			t.Fatalf("an index with blobs, or an image without: %+v", got)
		}
		for _, d := range append(got.Manifests, got.Blobs...) {
			if d.Size < 0 || d.Digest.Validate() != nil || registry.IsManifest(d.MediaType) != index {
				t.Fatalf("%+v", d)
			}
		}
	})
}

// fakeBucket holds a layout's two files.
type fakeBucket struct {
	index []byte
}

func (b fakeBucket) Open(_ context.Context, name string) (io.ReadCloser, int64, error) {
	data := b.index
	if name == ocispec.ImageLayoutFile {
		data = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

func FuzzOpenLayout(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"` + fakeDigest + `","size":9,"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}`))
	f.Fuzz(func(t *testing.T, index []byte) {
		l, err := registry.OpenLayout(t.Context(), fakeBucket{index: index})
		if err != nil {
			if gate.Code(err) == "" {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		names := map[string]bool{}
		for _, d := range l.Entries() {
			name := d.Annotations[ocispec.AnnotationRefName]
			if d.Digest.Validate() != nil || d.Size < 0 || name != "" && names[name] {
				t.Fatalf("%+v", d)
			}
			names[name] = true
		}
	})
}
