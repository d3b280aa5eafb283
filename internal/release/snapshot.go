package release

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/source"
	"github.com/sello-release/sello/internal/stage"
)

// Snapshotted is what Snapshot made.
type Snapshotted struct {
	Version string           `json:"version"`
	Where   string           `json:"where"`
	Files   []stage.Artifact `json:"files"`
}

// Snapshot compiles and packs the working tree as it is, for one platform ("" is this machine's) or "all". The
// result has no provenance and no stage.json, and a version that no release can have, so it cannot be staged.
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
	g := flow.New()
	a.addFiles(g)
	if err := a.runGraph(ctx, g, "build"); err != nil {
		return nil, err
	}
	out := &Snapshotted{Version: version, Where: filepath.Join(work, "files"), Files: a.outputs("")}
	for _, platform := range plan.Platforms() {
		out.Files = append(out.Files, a.archives(platform.String())...)
	}
	return out, nil
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
