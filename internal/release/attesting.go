package release

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
)

// attestPlatform signs the provenance of all artifacts of a platform ("" for those of none), and lays the bundle beside each of
// them: one statement for those that the Go command made, one for those that commands made, and one for what was packed
// from both. It runs in the control plane: no step ever sees the signer.
func (a *assembly) attestPlatform(ctx context.Context, platform, invocation string, signer sign.Signer) error {
	groups := map[string]*attested{}
	for _, s := range a.artifacts() {
		if s.Platform != platform {
			continue
		}
		compiles := a.compilesOf(s)
		kind := kindOf(compiles)
		if groups[kind] == nil {
			groups[kind] = &attested{platform: platform, made: map[string]bool{}}
		}
		groups[kind].add(s, compiles)
	}
	for _, kind := range slices.Sorted(maps.Keys(groups)) {
		if err := a.attest(ctx, groups[kind], invocation, signer); err != nil {
			return err
		}
	}
	return nil
}

// attested is what one provenance statement is about.
type attested struct {
	platform string
	subjects []attest.Subject
	made     map[string]bool // by these compiles
}

func (g *attested) add(s stage.Artifact, compiles []build.Compile) {
	g.subjects = append(g.subjects, attest.Subject{Name: s.Name, Digest: map[string]string{"sha256": s.SHA256, "sha512": s.SHA512}})
	for _, c := range compiles {
		g.made[c.Name()] = true
	}
}

// compilesOf gives the compiles that an artifact comes from: its build's, those of an archive's builds, or all for what is of no platform.
func (a *assembly) compilesOf(s stage.Artifact) []build.Compile {
	var builds []string
	if s.Build != "" {
		builds = []string{s.Build}
	} else {
		for _, ar := range a.plan.Archives {
			if ar.Name == s.Name || ar.Name+stage.SBOMSuffix == s.Name {
				builds = ar.Builds
			}
		}
	}
	var out []build.Compile
	for _, c := range a.plan.Compiles {
		if (s.Platform == "" || c.Platform.String() == s.Platform) && (len(builds) == 0 || slices.Contains(builds, c.Build)) {
			out = append(out, c)
		}
	}
	return out
}

// kindOf names what made an artifact: go, run, or both.
func kindOf(compiles []build.Compile) string {
	commands := 0
	for _, c := range compiles {
		if c.Run != nil {
			commands++
		}
	}
	switch commands {
	case 0:
		return "go"
	case len(compiles):
		return "run"
	}
	return "both"
}

func (a *assembly) attest(ctx context.Context, g *attested, invocation string, signer sign.Signer) error {
	statement, err := attest.NewProvenance(g.subjects, a.provenance(g, invocation))
	if err != nil {
		return err
	}
	payload, err := statement.Encode()
	if err != nil {
		return err
	}
	bundle, err := sign.SignStatement(ctx, signer, attest.PayloadType, payload)
	if err != nil {
		return fmt.Errorf("sign provenance: %w", err)
	}
	for _, s := range g.subjects {
		if err := writeFile(a.filePath(s.Name+stage.BundleSuffix), bundle); err != nil {
			return fmt.Errorf("write provenance: %w", err)
		}
	}
	return nil
}

// newProvenance describes a build of the release's source by this machine's engine.
func (a *assembly) newProvenance(buildType, entryPoint, invocation string) attest.Provenance {
	info := a.project.Engine.Info()
	return attest.Provenance{
		BuildDefinition: attest.BuildDefinition{
			BuildType: buildType,
			ExternalParameters: attest.ExternalParameters{
				Source:     attest.SourceParameter{URI: a.origin.source.URI, Digest: sourceDigest(a.origin.source)},
				EntryPoint: entryPoint,
			},
			InternalParameters: map[string]any{"engine": info.Name},
		},
		RunDetails: attest.RunDetails{
			Builder:  attest.Builder{ID: info.BuilderID, Version: map[string]string{"sello": a.project.Tool, info.Name: info.Version}},
			Metadata: attest.Metadata{InvocationID: invocation},
		},
	}
}

