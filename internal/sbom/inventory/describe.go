package inventory

import (
	"crypto/sha1" // #nosec G505 -- SPDX's verification code is made of it; nothing relies on it
	"encoding/hex"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/sbom"
)

// describer writes what was found into a document.
type describer struct {
	b     *sbom.Builder
	meta  sbom.Meta
	all   bool   // list all files
	scope string // the one of several things that is described now: files of one name are in more than one
}

func newDescriber(meta sbom.Meta, o Options) (*describer, error) {
	b, err := sbom.NewBuilder(meta, nil)
	if err != nil {
		return nil, err
	}
	return &describer{b: b, meta: meta, all: o.Files}, nil
}

// root takes up the thing that the document describes.
func (d *describer) root(p *sbom.Package) string {
	p.ID = sbom.ElementID("Root", p.Name, p.Version)
	p.Supplier = d.meta.Supplier
	if p.Download == "" && p.PURL == "" && strings.HasPrefix(d.meta.SourceURI, "pkg:") {
		p.PURL = d.meta.SourceURI
	}
	id := d.b.Add(p)
	d.b.Relate(sbom.DocumentID, sbom.Describes, id)
	if p.Purpose == sbom.PurposeSource {
		return id
	}
	if source := d.b.Source(); source != "" {
		d.b.Relate(id, sbom.GeneratedFrom, source)
	}
	return id
}

// asked describes the file that was asked for.
func (d *describer) asked(n *node, fileName string) error {
	p := &sbom.Package{Name: d.meta.Project, Version: d.meta.Version, FileName: fileName, Checksums: n.sums.checksums(), Purpose: sbom.PurposeFile}
	switch {
	case n.program != nil:
		p.Purpose, p.Comment = sbom.PurposeApplication, n.program.Account()
		p.PURL = n.program.PURL(d.meta.Version)
	case slices.Contains(n.notes, noBuildInfo):
		p.Purpose = sbom.PurposeApplication
	case n.format != "":
		p.Purpose = sbom.PurposeArchive
	}
	id := d.root(p)
	return d.content(id, p, n, "")
}

// content describes what is in a file: what is linked into a program, what lies in an archive.
func (d *describer) content(id string, p *sbom.Package, n *node, prefix string) error {
	for _, text := range append(slices.Clone(n.notes), n.measure.notes()...) {
		if text != noBuildInfo || p != nil { // a file says so in its comment
			d.b.Note(id, "%s", text)
		}
	}
	if n.program != nil {
		if err := d.b.Linked(id, *n.program); err != nil {
			return err
		}
	}
	if n.system != nil {
		if err := d.system(id, n.system); err != nil {
			return err
		}
	}
	return d.files(id, p, n.members, prefix)
}

// files describes files that lie in something. p is nil when that is itself a file.
func (d *describer) files(id string, p *sbom.Package, all []*node, prefix string) error {
	listed := 0
	for _, n := range all {
		if !d.all && !n.telling() {
			continue
		}
		listed++
		name := prefix + n.name
		fid := d.fileID(name, n)
		if err := d.b.AddFile(fid, n.sums.file(name)); err != nil {
			return err
		}
		d.b.Relate(id, sbom.Contains, fid)
		d.kind(fid, n)
		if err := d.content(fid, nil, n, name+"!/"); err != nil {
			return err
		}
	}
	if p != nil && len(all) > 0 && listed == len(all) {
		p.Verification = verificationCode(all)
	}
	return nil
}

func (d *describer) fileID(name string, n *node) string {
	if d.scope == "" {
		return sbom.ElementID("File", name, n.sums.sha256)
	}
	return sbom.ElementID("File", name, n.sums.sha256, d.scope)
}

// kind says what a file is.
func (d *describer) kind(id string, n *node) {
	entry := d.b.File(id)
	switch {
	case entry == nil:
	case n.program != nil:
		entry.Types, entry.Comment = []string{"BINARY"}, n.program.Account()
	case n.format != "":
		entry.Types = []string{"ARCHIVE"}
	case slices.Contains(n.notes, noBuildInfo):
		entry.Types, entry.Comment = []string{"BINARY"}, noBuildInfo
	}
}

// telling reports whether there is something to say about a file beyond its name and digest.
func (n *node) telling() bool {
	if n.program != nil || n.system != nil || slices.ContainsFunc(n.notes, func(s string) bool { return s != noBuildInfo }) {
		return true
	}
	return slices.ContainsFunc(n.members, (*node).telling)
}

// verificationCode is the SHA-1 over the files' sorted SHA-1s (SPDX 2.3, 7.9).
func verificationCode(all []*node) string {
	list := make([]string, 0, len(all))
	for _, n := range all {
		list = append(list, n.sums.sha1)
	}
	slices.Sort(list)
	h := sha1.New() // #nosec G401 -- as above
	for _, s := range list {
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil))
}
