package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/pack"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/inventory"
	"github.com/sello-release/sello/internal/sbom/licenses"
	"github.com/sello-release/sello/internal/sbom/spdx"
	"github.com/sello-release/sello/internal/stage"
)

// describePlatform writes the SPDX document of each output and archive of a platform.
func (a *assembly) describePlatform(ctx context.Context, platform string) ([]stage.Artifact, error) {
	programs, err := a.readPrograms(platform)
	if err != nil {
		return nil, err
	}
	var out []stage.Artifact
	for _, s := range append(a.outputs(platform), a.archives(platform)...) {
		in, err := a.describeInput(ctx, s, programs)
		if err != nil {
			return nil, err
		}
		made, err := a.describe(in)
		if err != nil {
			return nil, err
		}
		made.Platform, made.Build = s.Platform, s.Build
		out = append(out, made)
	}
	return out, nil
}

// describeRelease writes the documents of the sources, of the source archive and of the whole release, which names that of the
// sources by its digest.
func (a *assembly) describeRelease(ctx context.Context) ([]stage.Artifact, error) {
	source, linked, err := a.describeSource(ctx)
	if err != nil {
		return nil, err
	}
	out := []stage.Artifact{source}
	var inputs []sbom.Input
	for _, platform := range a.plan.Platforms() {
		programs, err := a.readPrograms(platform.String())
		if err != nil {
			return nil, err
		}
		for _, s := range append(a.outputs(platform.String()), a.archives(platform.String())...) {
			in, err := a.describeInput(ctx, s, programs)
			if err != nil {
				return nil, err
			}
			inputs = append(inputs, in)
		}
	}
	for _, s := range a.archives("") {
		in, err := a.describeInput(ctx, s, nil)
		if err != nil {
			return nil, err
		}
		made, err := a.describe(in)
		if err != nil {
			return nil, err
		}
		inputs, out = append(inputs, in), append(out, made)
	}
	meta := a.sbomMeta()
	meta.SourceDoc = linked
	model, err := sbom.ForRelease(meta, inputs, a.moduleGraph())
	if err != nil {
		return nil, fmt.Errorf("describe release: %w", err)
	}
	doc, err := spdx.JSON(model)
	if err != nil {
		return nil, err
	}
	made, err := a.writeSBOM(releaseSBOM(a.plan), doc)
	return append(out, made), err
}

// describeSource writes the document of the sources: their files, and everything that they need. What is on this machine besides
// them has no influence, so that whoever stages the same commit gets the same bytes.
func (a *assembly) describeSource(ctx context.Context) (stage.Artifact, *sbom.Linked, error) {
	meta := a.sbomMeta()
	doc, err := inventory.Folder(ctx, a.sourceRoot(), inventory.Options{Meta: meta, Files: true, Graph: a.moduleGraph(), Go: a.goVersion()})
	if err != nil {
		return stage.Artifact{}, nil, fmt.Errorf("describe source: %w", err)
	}
	data, err := spdx.JSON(doc)
	if err != nil {
		return stage.Artifact{}, nil, err
	}
	made, err := a.writeSBOM(sourceSBOM(a.plan), data)
	linked := &sbom.Linked{Namespace: doc.Namespace, SHA256: made.SHA256}
	for _, r := range doc.Relations {
		if r.From == sbom.DocumentID && r.Kind == sbom.Describes {
			linked.Element = r.To
		}
	}
	return made, linked, err
}

func (a *assembly) describe(in sbom.Input) (stage.Artifact, error) {
	model, err := sbom.ForArtifact(a.sbomMeta(), in, a.moduleGraph())
	if err != nil {
		return stage.Artifact{}, fmt.Errorf("describe %s: %w", in.Name, err)
	}
	doc, err := spdx.JSON(model)
	if err != nil {
		return stage.Artifact{}, err
	}
	return a.writeSBOM(in.Name+stage.SBOMSuffix, doc)
}

func (a *assembly) writeSBOM(name string, doc []byte) (stage.Artifact, error) {
	sums, err := a.spool(name, func(w io.Writer) error {
		_, err := w.Write(doc)
		return err
	})
	return stage.Artifact{Name: name, Kind: stage.KindSBOM, Sums: sums}, err
}

// readPrograms reads the build information of a platform's binaries, by artifact name.
func (a *assembly) readPrograms(platform string) (map[string]sbom.Binary, error) {
	return a.readBinaries(a.binaries(platform))
}

