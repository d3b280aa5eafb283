package verify

import (
	"context"
	"maps"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/stage"
)

// saidImages takes the images out of what a release statement says, and holds that they are those of stage.json.
func (d *folder) saidImages(said map[string]string) {
	want := map[string]string{}
	if d.list != nil {
		for _, img := range d.list.Images {
			for _, repository := range img.Repositories {
				want[stage.ImageName(repository)] = strings.TrimPrefix(img.Index, "sha256:")
			}
		}
	}
	have := map[string]string{}
	for name, sum := range said {
		if stage.IsImageName(name) {
			have[name] = sum
			delete(said, name)
		}
	}
	if len(want) == 0 && len(have) == 0 {
		return
	}
	d.chain(Check{Subject: "images", Where: stage.ReleaseBundle}, step{"image-mismatch", func(c *Check) error {
		c.Expected, c.Actual = listImages(want), listImages(have)
		if maps.Equal(want, have) {
			return nil
		}
		return &gate.Refusal{Code: "image-mismatch", What: "the release statement names other images than those that were staged and signed off", Expected: c.Expected, Actual: c.Actual, Fix: "do not use the release"}
	}})
}

// complete holds that the layout of a stage has the images of stage.json whole, what is attached to them, and nothing else.
func (d *folder) complete(ctx context.Context, layout *registry.Layout, found map[string]*file) {
	known := map[string]bool{}
	for _, img := range d.list.Images {
		known[img.Index] = true
		for _, manifest := range img.Platforms {
			known[manifest] = true
		}
	}
	var extra, missing []string
	needed := map[string]bool{ocispec.ImageLayoutFile: true, ocispec.ImageIndexFile: true}
	d.chain(Check{Subject: "images", Where: stage.ImagesFolder}, step{"image-missing", func(*Check) error {
		for _, entry := range layout.Entries() {
			m, err := named(ctx, layout, entry, needed, 0)
			if err != nil {
				return err
			}
			if !known[entry.Digest.String()] && (m.Subject == nil || !known[m.Subject.Digest.String()]) {
				extra = append(extra, entry.Digest.String())
			}
		}
		for _, name := range slices.Sorted(maps.Keys(needed)) {
			if found[name] == nil {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		return &gate.Refusal{Code: "image-missing", What: "parts of images are not there", Where: stage.ImagesFolder, Actual: "missing: " + few(missing), Fix: "copy the stage again, whole, or stage the release again"}
	}}, step{"image-unlisted", func(*Check) error {
		for _, name := range slices.Sorted(maps.Keys(found)) {
			if !needed[name] {
				extra = append(extra, name)
			}
		}
		if len(extra) == 0 {
			return nil
		}
		return &gate.Refusal{Code: "image-unlisted", What: "there is something among the images that is neither an image of stage.json nor attached to one", Where: stage.ImagesFolder, Expected: "the images of stage.json",
			Actual: few(extra), Fix: "stage the release again into an empty folder"}
	}})
}

// named notes the file of a manifest and of everything that it names.
func named(ctx context.Context, layout *registry.Layout, desc ocispec.Descriptor, needed map[string]bool, depth int) (*registry.Manifest, error) {
	file := func(d ocispec.Descriptor) string { return ocispec.ImageBlobsDir + "/sha256/" + d.Digest.Encoded() }
	data, err := readBlob(ctx, layout, desc, maxImageManifest)
	if err != nil {
		return nil, err
	}
	m, err := registry.ParseManifest(desc, data)
	if err != nil {
		return nil, err
	}
	needed[file(desc)] = true
	for _, blob := range m.Blobs {
		needed[file(blob)] = true
	}
	for _, below := range m.Manifests {
		if needed[file(below)] || depth >= registry.MaxDepth {
			continue
		}
		if _, err := named(ctx, layout, below, needed, depth+1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func few(names []string) string {
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + " and more"
	}
	return strings.Join(names, ", ")
}

func listImages(images map[string]string) string {
	var out []string
	for name, sum := range images {
		out = append(out, name+"@sha256:"+sum)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// images verifies the images of a stage, which are in it as an OCI image layout. Those of a release are in their registries.
func (d *folder) images(ctx context.Context, src Source) error {
	if d.list == nil || len(d.list.Images) == 0 {
		return nil
	}
	if d.report.Scope != ScopeStage {
		first := d.list.Images[0]
		d.skip("image-mismatch", "images", "the images are in their registries; to verify one: sello verify "+first.Repositories[0]+"@"+first.Index)
		return nil
	}
	found := d.tree.below(stage.ImagesFolder)
	var each []findings
	for _, name := range slices.Sorted(maps.Keys(found)) {
		var one findings
		if hex, blob := strings.CutPrefix(name, "blobs/sha256/"); blob && hex != found[name].sha256 {
			one.fail(Check{ID: "image-digest-mismatch", Subject: name, Where: stage.ImagesFolder + "/" + name}, &gate.Refusal{Code: "image-digest-mismatch", What: "a blob of an image is not what it is called",
				Expected: "sha256:" + hex, Actual: "sha256:" + found[name].sha256, Fix: "do not use the image; stage it again"})
		} else {
			one.checks = append(one.checks, Check{ID: "image-digest-mismatch", Status: Pass, Subject: name})
		}
		each = append(each, one)
	}
	d.fold(each, "blobs of images")
	layout, err := openLayout(ctx, below(src, stage.ImagesFolder+"/"))
	if err != nil {
		d.fail(Check{ID: "image-missing", Subject: "images", Where: stage.ImagesFolder}, err)
		return nil
	}
	d.complete(ctx, layout, found)
	var judged []findings
	levels, builder, source := d.report.Levels, d.report.Builder, d.report.Source
	for i := range d.list.Images {
		img := &d.list.Images[i]
		one := findings{}
		root, err := layout.Resolve(ctx, img.Index)
		if err == nil {
			j := imageJudge{verifier: d.verifier, findings: &one, report: d.report, from: layout, name: img.Name, list: d.list, image: img, unreleased: true}
			err = j.judge(ctx, root)
		}
		if err != nil {
			one.fail(Check{ID: "image-missing", Subject: img.Name, Where: stage.ImagesFolder}, err)
		}
		judged = append(judged, one)
	}
	d.fold(judged, "images")
	d.report.Levels, d.report.Builder, d.report.Source = levels, builder, source
	return nil
}
