package release

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/stage"
)

// assembly builds one plan in one work folder: the part of staging that is the same for a
// stage, a manager's rebuild and a local try. It holds what its steps hand to each other.
//
//	work/src      the exported source, proven to be the commit's tree
//	work/mod-*    module caches, one a build
//	work/out      what steps may write to
//	work/files    the release's files under their final names
//	work/logs     one log a step
type assembly struct {
	project *Project
	plan    *build.Plan
	work    string
	fetch   *material.Fetcher
	origin  origin
	run     string // invocation id

	mu         sync.Mutex
	toolchains map[string]material.Toolchain // by build
	modules    map[string]material.Modules   // by build
	compiled   map[string]Compiled           // by compile name
	artifacts  []stage.Artifact
}

// origin is where the source comes from and how it gets into the work folder.
type origin struct {
	source    stage.Source
	materials []material.Material
	published *material.ModuleSource // when the source is a published module
	export    func(ctx context.Context, dest string) error
}

// Compiled is what one compile left: the binaries under their final names, and what the engine observed.
type Compiled struct {
	Binaries  []stage.Artifact    `json:"binaries"`
	Started   time.Time           `json:"started"`
	Finished  time.Time           `json:"finished"`
	Isolation engine.Isolation    `json:"isolation"`
	Materials []material.Material `json:"materials"`
	Log       material.Material   `json:"log"`
}

func newAssembly(p *Project, plan *build.Plan, o origin, work, run string) (*assembly, error) {
	a := &assembly{
		project: p, plan: plan, work: work, origin: o, run: run,
		toolchains: map[string]material.Toolchain{}, modules: map[string]material.Modules{}, compiled: map[string]Compiled{},
	}
	for _, dir := range []string{"out", "files", "logs"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
			return nil, fmt.Errorf("make work folder: %w", err)
		}
	}
	var err error
	a.fetch, err = material.New(material.Options{CacheDir: p.CacheDir, Progress: p.note})
	return a, err
}

// path gives a path in the work folder.
func (a *assembly) path(elem ...string) string {
	return filepath.Join(append([]string{a.work}, elem...)...)
}

// filePath gives where the release file called name stands in the work folder.
func (a *assembly) filePath(name string) string {
	return a.path("files", filepath.FromSlash(name))
}

// add records artifacts of the release.
func (a *assembly) add(artifacts ...stage.Artifact) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.artifacts = append(a.artifacts, artifacts...)
}

// sorted gives the artifacts so far, by name.
func (a *assembly) sorted() []stage.Artifact {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := slices.Clone(a.artifacts)
	slices.SortFunc(out, func(x, y stage.Artifact) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// buildNames gives the names of the plan's builds, in plan order.
func (a *assembly) buildNames() []string {
	var out []string
	for _, c := range a.plan.Compiles {
		if !slices.Contains(out, c.Build) {
			out = append(out, c.Build)
		}
	}
	return out
}

// logFile opens a step's log for writing, emptying it.
func (a *assembly) logFile(step string) (*os.File, error) {
	name := strings.ReplaceAll(step, "/", "_") + ".log"
	return os.OpenFile(a.path("logs", name), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
}
