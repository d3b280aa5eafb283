package release

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/source"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
)

// Snapshotted is what Snapshot made.
type Snapshotted struct {
	Version string           `json:"version"`
	Where   string           `json:"where"`
	Files   []stage.Artifact `json:"files"`
	Images  []SnapshotImage  `json:"images,omitempty"`
	Layout  string           `json:"layout,omitempty"`  // OCI image layout with the images
	Without []string         `json:"without,omitempty"` // names of images that have no such platform
}

// SnapshotImage is an image for the platforms that were asked for.
type SnapshotImage struct {
	Name      string   `json:"name"`
	Index     string   `json:"index"` // sha256:…
	Platforms []string `json:"platforms"`
}

// Snapshot compiles and packs the working tree as it is, for one platform ("" is this machine's) or "all". The
// result has no provenance and no stage.json, its images are in a layout of their own and are pushed nowhere, and it has a version that no release can have, so it cannot be staged.
func (p *Project) Snapshot(ctx context.Context, target string) (*Snapshotted, error) {
	data, err := readLimited(filepath.Join(p.Repo.Root(), definition.FileName))
	if err != nil {
		return nil, missing(definition.FileName, err)
	}
	def, err := definition.Parse(definition.FileName, data)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(def.Source, modulePrefix) {
		return nil, usageRefusal("snapshot-of-module", definition.FileName, "the source is a published module: there is no working tree to build", "sello propose VERSION and sello stage build it")
	}
	tip, version := strings.Repeat("0", 40), p.nextVersion(ctx)+"-snapshot"
	if branch, err := p.Repo.Branch(ctx); err == nil {
		if head, err := p.Repo.Head(ctx, branch); err == nil {
			tip, version = head, version+"."+head[:12]
		}
	}
	plan, err := build.New(def, version, tip, p.Now())
	if err != nil {
		return nil, err
	}
	whole := plan
	if plan, err = narrowed(plan, target); err != nil {
		return nil, err
	}
	work, err := p.State("snapshot")
	if err != nil {
		return nil, err
	}
	if err := removeTree(work); err != nil {
		return nil, fmt.Errorf("empty snapshot folder: %w", err)
	}
	a, err := p.snapshotAssembly(plan, work)
	if err != nil {
		return nil, err
	}
	if a.inputs, err = p.workingInputs(ctx, def); err != nil {
		return nil, err
	}
	a.inputs.partial = len(plan.Platforms()) < len(whole.Platforms()) // a part need not have what every rule is about
	g := flow.New()
	tree, _ := a.addFiles(g)
	a.addImages(g, tree)
	if err := a.runGraph(ctx, g, "build"); err != nil {
		return nil, err
	}
	out := &Snapshotted{Version: version, Where: filepath.Join(work, "files"), Files: a.outputs("")}
	for _, platform := range plan.Platforms() {
		out.Files = append(out.Files, a.archives(platform.String())...)
	}
	for _, img := range whole.Images {
		if !slices.ContainsFunc(plan.Images, func(have build.Image) bool { return have.Name == img.Name }) {
			out.Without = append(out.Without, img.Name)
		}
	}
	return out, a.snapshotImages(ctx, out)
}

// snapshotImages writes the images into a layout that other tools read.
func (a *assembly) snapshotImages(ctx context.Context, out *Snapshotted) error {
	if len(a.images) == 0 {
		return nil
	}
	out.Layout = a.path("oci")
	b, err := store.Open("file://"+filepath.ToSlash(out.Layout), "")
	if err != nil {
		return err
	}
	var roots []ocispec.Descriptor
	for _, s := range a.images {
		root := s.index.Value()
		root.Annotations = map[string]string{ocispec.AnnotationRefName: s.plan.Name + ":" + a.plan.Values.Version}
		roots = append(roots, root)
		img := SnapshotImage{Name: s.plan.Name, Index: root.Digest.String()}
		for _, platform := range s.plan.On {
			img.Platforms = append(img.Platforms, platform.String())
		}
		out.Images = append(out.Images, img)
	}
	return registry.WriteLayout(ctx, store.Folder{Bucket: b}, a.fetchBlob, roots, nil)
}

// narrowed keeps the target platform of a plan.
func narrowed(plan *build.Plan, target string) (*build.Plan, error) {
	if target == "all" {
		return plan.Only(plan.Platforms()...), nil
	}
	if target == "" {
		target = runtime.GOOS + "/" + runtime.GOARCH
	}
	platform, err := definition.ParsePlatform(target)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, have := range plan.Platforms() {
		if have == platform {
			return plan.Only(platform), nil
		}
		names = append(names, have.String())
	}
	return nil, usageRefusal("platform-not-planned", definition.FileName, "the definition does not build for "+target, "use --target with one of "+strings.Join(names, ", ")+", or add the platform")
}

// snapshotAssembly takes its source from the working tree.
func (p *Project) snapshotAssembly(plan *build.Plan, work string) (*assembly, error) {
	fetch, err := gomod.New(gomod.Options{CacheDir: p.CacheDir, Progress: p.note})
	if err != nil {
		return nil, err
	}
	from := &origin{
		source:    stage.Source{URI: "git+" + plan.Definition.Source, Commit: plan.Values.Commit, Time: plan.Time},
		materials: []material.Material{{Name: "working tree", Digest: map[string]string{"gitCommit": plan.Values.Commit}}},
		export: func(ctx context.Context, dest string) error {
			_, err := p.Repo.CopyWorkTree(ctx, dest, source.Limits{})
			return err
		},
	}
	return newAssembly(p, plan, from, fetch, work)
}
