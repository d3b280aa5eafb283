package image_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/image"
)

func TestReadBaseFindsThePlatform(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	ctx := context.Background()
	root := makeBase(t, b, amd64, arm64, definition.Platform{OS: "linux", Arch: "arm", Variant: "v6"})
	nested := put(t, b, ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{root}})
	for platform, want := range map[string]string{"linux/amd64": "linux/amd64", "linux/amd64/v3": "linux/amd64", "linux/arm64": "linux/arm64", "linux/arm": "linux/arm/v6"} {
		p, err := definition.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []ocispec.Descriptor{root, nested} {
			base, err := image.ReadBase(ctx, b, r, p)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSuffix(base.Platform.OS+"/"+base.Platform.Architecture+"/"+base.Platform.Variant, "/"); got != want {
				t.Errorf("%s: got %s", platform, got)
			}
			single, err := image.ReadBase(ctx, b, base.Manifest, p)
			if err != nil {
				t.Fatal(err)
			}
			if len(single.Indexes) != 0 || single.Config.Digest != base.Config.Digest {
				t.Errorf("single manifest: %+v", single)
			}
			if n := len(base.Descriptors()); n != len(base.Indexes)+4 {
				t.Errorf("%d descriptors", n)
			}
		}
	}
}

func TestMaterialsOfABase(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	base, err := image.ReadBase(context.Background(), b, makeBase(t, b, amd64), amd64)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, m := range base.Materials("registry.example:5000/Team/Debian") {
		names = append(names, m.Name)
		p, err := packageurl.FromString(m.URI)
		if err != nil {
			t.Fatal(err)
		}
		if d := base.Descriptors()[i].Digest; p.Type != "oci" || p.Name != "debian" || p.Version != d.String() || m.Digest["sha256"] != d.Encoded() || p.Qualifiers.Map()["repository_url"] != "registry.example:5000/team/debian" {
			t.Errorf("material %+v", m)
		}
	}
	if diff := cmp.Diff([]string{"base index", "base manifest", "base config", "base layer 1", "base layer 2"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestReadBaseRefuses(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	ctx := context.Background()
	root := makeBase(t, b, amd64, arm64)
	base, err := image.ReadBase(ctx, b, root, amd64)
	if err != nil {
		t.Fatal(err)
	}
	index := func(manifests ...ocispec.Descriptor) ocispec.Descriptor {
		return put(t, b, ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: manifests})
	}
	var m ocispec.Manifest
	read(t, b, base.Manifest, &m)
	var c ocispec.Image
	read(t, b, base.Config, &c)
	manifest := func(change func(*ocispec.Manifest)) ocispec.Descriptor {
		m := m
		m.Layers = append([]ocispec.Descriptor{}, m.Layers...)
		change(&m)
		return put(t, b, ocispec.MediaTypeImageManifest, m)
	}
	config := func(change func(*ocispec.Image)) ocispec.Descriptor {
		c := c
		change(&c)
		d := put(t, b, ocispec.MediaTypeImageConfig, c)
		return manifest(func(m *ocispec.Manifest) { m.Config = d })
	}
	layerType := func(s string) ocispec.Descriptor {
		return manifest(func(m *ocispec.Manifest) { m.Layers[0].MediaType = s })
	}
	for _, s := range []string{"", "+gzip", "+zstd"} {
		if _, err := image.ReadBase(ctx, b, layerType("application/vnd.oci.image.layer.v1.tar"+s), amd64); err != nil {
			t.Error(err)
		}
	}
	for _, s := range []string{"", ".gzip"} {
		if _, err := image.ReadBase(ctx, b, layerType("application/vnd.docker.image.rootfs.diff.tar"+s), amd64); err != nil {
			t.Error(err)
		}
	}
	deep := root
	for range 5 {
		deep = index(deep)
	}
	lying, listedAs, sized := base.Manifest, base.Manifest, base.Manifest
	lying.Platform = &ocispec.Platform{OS: "linux", Architecture: "s390x"}
	listedAs.MediaType = ocispec.MediaTypeImageIndex
	sized.Size++
	large := root
	large.Size = 5 << 20
	sixteen := make([]ocispec.Descriptor, 17)
	for i := range sixteen {
		sixteen[i] = index()
	}
	s390x := definition.Platform{OS: "linux", Arch: "s390x"}
	doc := func(s string) ocispec.Descriptor { return put(t, b, ocispec.MediaTypeImageManifest, s) }
	desc := `{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + base.Config.Digest.String() + `","size":1}`
	for name, try := range map[string]struct {
		root     ocispec.Descriptor
		platform definition.Platform
		code     string
	}{
		"not there for it":                   {root, armv7, image.CodePlatformMissing},
		"no platforms":                       {index(), amd64, image.CodePlatformMissing},
		"manifest of another":                {base.Manifest, arm64, image.CodePlatformMissing},
		"index lies on the platform":         {index(lying), s390x, image.CodePlatformMissing},
		"too deep":                           {deep, amd64, image.CodeIndexLoop},
		"too many indexes":                   {index(sixteen...), amd64, image.CodeIndexLoop},
		"listed as index":                    {index(listedAs), amd64, image.CodeMalformed},
		"lying size":                         {index(sized), amd64, image.CodeDigestMismatch},
		"too large":                          {large, amd64, image.CodeTooLarge},
		"foreign layer":                      {layerType("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), amd64, image.CodeUnsupported},
		"not to be distributed":              {layerType(ocispec.MediaTypeImageLayerNonDistributableGzip), amd64, image.CodeUnsupported},
		"unknown layer":                      {layerType("application/x-tar"), amd64, image.CodeUnsupported},
		"artifact":                           {manifest(func(m *ocispec.Manifest) { m.Config.MediaType = ocispec.MediaTypeEmptyJSON }), amd64, image.CodeUnsupported},
		"schema 1":                           {put(t, b, "application/vnd.docker.distribution.manifest.v1+json", `{"schemaVersion":1,"fsLayers":[]}`), amd64, image.CodeUnsupported},
		"digest of another kind":             {manifest(func(m *ocispec.Manifest) { m.Layers[0].Digest = digest.SHA512.FromString("x") }), amd64, image.CodeUnsupported},
		"digest that is a path":              {manifest(func(m *ocispec.Manifest) { m.Layers[0].Digest = "sha256:../../../etc/passwd" }), amd64, image.CodeMalformed},
		"negative size":                      {manifest(func(m *ocispec.Manifest) { m.Layers[0].Size = -1 }), amd64, image.CodeMalformed},
		"201 layers":                         {manifest(func(m *ocispec.Manifest) { m.Layers = make([]ocispec.Descriptor, 201) }), amd64, image.CodeTooLarge},
		"config with fewer layers":           {config(func(c *ocispec.Image) { c.RootFS.DiffIDs = c.RootFS.DiffIDs[:1] }), amd64, image.CodeMalformed},
		"config with other rootfs":           {config(func(c *ocispec.Image) { c.RootFS.Type = "disk" }), amd64, image.CodeMalformed},
		"config without platform":            {config(func(c *ocispec.Image) { c.Architecture = "" }), amd64, image.CodeMalformed},
		"config with a bad diffID":           {config(func(c *ocispec.Image) { c.RootFS.DiffIDs = []digest.Digest{"x", "y"} }), amd64, image.CodeMalformed},
		"other media type inside":            {manifest(func(m *ocispec.Manifest) { m.MediaType = ocispec.MediaTypeImageIndex }), amd64, image.CodeMalformed},
		"html":                               {doc("<html>"), amd64, image.CodeMalformed},
		"manifest that is an index as well":  {doc(`{"schemaVersion":2,"config":` + desc + `,"layers":[],"manifests":[]}`), amd64, image.CodeMalformed},
		"two configs":                        {doc(`{"schemaVersion":2,"config":` + desc + `,"config":` + desc + `,"layers":[]}`), amd64, image.CodeMalformed},
		"two configs, to those without case": {doc(`{"schemaVersion":2,"config":` + desc + `,"Config":` + desc + `,"layers":[]}`), amd64, image.CodeMalformed},
		"no layers":                          {doc(`{"schemaVersion":2,"config":` + desc + `}`), amd64, image.CodeMalformed},
		"bytes behind it":                    {doc(`{"schemaVersion":2,"config":` + desc + `,"layers":[]}{}`), amd64, image.CodeMalformed},
	} {
		_, err := image.ReadBase(ctx, b, try.root, try.platform)
		if err == nil {
			t.Errorf("%s: read", name)
			continue
		}
		t.Log(name, err)
		wantCode(t, err, try.code)
	}
}

func TestIndexThatNamesItself(t *testing.T) {
	t.Parallel()
	self := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromString("self"), Size: 300}
	text := `{"schemaVersion":2,"manifests":[{"mediaType":"` + self.MediaType + `","digest":"` + self.Digest.String() + `","size":300}]}`
	text += strings.Repeat(" ", 300-len(text))
	_, err := image.ReadBase(context.Background(), constant(text), self, amd64)
	wantCode(t, err, image.CodeDigestMismatch) // a digest that holds itself does not exist: the lie shows before the loop
}

type constant string

func (c constant) Fetch(context.Context, ocispec.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(c))), nil
}

func TestFetchBase(t *testing.T) {
	t.Parallel()
	from, _ := newBlobs(t)
	to, toRoot := newBlobs(t)
	ctx := context.Background()
	root := makeBase(t, from, amd64, arm64, armv7)
	remote := &counted{Fetcher: from}
	var fetched, all int
	fetch := func() []*image.Base {
		t.Helper()
		fetched, all = 0, 0
		bases, err := image.FetchBase(ctx, remote, root, []definition.Platform{amd64, arm64}, to, func(_ ocispec.Descriptor, got bool) {
			all++
			if got {
				fetched++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return bases
	}
	bases := fetch()
	if len(bases) != 2 || bases[1].Platform.Architecture != "arm64" {
		t.Fatalf("%+v", bases)
	}
	// One index, and for each platform manifest, config and a layer, and the layer that they share.
	if remote.total() != 8 || fetched != 8 || all != 8 {
		t.Errorf("fetched %d blobs with %d requests, told of %d", fetched, remote.total(), all)
	}
	for _, base := range bases {
		for _, d := range base.Descriptors() {
			if ok, err := to.Good(ctx, d); !ok || err != nil {
				t.Error(d.Digest, err)
			}
		}
	}
	fetch()
	if remote.total() != 8 || fetched != 0 || all != 8 {
		t.Errorf("the second time fetched %d blobs with %d requests, told of %d", fetched, remote.total(), all)
	}
	damaged := bases[0].Layers[0].Digest
	if err := toRoot.WriteFile("blobs/sha256/"+damaged.Encoded(), bytes.Repeat([]byte("x"), int(bases[0].Layers[0].Size)), 0o644); err != nil {
		t.Fatal(err)
	}
	fetch()
	if fetched != 1 || remote.count[damaged] != 2 {
		t.Errorf("of one damaged blob fetched %d", fetched)
	}
}

func TestFetchBaseRefusesLies(t *testing.T) {
	t.Parallel()
	from, _ := newBlobs(t)
	ctx := context.Background()
	root := makeBase(t, from, amd64)
	base, err := image.ReadBase(ctx, from, root, amd64)
	if err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]func(io.Reader) io.Reader{
		"cut":  func(r io.Reader) io.Reader { return io.LimitReader(r, 20) },
		"more": func(r io.Reader) io.Reader { return io.MultiReader(r, strings.NewReader("x")) },
		"other": func(r io.Reader) io.Reader {
			_, _ = r.Read(make([]byte, 1))
			return io.MultiReader(strings.NewReader("x"), r)
		},
		"nothing": func(io.Reader) io.Reader { return strings.NewReader("") },
	} {
		for _, about := range base.Descriptors() {
			to, _ := newBlobs(t)
			liar := &counted{Fetcher: from, lie: func(d ocispec.Descriptor, r io.ReadCloser) io.ReadCloser {
				if d.Digest != about.Digest {
					return r
				}
				data, _ := io.ReadAll(r)
				return io.NopCloser(lie(bytes.NewReader(data)))
			}}
			_, err := image.FetchBase(ctx, liar, root, []definition.Platform{amd64}, to, nil)
			if err == nil {
				t.Errorf("%s %s: taken", name, about.MediaType)
			}
			wantCode(t, err, image.CodeDigestMismatch)
			if ok, _ := to.Exists(ctx, about); ok {
				t.Errorf("%s %s: kept", name, about.MediaType)
			}
		}
	}
}
