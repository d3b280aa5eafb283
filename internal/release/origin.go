package release

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/stage"
)

// modulePrefix starts the URI of a published Go module.
const modulePrefix = "pkg:golang/"

// unpinned is a source without the version that it pins: what a trust file names, for all versions.
func unpinned(source string) string {
	if !strings.HasPrefix(source, modulePrefix) {
		return source
	}
	source, _, _ = strings.Cut(source, "@")
	return source
}

// pinnedVersion is the version of the published module that a definition pins, or "".
func pinnedVersion(def *definition.Definition) string {
	if !strings.HasPrefix(def.Source, modulePrefix) {
		return ""
	}
	_, version, _ := strings.Cut(def.Source, "@")
	return version
}

// versionFits refuses a release of another version than the definition pins.
func (c *Candidate) versionFits() error {
	version := pinnedVersion(c.Definition)
	if version == "" || c.Release == nil || c.Release.Version == version {
		return nil
	}
	return &gate.Refusal{Code: "module-version-mismatch", Class: gate.Usage, Where: c.Path, What: "the definition pins another version of the module than the release file releases",
		Expected: version + " (sello.yaml: source)", Actual: c.Release.Version, Fix: "release the pinned version, or leave @" + version + " out of source:"}
}

// origin says where the candidate's source comes from: the commit, or a published module.
func (p *Project) origin(ctx context.Context, c *Candidate, fetch *gomod.Fetcher, work string) (*origin, error) {
	name, published := strings.CutPrefix(c.Definition.Source, modulePrefix)
	if !published {
		return p.gitOrigin(c), nil
	}
	name, _, _ = strings.Cut(name, "@")
	dir := filepath.Join(work, "module")
	if err := removeTree(dir); err != nil {
		return nil, fmt.Errorf("empty module folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make module folder: %w", err)
	}
	var m material.ModuleSource
	err := p.step("source "+name+"@"+c.Release.Version, func() (err error) {
		m, err = fetch.Module(ctx, name, c.Release.Version, dir)
		return err
	})
	if err != nil {
		return nil, err
	}
	pinned := material.Material{Name: "definition", Digest: map[string]string{"gitCommit": c.Commit.ID, "sha256": c.DefSHA256}}
	if c.Definition.Repository != "" {
		pinned.URI = "git+" + c.Definition.Repository
	}
	return &origin{
		source:    stage.Source{URI: modulePrefix + name + "@" + c.Release.Version, DirHash: m.H1, Time: c.Plan.Time},
		materials: []material.Material{m.Material, pinned},
		published: &m,
	}, nil
}
