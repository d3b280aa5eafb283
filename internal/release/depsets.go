package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/format"
	"github.com/sello-release/sello/internal/source"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
)

// DependenciesOf judges the dependencies of the stage that a release file names. The report is there when the error is the gate's.
func (p *Project) DependenciesOf(ctx context.Context, file string) (*Dependencies, error) {
	c, s, err := p.stageOf(ctx, file)
	if err != nil {
		return nil, err
	}
	policies, err := p.dependencyPolicies(ctx, c)
	if err != nil {
		return nil, err
	}
	return p.checkDependencies(ctx, c, s, policies)
}

func (p *Project) stageOf(ctx context.Context, file string) (*Candidate, *staged, error) {
	c, err := p.Candidate(ctx, file)
	if err != nil {
		return nil, nil, err
	}
	staging, _, err := p.buckets(c.Definition)
	if err != nil {
		return nil, nil, err
	}
	s, err := p.findStage(ctx, c, staging)
	return c, s, err
}

// VersionSBOM reads a bill of materials of a version: of the release, as its statement lists it, or of its stage while it is
// not released. suffix chooses the document: ".spdx.json" for what is released, "_source.spdx.json" for the sources.
func (p *Project) VersionSBOM(ctx context.Context, version, suffix string) (*sbom.Document, error) {
	def, t, err := p.inForce(ctx)
	if err != nil {
		return nil, err
	}
	_, production, err := p.buckets(def)
	if err != nil {
		return nil, err
	}
	name := def.Project + "_" + version + suffix
	to := store.ReleaseLayout{Bucket: production, Project: def.Project, Version: version}
	promised, err := promisedFiles(ctx, t, to)
	if err != nil {
		return nil, fmt.Errorf("read the release statement of %s: %w", version, err)
	}
	if promised == nil {
		return p.stagedSBOM(ctx, version, suffix, store.Place(production, to.Prefix()))
	}
	data, err := readObject(ctx, production, to.File(name), sbom.MaxBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if got := digest.Bytes(data); err != nil || got != promised[name] {
		return nil, &gate.Refusal{Code: "deps-baseline-mismatch", Where: store.Place(production, to.File(name)), What: "the bill of materials is not the one that was released",
			Expected: "sha256:" + promised[name], Actual: "sha256:" + got, Fix: "sello verify " + store.Place(production, to.Prefix()) + " --trust " + TrustFile}
	}
	return format.Decode(data)
}

// stagedSBOM reads the document of a version that is not released.
func (p *Project) stagedSBOM(ctx context.Context, version, suffix, released string) (*sbom.Document, error) {
	c, s, err := p.stageOf(ctx, definition.ReleasePath(version))
	var r *gate.Refusal
	if errors.As(err, &r) {
		known, _ := p.releasedVersions(ctx)
		return nil, &gate.Refusal{Code: "deps-baseline-missing", Class: gate.Usage, Where: released, What: "there is no release and no stage of this version", Expected: orText(strings.Join(known, ", "), "a version that was released"), Actual: version,
			Fix: "name a version that was released, or the file of a bill of materials", Cause: err}
	}
	if err != nil {
		return nil, err
	}
	return s.document(ctx, c.Definition.Project+"_"+version+suffix)
}

// releasedVersions gives the versions in production, newest first, ten at most.
func (p *Project) releasedVersions(ctx context.Context) ([]string, error) {
	def, _, err := p.inForce(ctx)
	if err != nil {
		return nil, err
	}
	_, production, err := p.buckets(def)
	if err != nil {
		return nil, err
	}
	refs, err := store.Releases(ctx, production, def.Project)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, r := range refs {
		if r.Released {
			all[r.Version] = true
		}
	}
	out := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return semver.Compare(b, a) })
	return out[:min(len(out), 10)], nil
}

// PolicyOf gives the policy of the commit that a release file names, or nil.
func (p *Project) PolicyOf(ctx context.Context, version string) (*deps.Policy, error) {
	_, tip, err := p.branch(ctx)
	if err != nil {
		return nil, err
	}
	data, err := p.Repo.ReadFile(ctx, tip, definition.ReleasePath(version), maxReviewed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := definition.ParseRelease(definition.ReleasePath(version), data)
	if err != nil {
		return nil, err
	}
	at, err := p.policyAt(ctx, r.Commit)
	if err != nil || at == nil {
		return nil, err
	}
	return at.Policy, nil
}

// SourceSuffix and ReleaseSuffix choose the documents of a version.
const (
	SourceSuffix  = "_source" + stage.SBOMSuffix
	ReleaseSuffix = stage.SBOMSuffix
)

// WorkTree copies the files of the working tree that git knows, or would take up, to a folder of their own, without what
// releases leave in it. The caller calls remove.
func (p *Project) WorkTree(ctx context.Context) (dir string, remove func(), err error) {
	parent, err := p.State("dependencies")
	if err != nil {
		return "", nil, err
	}
	top, err := os.MkdirTemp(parent, "tree-")
	if err != nil {
		return "", nil, fmt.Errorf("make folder: %w", err)
	}
	remove = func() { _ = removeTree(top) }
	dir = filepath.Join(top, filepath.Base(p.Repo.Root()))
	if _, err := p.Repo.CopyWorkTree(ctx, dir, source.Limits{}); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}