func (a *assembly) readBinaries(binaries []stage.Artifact) (map[string]sbom.Binary, error) {
	out := map[string]sbom.Binary{}
	for _, s := range binaries {
		f, err := os.Open(a.filePath(s.Name))
		if err != nil {
			return nil, fmt.Errorf("open binary: %w", err)
		}
		b, err := sbom.ReadBinary(f)
		f.Close()
		if errors.Is(err, sbom.ErrNotGo) {
			continue // or its build information was stripped away: there is nothing to say but its digest
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", s.Name, err)
		}
		out[s.Name] = *b
	}
	return out, nil
}

// describeInput says what an artifact consists of: a binary of itself, an archive of the files that went in.
func (a *assembly) describeInput(ctx context.Context, s stage.Artifact, programs map[string]sbom.Binary) (sbom.Input, error) {
	in := sbom.Input{Name: s.Name, Sums: s.Sums, Kind: s.Kind, Platform: s.Platform}
	if s.Kind == stage.KindFile {
		var err error
		in.Inside, err = a.inside(ctx, a.path("files"), map[string]string{s.Name: s.SHA256})
		return in, err
	}
	if s.Kind == stage.KindBinary {
		if b, ok := programs[s.Name]; ok {
			in.Binaries = []sbom.Binary{b}
		}
		return in, nil
	}
	files, err := a.members(s.Name)
	if err != nil {
		return in, err
	}
	in.Files = files
	if in.Inside, err = a.foreign(ctx, s, files); err != nil {
		return in, err
	}
	for _, f := range files {
		for name, b := range programs {
			if strings.HasSuffix(name, "/"+baseName(f.Name)) && a.sha256Of(s.Platform, name) == f.SHA256 {
				b.Name = f.Name
				in.Binaries = append(in.Binaries, b)
			}
		}
	}
	return in, nil
}

// foreign looks into the files of an archive that are not compiled here: those of the source, and those that builds left.
func (a *assembly) foreign(ctx context.Context, s stage.Artifact, files []sbom.File) (map[string]sbom.Content, error) {
	prefix := strings.TrimSuffix(s.Name, ".tar.gz") + "/"
	for _, ar := range a.plan.Archives {
		if ar.Name == s.Name {
			prefix = strings.TrimPrefix(ar.Prefix+"/", "/")
		}
	}
	made := map[string]stage.Artifact{}
	for _, o := range a.outputs(s.Platform) {
		made[o.SHA256] = o
	}
	outputs, sources := map[string]string{}, map[string]string{}
	for _, f := range files {
		switch o, ok := made[f.SHA256]; {
		case !ok:
			sources[strings.TrimPrefix(f.Name, prefix)] = f.SHA256
		case o.Kind == stage.KindFile:
			outputs[o.Name] = f.SHA256
		}
	}
	out, err := a.inside(ctx, a.sourceRoot(), sources)
	if err != nil {
		return nil, err
	}
	more, err := a.inside(ctx, a.path("files"), outputs)
	maps.Copy(out, more)
	return out, err
}

// inside looks into files, given as digests by paths below root, and gives what is in those that are programs or archives, by digest.
func (a *assembly) inside(ctx context.Context, root string, files map[string]string) (map[string]sbom.Content, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("open files: %w", err)
	}
	defer dir.Close()
	out := map[string]sbom.Content{}
	for _, at := range slices.Sorted(maps.Keys(files)) {
		c, err := inventory.Inside(ctx, dir, filepath.FromSlash(at))
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", at, err)
		}
		if c == nil {
			continue
		}
		if c.SHA256() != files[at] {
			return nil, &gate.Refusal{Code: inventory.CodeChanged, Class: gate.Failed, What: "a file changed after it was packed", Where: at, Expected: "sha256:" + files[at], Actual: "sha256:" + c.SHA256(),
				Fix: "look for what changes files in the work folder, or for a failing disk; then run the same command again"}
		}
		out[files[at]] = c
	}
	return out, nil
}

// sha256Of gives the digest of a compiled binary of a platform.
func (a *assembly) sha256Of(platform, name string) string {
	for _, s := range a.binaries(platform) {
		if s.Name == name {
			return s.SHA256
		}
	}
	return ""
}

