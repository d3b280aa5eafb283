package image_test

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/pack"
)

// golden is the index of makeGolden. It changes with the compression library, which go.mod pins, and else never.
const golden = "sha256:522235d53ecf0f55974610ca281d20a54b0ea93dafa25d50129758b226359e3d"

func makeGolden(t testing.TB) ocispec.Descriptor {
	t.Helper()
	b, _ := newBlobs(t)
	big := strings.Repeat("all work and no play ", 300_000)
	var manifests []ocispec.Descriptor
	for _, p := range []definition.Platform{amd64, arm64, armv7} {
		program := makeLayer(t, b, entry("usr/bin/tool", p.String()+big), pack.Entry{Name: "usr/bin/t", Link: "tool"})
		certs := makeLayer(t, b, entry("etc/ssl/certs/ca.crt", "certs"))
		manifests = append(manifests, build(t, b, image.Spec{Platform: p, User: "65532:65532", Entrypoint: []string{"/usr/bin/tool"}, Cmd: []string{"--help"},
			Env: map[string]string{"B": "2", "A": "<1>"}, Labels: map[string]string{"l": "m"}, WorkingDir: "/", Annotations: map[string]string{ocispec.AnnotationVersion: "v1"},
			Layers: []image.AddedLayer{{LayerDesc: certs, CreatedBy: "certs"}, {LayerDesc: program, CreatedBy: "program"}}}).Manifest)
	}
	d, err := image.Index(context.Background(), b, manifests, map[string]string{ocispec.AnnotationCreated: "2026-03-04T05:06:07Z"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Not parallel: it sets the number of cores.
func TestSameBytesOnOneCoreAndOnTwo(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, cores := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(cores)
		if d := makeGolden(t); d.Digest != golden {
			t.Errorf("%d cores: %s instead of %s", cores, d.Digest, golden)
		}
	}
}

func TestBuildFromScratch(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	layer := makeLayer(t, b, entry("bin/x", "program"))
	out := build(t, b, image.Spec{Platform: armv7, User: "1000", Layers: []image.AddedLayer{{LayerDesc: layer, CreatedBy: "x"}}, Annotations: map[string]string{"a": "b"}})
	if diff := cmp.Diff(&ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, out.Manifest.Platform); diff != "" {
		t.Error(diff)
	}
	var m ocispec.Manifest
	read(t, b, out.Manifest, &m)
	if m.MediaType != ocispec.MediaTypeImageManifest || m.Config.MediaType != ocispec.MediaTypeImageConfig || m.Annotations["a"] != "b" || len(m.Layers) != 1 || m.Layers[0].Digest != layer.Descriptor.Digest {
		t.Errorf("manifest %+v", m)
	}
	var c ocispec.Image
	read(t, b, out.Config, &c)
	if !c.Created.Equal(when) || c.Variant != "v7" || c.Config.User != "1000" || c.RootFS.Type != "layers" || c.RootFS.DiffIDs[0] != layer.DiffID || len(c.History) != 1 || c.History[0].CreatedBy != "x" {
		t.Errorf("config %+v", c)
	}
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"linux/amd64": "linux/amd64", "linux/amd64/v1": "linux/amd64", "linux/amd64/v3": "linux/amd64/v3", "linux/arm": "linux/arm/v7",
		"linux/arm/v6": "linux/arm/v6", "linux/arm64": "linux/arm64", "linux/arm64/v8.0": "linux/arm64", "linux/ppc64le": "linux/ppc64le", "linux/riscv64/rva20u64": "linux/riscv64", "windows/amd64": "windows/amd64"} {
		p, err := definition.ParsePlatform(in)
		if err != nil {
			t.Fatal(err)
		}
		o := image.Platform(p)
		if got := strings.TrimSuffix(o.OS+"/"+o.Architecture+"/"+o.Variant, "/"); got != want {
			t.Errorf("%s became %s, not %s", in, got, want)
		}
	}
}

func TestBuildUponABase(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	root := makeBase(t, b, amd64, arm64)
	base, err := image.ReadBase(context.Background(), b, root, arm64)
	if err != nil {
		t.Fatal(err)
	}
	layer := makeLayer(t, b, entry("bin/x", "program"))
	added := []image.AddedLayer{{LayerDesc: layer, CreatedBy: "x"}}
	config := func(s image.Spec) ocispec.Image {
		s.Base, s.Layers, s.Platform = base, added, arm64
		var c ocispec.Image
		out := build(t, b, s)
		read(t, b, out.Config, &c)
		if len(out.Layers) != 3 || out.Layers[0].Digest != base.Layers[0].Digest || out.Layers[2].Digest != layer.Descriptor.Digest || len(c.RootFS.DiffIDs) != 3 {
			t.Errorf("layers %+v", out.Layers)
		}
		return c
	}
	kept := config(image.Spec{})
	want := ocispec.ImageConfig{User: "65532", Env: []string{"A=base", "PATH=/bin"}, WorkingDir: "/home", Labels: map[string]string{"from": "base"}, Entrypoint: []string{"/bin/sh"}, Cmd: []string{"-l"}}
	if diff := cmp.Diff(want, kept.Config); diff != "" {
		t.Error(diff)
	}
	var by []string
	for _, h := range kept.History {
		by = append(by, h.CreatedBy)
	}
	if diff := cmp.Diff([]string{"base", "base for linux/arm64", "x"}, by); diff != "" {
		t.Error(diff)
	}
	set := config(image.Spec{User: "1", Env: map[string]string{"A": "mine", "Z": "new"}, WorkingDir: "/w", Labels: map[string]string{"l": "m"}, Entrypoint: []string{"/bin/x"}})
	want = ocispec.ImageConfig{User: "1", Env: []string{"A=mine", "PATH=/bin", "Z=new"}, WorkingDir: "/w", Labels: map[string]string{"from": "base", "l": "m"}, Entrypoint: []string{"/bin/x"}}
	if diff := cmp.Diff(want, set.Config); diff != "" {
		t.Error(diff)
	}
	if again := config(image.Spec{}); cmp.Diff(kept, again) != "" {
		t.Error("building changed the base")
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	ctx := context.Background()
	added := []image.AddedLayer{{LayerDesc: makeLayer(t, b, entry("x", "x"))}}
	base, err := image.ReadBase(ctx, b, makeBase(t, b, amd64), amd64)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]image.Spec{
		"no time":             {Platform: amd64, Layers: added},
		"no platform":         {Created: when, Layers: added},
		"nothing in it":       {Created: when, Platform: amd64},
		"base for another":    {Created: when, Platform: arm64, Base: base, Layers: added},
		"name of variable":    {Created: when, Platform: amd64, Layers: added, Env: map[string]string{"A=B": "x"}},
		"no name of variable": {Created: when, Platform: amd64, Layers: added, Env: map[string]string{"": "x"}},
	} {
		if _, err := image.Build(ctx, b, s); err == nil {
			t.Errorf("%s: built", name)
		}
	}
	m := build(t, b, image.Spec{Layers: added}).Manifest
	_, err = image.Index(ctx, b, []ocispec.Descriptor{m, m}, nil)
	wantCode(t, err, image.CodePlatformTwice)
	m.Platform = nil
	if _, err = image.Index(ctx, b, []ocispec.Descriptor{m}, nil); err == nil {
		t.Error("index of a manifest without a platform")
	}
	_, err = image.Layer(ctx, b, []pack.Entry{entry("../x", "x")}, when)
	wantCode(t, err, pack.CodeBadName)
}
