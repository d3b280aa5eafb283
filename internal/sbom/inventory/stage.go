package inventory

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/stage"
)

// CodeStage refuses a stage of which a file is not what stage.json says.
const CodeStage = "sbom-stage-mismatch"

// ofStage describes a stage, or the folder of a release: everything that stage.json lists, each file held to its digest.
func ofStage(ctx context.Context, path string, o Options) (*sbom.Document, error) {
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer dir.Close()
	data, err := readText(dir, stage.FileName)
	if err != nil {
		return nil, unreadable(filepath.Join(path, stage.FileName), err)
	}
	s, err := stage.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read stage: %w", err)
	}
	meta := o.Meta
	meta.Project, meta.Version = cmp.Or(meta.Project, s.Project), s.Version
	meta.SourceURI, meta.Commit, meta.Created = cmp.Or(meta.SourceURI, s.Source.URI), s.Source.Commit, s.Source.Time
	meta.Phase = cmp.Or(meta.Phase, sbom.PhasePostBuild)
	d, err := newDescriber(meta, o)
	if err != nil {
		return nil, err
	}
	root := d.root(&sbom.Package{Name: meta.Project, Version: meta.Version, Purpose: sbom.PurposeApplication})
	if err := d.artifacts(ctx, root, dir, s, o.Limits); err != nil {
		return nil, err
	}
	for _, i := range s.Images {
		id := d.b.Add(&sbom.Package{ID: sbom.ElementID("Image", i.Name, i.Index), Name: i.Name, Version: i.Index, Purpose: sbom.PurposeContainer,
			PURL: sbom.ImagePURL(i.Name, i.Index[len("sha256:"):], "")})
		d.b.Relate(root, sbom.Contains, id)
		d.b.Note(id, "What the image consists of stands in the bill of materials that is attested to it")
	}
	return d.b.Document(meta.Project + "_" + meta.Version), nil
}

// artifacts describes the files of a stage. Bills of materials and checksums describe others and are left out.
func (d *describer) artifacts(ctx context.Context, root string, dir *os.Root, s *stage.Stage, l Limits) error {
	below := "files"
	if _, err := dir.Stat(below); err != nil {
		below = "." // a release has its files beside stage.json
	}
	var left atomic.Int64
	left.Store(int64(l.Files))
	learn, learned := learner(d.meta.Licenses)
	defer learned()
	for _, a := range s.Artifacts {
		if a.Kind == stage.KindSBOM || a.Kind == stage.KindChecksum {
			continue
		}
		at := filepath.Join(below, filepath.FromSlash(a.Name))
		n, flaw, err := lookAt(ctx, dir.Open, at, a.Name, l, &left, learn)
		if err != nil {
			return err
		}
		if flaw != nil {
			return flaw.refusal(a.Name)
		}
		if n.sums.sha256 != a.SHA256 || n.size != a.Size {
			return &gate.Refusal{Code: CodeStage, What: "a file is not the one that was staged", Where: a.Name, Expected: "sha256:" + a.SHA256, Actual: "sha256:" + n.sums.sha256,
				Fix: "get the stage again from where it was published"}
		}
		p := &sbom.Package{ID: sbom.ElementID("Artifact", a.Name), Name: a.Name, Version: s.Version, FileName: filepath.Base(at), Checksums: n.sums.checksums(),
			Purpose: sbom.Purpose(a.Kind), Supplier: d.meta.Supplier}
		if a.Platform != "" {
			p.Summary = "For " + a.Platform
		}
		if n.program != nil {
			p.Comment, p.PURL = n.program.Account(), n.program.PURL(s.Version)
		}
		id := d.b.Add(p)
		d.b.Relate(root, sbom.Contains, id)
		d.b.Relate(id, sbom.GeneratedFrom, d.b.Source())
		d.scope = id
		if err := d.content(id, p, n, ""); err != nil {
			return err
		}
	}
	return nil
}