func (a *assembly) sbomMeta() sbom.Meta {
	supplier := sbom.Agent{Kind: sbom.AgentOrganization, Name: a.plan.Definition.Project}
	return sbom.Meta{
		Supplier: supplier, Authors: []sbom.Agent{supplier}, Published: a.published(), Phase: sbom.PhaseBuild, Origins: a.moduleSums(),
		Project: a.plan.Definition.Project, Version: a.plan.Values.Version, SourceURI: a.origin.source.URI,
		Commit: a.origin.source.Commit, Created: a.plan.Time, Licenses: a.licenses(),
	}
}

// published is the URL of the folder in production that will hold the release; "" when production is on this machine.
func (a *assembly) published() string {
	def := a.plan.Definition
	for _, scheme := range []string{"s3://", "gs://", "azblob://"} {
		if strings.HasPrefix(def.Production, scheme) {
			at, _, _ := strings.Cut(def.Production, "?") // what follows are settings of who copies
			return strings.TrimSuffix(at, "/") + "/" + def.Project + "/" + a.plan.Values.Version
		}
	}
	return ""
}

// moduleSums implements sbom.Origins with what was fetched: the SHA-256 that go.sum has of each module (h1, over the names and hashes of its
// files), by path@version, as others give it, too. That of its zip depends on who packed it, and is left to the provenance as is
// where it was fetched from: with another proxy the same commit has to come to the same bytes.
type moduleSums map[string]string

// Module implements sbom.Origins.
func (m moduleSums) Module(path, version string) (o sbom.Origin) {
	if sum := m[path+"@"+version]; sum != "" {
		o.Checksums = []sbom.Checksum{{Algorithm: sbom.SHA256, Value: sum}}
	}
	return o
}

func (a *assembly) moduleSums() moduleSums {
	sums := moduleSums{}
	for _, name := range a.buildNames() {
		for _, m := range a.of(name).modules.Materials {
			if hash := m.Digest["dirHash"]; digest.IsSHA256(hash) {
				sums[m.Name] = hash
			}
		}
	}
	return sums
}

// goVersion names the toolchain of the release's builds, "" when there are several or none.
func (a *assembly) goVersion() string {
	all := map[string]bool{}
	for _, name := range a.buildNames() {
		if v := a.of(name).toolchain.Version; v != "" {
			all[v] = true
		}
	}
	if len(all) != 1 {
		return ""
	}
	return slices.Collect(maps.Keys(all))[0]
}

// licensePlaces are where the modules of the release's builds are, and their toolchains: what the builds mounted, and nothing else of this machine.
func (a *assembly) licensePlaces() licenses.Places {
	p := licenses.Places{Own: map[string]string{}, Toolchains: map[string]string{}}
	for _, name := range a.buildNames() {
		have := a.of(name)
		if have.modules.Cache != "" {
			p.Caches = append(p.Caches, have.modules.Cache)
		}
		p.Toolchains[strings.TrimPrefix(have.toolchain.Version, "go")] = have.toolchain.Root
		if a.origin.published != nil {
			continue
		}
		if have.modules.Vendored {
			p.Vendors = append(p.Vendors, filepath.Join(a.sourceRoot(), "vendor"))
		}
		for _, programs := range have.modules.Programs {
			for _, program := range programs {
				p.Own[program.Module] = a.sourceRoot()
			}
		}
	}
	if o := a.origin.published; o != nil {
		p.Own[o.Path] = o.Dir
	}
	return p
}

// moduleGraph joins the import graphs of all builds.
func (a *assembly) moduleGraph() sbom.Graph {
	g := sbom.Graph{}
	for _, name := range a.buildNames() {
		for _, e := range a.of(name).modules.Graph {
			if !slices.Contains(g[e.From], e.To) {
				g[e.From] = append(g[e.From], e.To)
			}
		}
	}
	return g
}

func baseName(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// pack writes an archive and keeps what went into it; known are the files whose content is known.
func (a *assembly) pack(ctx context.Context, name string, entries []pack.Entry, known map[string]content, o pack.Options) (stage.Artifact, error) {
	members := memberLog{known: known}
	o.Tap = members.tap
	sums, err := a.spool(name, func(w io.Writer) error { return pack.Write(ctx, w, entries, o) })
	if err != nil {
		return stage.Artifact{}, fmt.Errorf("pack %s: %w", name, err)
	}
	return stage.Artifact{Name: name, Sums: sums}, a.keepMembers(name, &members)
}
