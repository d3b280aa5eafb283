package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/sello-release/sello/internal/pack"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/inventory"
	"github.com/sello-release/sello/internal/sbom/spdx"
	"github.com/sello-release/sello/internal/stage"
)

// sbomSuffix names the bill of materials beside an artifact.
const sbomSuffix = ".spdx.json"

// describePlatform writes the SPDX document of each output and archive of a platform.
func (a *assembly) describePlatform(platform string) ([]stage.Artifact, error) {
	programs, err := a.readPrograms(platform)
	if err != nil {
		return nil, err
	}
	var out []stage.Artifact
	for _, s := range append(a.outputs(platform), a.archives(platform)...) {
		in, err := a.describeInput(s, programs)
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
			in, err := a.describeInput(s, programs)
			if err != nil {
				return nil, err
			}
			inputs = append(inputs, in)
		}
	}
	for _, s := range a.archives("") {
		in, err := a.describeInput(s, nil)
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
	doc, err := inventory.Folder(ctx, a.sourceRoot(), inventory.Options{Meta: meta, Files: true, Graph: a.moduleGraph()})
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
	return a.writeSBOM(in.Name+sbomSuffix, doc)
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
func (a *assembly) describeInput(s stage.Artifact, programs map[string]sbom.Binary) (sbom.Input, error) {
	in := sbom.Input{Name: s.Name, Sums: s.Sums, Kind: s.Kind, Platform: s.Platform}
	if s.Kind == stage.KindFile {
		return in, nil
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
	return sbom.Meta{
		Project: a.plan.Definition.Project, Version: a.plan.Values.Version, SourceURI: a.origin.source.URI,
		Commit: a.origin.source.Commit, Created: a.plan.Time,
	}
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

// memberLog collects the hashes of an archive's files while they are packed.
type memberLog struct {
	mu     sync.Mutex
	hashes []*sbom.FileHash
}

func (m *memberLog) tap(name string) io.Writer {
	h := sbom.NewFileHash(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hashes = append(m.hashes, h)
	return h
}

// membersPath is where the hashes of an archive's files are kept for the description.
func (a *assembly) membersPath(archive string) string { return a.path("members", archive+".json") }

// keepMembers writes what was packed beside the work, by name.
func (a *assembly) keepMembers(archive string, m *memberLog) error {
	files := []sbom.File{}
	for _, h := range m.hashes {
		files = append(files, h.File())
	}
	slices.SortFunc(files, func(x, y sbom.File) int { return strings.Compare(x.Name, y.Name) })
	data, err := json.Marshal(files)
	if err != nil {
		return fmt.Errorf("encode members: %w", err)
	}
	return writeFile(a.membersPath(archive), data)
}

// members gives the files of an archive that was packed, in this run or in an earlier one.
func (a *assembly) members(archive string) ([]sbom.File, error) {
	data, err := os.ReadFile(a.membersPath(archive))
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	var files []sbom.File
	if err := json.Unmarshal(data, &files); err != nil {
		return nil, fmt.Errorf("read members of %s: %w", archive, err)
	}
	return files, nil
}

func baseName(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// pack writes an archive and keeps what went into it.
func (a *assembly) pack(ctx context.Context, name string, entries []pack.Entry, o pack.Options) (stage.Artifact, error) {
	var members memberLog
	o.Tap = members.tap
	sums, err := a.spool(name, func(w io.Writer) error { return pack.Write(ctx, w, entries, o) })
	if err != nil {
		return stage.Artifact{}, fmt.Errorf("pack %s: %w", name, err)
	}
	return stage.Artifact{Name: name, Sums: sums}, a.keepMembers(name, &members)
}