// took widens the run's time by a part of it.
func took(m *attest.Metadata, started, finished time.Time) {
	if m.StartedOn.IsZero() || started.Before(m.StartedOn) {
		m.StartedOn = started
	}
	if finished.After(m.FinishedOn) {
		m.FinishedOn = finished
	}
}

// provenance describes how artifacts were made. Its dependencies are the mount tables of the steps that made them; what
// depends on no platform was packed from the source and from all of them. What commands had a part in is of their type, which claims less.
func (a *assembly) provenance(g *attested, invocation string) attest.Provenance {
	compiles := slices.DeleteFunc(slices.Clone(a.plan.Compiles), func(c build.Compile) bool { return !g.made[c.Name()] })
	buildType := attest.GoBuildType
	if kindOf(compiles) != "go" {
		buildType = attest.RunBuildType
	}
	p := a.newProvenance(buildType, entryPoint(compiles), invocation)
	if g.platform != "" {
		p.BuildDefinition.InternalParameters["platform"] = g.platform
	}
	materials, checked := slices.Clone(a.origin.materials), []material.Material(nil)
	isolation := map[string]any{}
	for _, c := range compiles {
		done := a.compiled[c.Name()].Value()
		materials = append(materials, done.Materials...)
		isolation[c.Name()] = done.Isolation
		p.RunDetails.Byproducts = append(p.RunDetails.Byproducts, done.Log)
		if c.Run == nil { // a vendored build reads the source alone; what its vendor folder was compared with is told beside that
			checked = append(checked, a.of(c.Build).modules.VendorChecked...)
		}
		took(&p.RunDetails.Metadata, done.Started, done.Finished)
	}
	p.BuildDefinition.InternalParameters["isolation"] = isolation
	p.RunDetails.Byproducts = append(p.RunDetails.Byproducts, distinct(checked)...)
	p.BuildDefinition.ResolvedDependencies = distinct(materials)
	return p
}

// entryPoint names the definition, and the build in it when there is just one.
func entryPoint(compiles []build.Compile) string {
	var builds []string
	for _, c := range compiles {
		if !slices.Contains(builds, c.Build) {
			builds = append(builds, c.Build)
		}
	}
	if len(builds) == 1 {
		return "sello.yaml#builds." + builds[0]
	}
	return "sello.yaml"
}

func sourceDigest(s stage.Source) map[string]string {
	if s.Commit != "" {
		return map[string]string{"gitCommit": s.Commit}
	}
	return map[string]string{"dirHash": s.DirHash}
}

// distinct sorts materials and drops repeated ones. Where they were downloaded from stays in the journal: it may
// be the name of a private proxy, and the digest says all that a verifier needs.
func distinct(ms []material.Material) []material.Material {
	for i := range ms {
		ms[i].DownloadLocation = ""
	}
	key := func(m material.Material) string {
		return m.URI + "\x00" + m.Name + "\x00" + m.Digest["sha256"] + "\x00" + m.Digest["gitCommit"]
	}
	slices.SortStableFunc(ms, func(x, y material.Material) int { return cmp.Compare(key(x), key(y)) })
	return slices.CompactFunc(ms, func(x, y material.Material) bool { return key(x) == key(y) })
}

// platforms gives the platforms that have artifacts, "" (none) last.
func (a *assembly) platforms() []string {
	var out []string
	for _, p := range a.plan.Platforms() {
		out = append(out, p.String())
	}
	return append(out, "")
}

// stage makes stage.json's content from what was assembled.
func (a *assembly) stage(c *Candidate) stage.Stage {
	def := stage.Definition{Path: "sello.yaml", SHA256: c.DefSHA256}
	if a.origin.published != nil {
		def.Commit = c.Commit.ID
	}
	evidence := slices.Clone(c.Definition.Policy.Evidence)
	slices.Sort(evidence)
	return stage.Stage{
		Type: stage.Type, Project: c.Definition.Project, Version: c.Release.Version, Channel: c.Release.Channel,
		Source: a.origin.source, Definition: def, Artifacts: a.artifacts(), Images: a.stageImages(c.Release.Channel), Evidence: slices.Compact(evidence),
	}
}

// writeFile writes a small file whole or not at all.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+strings.TrimPrefix(filepath.Base(path), ".")+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Chmod(0o644); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
