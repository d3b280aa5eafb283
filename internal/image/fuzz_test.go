package image_test

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image"
)

// seedDocuments gives the blobs of small images, by media type.
func seedDocuments(f *testing.F, add func(mediaType string, data []byte)) {
	b, _ := newBlobs(f)
	ctx := context.Background()
	base, err := image.ReadBase(ctx, b, makeBase(f, b, amd64, armv7), amd64)
	if err != nil {
		f.Fatal(err)
	}
	for _, d := range append(base.Indexes, base.Manifest, base.Config) {
		data, err := image.ReadBlob(ctx, b, d, 1<<20)
		if err != nil {
			f.Fatal(err)
		}
		add(d.MediaType, data)
	}
}

// pretender gives one document for whatever is asked, and the digest that it has.
type pretender map[digest.Digest]string

func (p pretender) add(mediaType string, data string) ocispec.Descriptor {
	d := digest.FromString(data)
	p[d] = data
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
}

func (p pretender) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if data, ok := p[d.Digest]; ok {
		return io.NopCloser(strings.NewReader(data)), nil
	}
	return nil, os.ErrNotExist
}

// FuzzDocument reads an index or a manifest, and what it leads to among the seeds.
func FuzzDocument(f *testing.F) {
	seeds := pretender{}
	seedDocuments(f, func(mediaType string, data []byte) {
		seeds.add(mediaType, string(data))
		f.Add(mediaType, data)
		f.Add(strings.NewReplacer("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json").Replace(mediaType), data)
	})
	f.Fuzz(func(t *testing.T, mediaType string, data []byte) {
		p := pretender{}
		for k, v := range seeds {
			p[k] = v
		}
		root := p.add(mediaType, string(data))
		base, err := image.ReadBase(context.Background(), p, root, amd64)
		if err != nil {
			if gate.Code(err) == "" && !strings.Contains(err.Error(), os.ErrNotExist.Error()) {
				t.Errorf("no refusal: %v", err)
			}
			return
		}
		all := base.Descriptors()
		if len(all) < 2 || len(base.Materials("registry.example/x")) != len(all) {
			t.Errorf("%d descriptors", len(all))
		}
		for _, d := range all {
			if d.Digest.Validate() != nil || d.Size < 0 {
				t.Errorf("descriptor %+v", d)
			}
		}
	})
}

// FuzzConfig reads a configuration, and builds upon what was read.
func FuzzConfig(f *testing.F) {
	seedDocuments(f, func(mediaType string, data []byte) {
		if mediaType == ocispec.MediaTypeImageConfig {
			f.Add(data)
		}
	})
	layer := `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"` + digest.FromString("").String() + `","size":0}`
	f.Fuzz(func(t *testing.T, data []byte) {
		p := pretender{}
		config := p.add(ocispec.MediaTypeImageConfig, string(data))
		manifest := p.add(ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"mediaType":"`+config.MediaType+`","digest":"`+config.Digest.String()+
			`","size":`+itoa(config.Size)+`},"layers":[`+layer+`,`+layer+`]}`)
		base, err := image.ReadBase(context.Background(), p, manifest, amd64)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("no refusal: %v", err)
			}
			return
		}
		b, _ := newBlobs(t)
		if _, err := image.Build(context.Background(), b, image.Spec{Platform: amd64, Base: base, Created: when, Env: map[string]string{"A": "b"}}); err != nil {
			t.Error(err)
		}
	})
}

func itoa(n int64) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// FuzzLayer unpacks one layer above another, and holds Files, Unpack and VerifyTree against each other.
func FuzzLayer(f *testing.F) {
	for _, entries := range [][]string{{"a=1"}, {"usr/lib/a=1", "lib->usr/lib", "b=>lib/a"}, {"lib/", "lib/.wh.x=", ".wh.a="}, {"d/", "d/.wh..wh..opq="}, {"dev/null!3"}, {"../x=1"}, {"l->l", "l/x=1"}} {
		f.Add(tarOf(f, entries...))
	}
	f.Add(nulName(f))
	lower := tarOf(f, "usr/lib/x=1", "lib->usr/lib", "a=1", "d/e/f=1", "up->../..")
	limits := image.Limits{Entries: 1000, File: 1 << 20, Total: 4 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := pretender{}
		config := p.add(ocispec.MediaTypeImageConfig, `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["`+digest.FromBytes(lower).String()+`","`+digest.FromBytes(data).String()+`"]}}`)
		layers := ""
		for _, l := range [][]byte{lower, data} {
			d := p.add(ocispec.MediaTypeImageLayer, string(l))
			layers += `,{"mediaType":"` + d.MediaType + `","digest":"` + d.Digest.String() + `","size":` + itoa(d.Size) + `}`
		}
		manifest := p.add(ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"mediaType":"`+config.MediaType+`","digest":"`+config.Digest.String()+
			`","size":`+itoa(config.Size)+`},"layers":[`+layers[1:]+`]}`)
		outer := t.TempDir()
		if err := os.Mkdir(outer+"/in", 0o755); err != nil {
			t.Fatal(err)
		}
		root := openRoot(t, outer+"/in")
		listed, err := list(t, p, manifest, limits)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("no refusal: %v", err)
			}
			if _, again := image.Unpack(context.Background(), p, manifest, root, limits); gate.Code(again) != gate.Code(err) {
				t.Errorf("unpack gives %v, files %v", again, err)
			}
		} else {
			tree, err := image.Unpack(context.Background(), p, manifest, root, limits)
			if err != nil {
				t.Fatal(err)
			}
			disk := onDisk(t, root.FS())
			for name, content := range listed {
				if disk[name] != content {
					t.Errorf("%q is %q on disk, %q in the list", name, disk[name], content)
				}
			}
			if len(disk) != len(listed) {
				t.Errorf("%d names on disk, %d in the list", len(disk), len(listed))
			}
			if err := image.VerifyTree(context.Background(), root, tree); err != nil {
				t.Error(err)
			}
		}
		if names, err := os.ReadDir(outer); err != nil || len(names) != 1 {
			t.Errorf("written outside: %v %v", names, err)
		}
	})
}
