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

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/source"
	"github.com/sello-release/sello/internal/stage"
)

// gitOrigin is a commit as source: its tree is exported from git objects.
func (p *Project) gitOrigin(c *Candidate) *origin {
	uri := "git+" + c.Definition.Source
	return &origin{
		source:    stage.Source{URI: uri, Commit: c.Commit.ID, Tree: c.Commit.Tree, Time: c.Plan.Time},
		materials: []material.Material{{Name: "source", URI: uri, Digest: map[string]string{"gitCommit": c.Commit.ID, "gitTree": c.Commit.Tree}}},
		export: func(ctx context.Context, dest string) error {
			tree, err := p.Repo.Export(ctx, c.Commit.ID, dest, source.Limits{})
			if err != nil {
				return err
			}
			return refuseLFS(tree)
		},
	}
}

// refuseLFS refuses pointers that stand where content should be: they would be built, or shipped, as they are.
func refuseLFS(tree source.Tree) error {
	if len(tree.LFS) == 0 {
		return nil
	}
	return &gate.Refusal{Code: "source-lfs", Where: tree.LFS[0], What: "the source holds Git LFS pointers, whose content is not in the commit",
		Expected: "the content itself in git", Actual: fmt.Sprintf("%d pointer files", len(tree.LFS)), Fix: "commit the content, or remove the file from the source of the release"}
}

// exportSource puts the source into work/src, proven to be what the commit names.
func (a *assembly) exportSource(ctx context.Context) error {
	if a.origin.export == nil {
		return nil
	}
	src := a.path("src")
	if err := os.RemoveAll(src); err != nil {
		return fmt.Errorf("empty source folder: %w", err)
	}
	if err := os.MkdirAll(src, 0o755); err != nil {
		return fmt.Errorf("make source folder: %w", err)
	}
	return a.origin.export(ctx, src)
}

// fetchBuild fetches one build's toolchain and modules, or its root, and gives a digest of what they are.
func (a *assembly) fetchBuild(ctx context.Context, name string, r *flow.Run) (string, error) {
	compiles := a.plan.CompilesOf(name)
	if compiles[0].Run != nil {
		return a.fetchRun(ctx, name, *compiles[0].Run, r)
	}
	g := compiles[0].Go
	var have fetched
	err := r.Part("toolchain", func(*flow.Run) (err error) {
		have.toolchain, err = a.toolchain(ctx, g)
		return err
	})
	if err != nil {
		return "", err
	}
	work := a.path("mod-" + name)
	if err := removeTree(work); err != nil {
		return "", fmt.Errorf("empty module folder: %w", err)
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return "", fmt.Errorf("make module folder: %w", err)
	}
	var targets []material.Target
	for _, c := range compiles {
		targets = append(targets, material.Target{Name: c.Platform.String(), Env: targetEnv(c.Go.Env), Tags: c.Go.Tags, Packages: c.Go.Packages})
	}
	err = r.Part("modules", func(*flow.Run) (err error) {
		have.modules, err = a.fetch.Modules(ctx, gomod.ModulesRequest{
			Toolchain: have.toolchain, Source: a.path("src"), Dir: g.Dir, NoWorkspace: g.Env["GOWORK"] == "off", Targets: targets, Work: work, Published: a.origin.published, Times: a.times,
		})
		return err
	})
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	a.fetched[name] = have
	a.mu.Unlock()
	return fetchedKey(have)
}

// runtimeEnv are variables that a definition may set for a build and that do not choose what it reads: they stay out of the fetch phase.
var runtimeEnv = []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOWORK", "GO111MODULE"}

// targetEnv is the part of a build's environment that chooses its platform.
func targetEnv(env map[string]string) map[string]string {
	out := maps.Clone(env)
	maps.DeleteFunc(out, func(name, _ string) bool { return slices.Contains(runtimeEnv, name) })
	return out
}

// fetchedKey is the digest of what was fetched: URIs, digests and when a version was made, not when and from where it came.
func fetchedKey(f fetched) (string, error) {
	var pinned []string
	for _, m := range append([]material.Material{f.toolchain.Material}, f.modules.Materials...) {
		pinned = append(pinned, m.URI+" "+m.Name+" "+m.Digest["sha256"]+" "+m.Digest["dirHash"]+" "+m.Annotations[material.Published])
	}
	return keyOf(struct {
		Pinned   []string
		Programs map[string][]material.Program
	}{pinned, f.modules.Programs})
}

func (a *assembly) toolchain(ctx context.Context, g definition.Go) (material.Toolchain, error) {
	mod, err := a.goMod(g.Dir)
	if err != nil {
		return material.Toolchain{}, err
	}
	version, err := gomod.ToolchainFor(mod, g.Toolchain)
	if err != nil {
		return material.Toolchain{}, err
	}
	t, err := a.fetch.Toolchain(ctx, version)
	if err != nil {
		return t, err
	}
	return t, a.admit(ctx, t.Material) // it is run to find the modules
}

// goMod reads the go.mod of the module in dir.
func (a *assembly) goMod(dir string) ([]byte, error) {
	if a.origin.published != nil {
		return a.origin.published.GoMod, nil
	}
	root := a.path("src")
	top, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	defer top.Close()
	data, err := top.ReadFile(filepath.Join(filepath.FromSlash(dir), "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &gate.Refusal{Code: "go-mod-missing", Class: gate.Usage, Where: strings.TrimPrefix(dir+"/go.mod", "./"), What: "there is no Go module in the build's folder",
			Expected: "a go.mod file", Fix: "set builds[].go.dir to the folder of the module"}
	}
	return data, err
}

// removeTree removes a folder whose own folders may be read-only, as module caches are, or as deep as a hostile step could make them.
func removeTree(dir string) error { return engine.RemoveAll(dir) }
