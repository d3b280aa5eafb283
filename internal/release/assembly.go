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

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/licenses"
	"github.com/sello-release/sello/internal/stage"
)

// assembly builds one plan in one work folder: the part of staging that is the same for a
// stage, a manager's rebuild and a local try. Its steps hand their results to each other as tasks.
//
//	work/src      the exported source, proven to be the commit's tree
//	work/mod-*    module caches, one a build
//	work/out      what steps may write to
//	work/run      copies of the source that commands work on
//	work/files    the release's files under their final names
//	work/images   the blobs of images
//	work/logs     one log a step
type assembly struct {
	project *Project
	plan    *build.Plan
	work    string
	fetch   *gomod.Fetcher
	origin  *origin
	times   bool           // ask when the versions of modules were made
	inputs  *inputPolicies // what inputs are held to before a step reads them; nil where nothing is asked for

	made, cached func() (*image.Blobs, error) // folders of blobs, opened at the first use
	licenses     func() sbom.Licenses         // of the modules that were fetched

	mu      sync.Mutex
	fetched map[string]fetched            // by build
	bases   map[string]ocispec.Descriptor // of fetched images, as the definition names them
	roots   map[string]engine.Root        // unpacked and proven in this run, by the manifest's digest
	claimed map[string]string             // names of outputs, in lower case: the build that left them

	unpacking sync.Mutex

	basesAt   map[string]flow.Node            // the fetches of base images, by the image's name
	compiled  map[string]*flow.Task[Compiled] // by the compile's name
	packed    []*flow.Task[stage.Artifact]
	images    []*imageSteps
	described []*flow.Task[[]stage.Artifact]
	summed    *flow.Task[[]stage.Artifact]
}

// origin is where the source comes from and how it gets into the work folder.
type origin struct {
	source    stage.Source
	materials []material.Material
	published *material.ModuleSource                       // when the source is a published module
	export    func(ctx context.Context, dest string) error // nil when the source is a published module
}

// fetched is what the fetch phase found for one build: toolchain and modules for Go, a root for a command.
type fetched struct {
	toolchain material.Toolchain
	modules   material.Modules
	root      engine.Root
}

// Compiled is what one compile left: the binaries and other files under their final names, and what the engine observed.
type Compiled struct {
	Binaries  []stage.Artifact    `json:"binaries"`
	Files     []stage.Artifact    `json:"files,omitempty"`
	Contents  map[string]content  `json:"contents"` // of both, by name
	Started   time.Time           `json:"started"`
	Finished  time.Time           `json:"finished"`
	Isolation engine.Isolation    `json:"isolation"`
	Materials []material.Material `json:"materials"`
	Log       material.Material   `json:"log"`
}

func newAssembly(p *Project, plan *build.Plan, o *origin, fetch *gomod.Fetcher, work string) (*assembly, error) {
	a := &assembly{project: p, plan: plan, work: work, origin: o, fetch: fetch, fetched: map[string]fetched{}, bases: map[string]ocispec.Descriptor{},
		roots: map[string]engine.Root{}, claimed: map[string]string{}, basesAt: map[string]flow.Node{}, compiled: map[string]*flow.Task[Compiled]{}}
	a.licenses = sync.OnceValue(func() sbom.Licenses { return licenses.New(a.licensePlaces()) }) // asked for when everything is fetched
	a.made = sync.OnceValues(func() (*image.Blobs, error) { return openBlobs(a.path(stage.ImagesFolder)) })
	a.cached = sync.OnceValues(func() (*image.Blobs, error) { return openBlobs(filepath.Join(p.CacheDir, "images")) })
	for _, dir := range []string{"out", "files", "logs"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
			return nil, fmt.Errorf("make work folder: %w", err)
		}
	}
	return a, nil
}

// path gives a path in the work folder.
func (a *assembly) path(elem ...string) string {
	return filepath.Join(append([]string{a.work}, elem...)...)
}

// filePath gives where the release file called name stands in the work folder.
func (a *assembly) filePath(name string) string {
	return a.path("files", filepath.FromSlash(name))
}

// binaries gives the compiled binaries, of one platform or ("") of all, by name.
func (a *assembly) binaries(platform string) []stage.Artifact {
	var out []stage.Artifact
	for _, c := range a.plan.Compiles {
		if platform == "" || c.Platform.String() == platform {
			out = append(out, a.compiled[c.Name()].Value().Binaries...)
		}
	}
	return byName(out)
}

// outputs gives everything that builds left, of one platform or ("") of all, by name.
func (a *assembly) outputs(platform string) []stage.Artifact {
	return byName(append(a.binaries(platform), a.filesOf(platform)...))
}

// filesOf gives what builds left besides binaries.
func (a *assembly) filesOf(platform string) []stage.Artifact {
	var out []stage.Artifact
	for _, c := range a.plan.Compiles {
		if platform == "" || c.Platform.String() == platform {
			out = append(out, a.compiled[c.Name()].Value().Files...)
		}
	}
	return out
}

// archives gives the packed archives of one platform; "" is the source archive.
func (a *assembly) archives(platform string) []stage.Artifact {
	var out []stage.Artifact
	for i, t := range a.packed {
		of := "" // the source archive comes last
		if i < len(a.plan.Archives) {
			of = a.plan.Archives[i].Platform.String()
		}
		if of == platform {
			out = append(out, t.Value())
		}
	}
	return byName(out)
}

// shipped gives everything that a release ships but its checksum files.
func (a *assembly) shipped() []stage.Artifact {
	out := a.outputs("")
	for _, t := range a.packed {
		out = append(out, t.Value())
	}
	for _, t := range a.described {
		out = append(out, t.Value()...)
	}
	return byName(out)
}

// artifacts gives everything that a release ships.
func (a *assembly) artifacts() []stage.Artifact {
	return byName(append(a.shipped(), a.summed.Value()...))
}

func byName(artifacts []stage.Artifact) []stage.Artifact {
	slices.SortFunc(artifacts, func(x, y stage.Artifact) int { return strings.Compare(x.Name, y.Name) })
	return artifacts
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

// of gives what was fetched for a build.
func (a *assembly) of(build string) fetched {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fetched[build]
}
