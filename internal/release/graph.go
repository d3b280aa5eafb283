package release

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/stage"
)

// parallelBuilds is how many compiles run at once: while one links, on one core, the other compiles.
const parallelBuilds = 2

// graph has the steps that make the release's files, in the order of the flow: source, fetch,
// build, pack, describe, checksums.
func (a *assembly) graph() *flow.Graph {
	g := flow.New()
	source, files := a.addFiles(g)
	a.addImages(g, source)
	a.addDescriptions(g, files)
	needs := append([]flow.Node{}, files...)
	for _, t := range a.described {
		needs = append(needs, t)
	}
	a.summed = flow.Add(g, flow.Step[[]stage.Artifact]{Name: "checksums", Needs: needs, Run: func(context.Context, *flow.Run) ([]stage.Artifact, error) {
		return a.checksums()
	}})
	return g
}

// addFiles adds the steps up to the packed archives, and gives the export of the source, and the compiles and packs.
func (a *assembly) addFiles(g *flow.Graph) (source flow.Node, files []flow.Node) {
	source = flow.Add(g, flow.Step[string]{Name: "source", Run: func(ctx context.Context, _ *flow.Run) (string, error) {
		return a.origin.source.Tree + a.origin.source.DirHash, a.exportSource(ctx)
	}})
	fetches := map[string]flow.Node{}
	for _, name := range a.buildNames() {
		fetches[name] = flow.Add(g, flow.Step[string]{Name: "fetch/" + name, Needs: flow.Needs(source), Group: "fetch", Run: func(ctx context.Context, r *flow.Run) (string, error) {
			return a.fetchBuild(ctx, name, r)
		}})
	}
	a.addBases(g, source)
	judged := a.addInputs(g, fetches)
	var compiles []flow.Node
	for _, name := range a.buildNames() {
		for _, c := range a.plan.CompilesOf(name) {
			a.compiled[c.Name()] = a.addCompile(g, c, append([]flow.Node{fetches[name]}, judged...))
			compiles = append(compiles, a.compiled[c.Name()])
		}
	}
	a.addPacks(g, source)
	for _, t := range a.packed {
		compiles = append(compiles, t)
	}
	return source, compiles
}

// addInputs adds the step that holds everything that was fetched to the rules about inputs: no step that would read it starts before. There is none
// where nothing is asked for.
func (a *assembly) addInputs(g *flow.Graph, fetches map[string]flow.Node) []flow.Node {
	if a.inputs == nil || len(a.inputs.all) == 0 {
		return nil
	}
	var needs []flow.Node
	for _, name := range a.buildNames() {
		needs = append(needs, fetches[name])
	}
	for _, img := range a.plan.Images {
		if fetch := a.basesAt[img.Name]; fetch != nil {
			needs = append(needs, fetch)
		}
	}
	return flow.Needs(flow.Add(g, flow.Step[string]{Name: "inputs", Needs: needs, Run: func(ctx context.Context, _ *flow.Run) (string, error) {
		return "", a.judgeInputs(ctx)
	}}))
}

func (a *assembly) addCompile(g *flow.Graph, c build.Compile, needs []flow.Node) *flow.Task[Compiled] {
	return flow.Add(g, flow.Step[Compiled]{
		Name: c.Name(), Needs: needs, Group: "build",
		Key: func() (string, error) {
			return keyOf(struct {
				Compile build.Compile
				Builder string
				Version string
			}{c, a.project.Engine.Info().BuilderID, a.plan.Values.Version})
		},
		Run:   func(ctx context.Context, r *flow.Run) (Compiled, error) { return a.compile(ctx, c, r) },
		Valid: func(done Compiled) error { return a.stillThere(slices.Concat(done.Binaries, done.Files)...) },
	})
}

func (a *assembly) addPacks(g *flow.Graph, source flow.Node) {
	for _, ar := range a.plan.Archives {
		needs := flow.Needs(source)
		for _, c := range a.plan.Compiles {
			if c.Platform == ar.Platform {
				needs = append(needs, a.compiled[c.Name()])
			}
		}
		a.packed = append(a.packed, flow.Add(g, flow.Step[stage.Artifact]{
			Name: "pack/" + ar.Name, Needs: needs, Group: "pack",
			Key:   func() (string, error) { return keyOf(ar) },
			Run:   func(ctx context.Context, _ *flow.Run) (stage.Artifact, error) { return a.packArchive(ctx, ar) },
			Valid: a.packedStillThere,
		}))
	}
	if a.plan.Source != "" {
		a.packed = append(a.packed, flow.Add(g, flow.Step[stage.Artifact]{
			Name: "pack/" + a.plan.Source, Needs: flow.Needs(source), Group: "pack",
			Key:   func() (string, error) { return keyOf(a.plan.Source) },
			Run:   func(ctx context.Context, _ *flow.Run) (stage.Artifact, error) { return a.packSource(ctx) },
			Valid: a.packedStillThere,
		}))
	}
}

// addDescriptions adds one step a platform, one for the source archive and one for the whole release.
func (a *assembly) addDescriptions(g *flow.Graph, files []flow.Node) {
	for _, platform := range a.plan.Platforms() {
		needs := a.nodesOf(platform.String())
		a.described = append(a.described, flow.Add(g, flow.Step[[]stage.Artifact]{
			Name: "describe/" + platform.String(), Needs: needs,
			Run: func(ctx context.Context, _ *flow.Run) ([]stage.Artifact, error) {
				return a.describePlatform(ctx, platform.String())
			},
		}))
	}
	a.described = append(a.described, flow.Add(g, flow.Step[[]stage.Artifact]{
		Name: "describe/release", Needs: files,
		Run: func(ctx context.Context, _ *flow.Run) ([]stage.Artifact, error) { return a.describeRelease(ctx) },
	}))
}

// nodesOf gives the compiles and packs of a platform.
func (a *assembly) nodesOf(platform string) []flow.Node {
	var needs []flow.Node
	for _, c := range a.plan.Compiles {
		if c.Platform.String() == platform {
			needs = append(needs, a.compiled[c.Name()])
		}
	}
	for i, ar := range a.plan.Archives {
		if ar.Platform.String() == platform {
			needs = append(needs, a.packed[i])
		}
	}
	return needs
}

// runGraph runs the graph with a journal in the work folder.
func (a *assembly) runGraph(ctx context.Context, g *flow.Graph, verb string) error {
	journal, err := flow.OpenJournal(a.path("journal.jsonl"))
	if err != nil {
		return err
	}
	defer journal.Close()
	_, err = g.Run(ctx, flow.Options{
		Journal: journal, Sink: a.project.Events, Verb: verb, LogDir: a.path("logs"), Filter: a.project.Filter,
		Limits: map[string]int{"build": parallelBuilds, "pack": 2},
	})
	return err
}

// keyOf is the digest of a step's configuration.
func keyOf(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode step: %w", err)
	}
	return digest.Bytes(data), nil
}
