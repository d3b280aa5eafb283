package sbom

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/stage"
)

// purposes gives SPDX's word for a kind of artifact (SPDX 2.3, 7.24).
var purposes = map[string]string{stage.KindBinary: "APPLICATION", stage.KindFile: "FILE", stage.KindArchive: "ARCHIVE", stage.KindSource: "SOURCE"}

// Purpose gives SPDX's word for a kind of artifact (stage.Kind…), or "".
func Purpose(kind string) string { return purposes[kind] }

// artifact takes up an artifact with its files and programs. sourceFiles asks for the files of a source archive, too.
func (d *Builder) artifact(in Input, sourceFiles bool) (string, error) {
	if in.Name == "" || strings.ContainsFunc(in.Name, isUnprintable) || !digest.IsSHA256(in.Sums.SHA256) {
		return "", errors.New("artifact without a printable name and a SHA-256")
	}
	p := &Package{
		Name:      in.Name,
		ID:        ElementID("Artifact", in.Name),
		Version:   d.meta.Version,
		FileName:  path.Base(in.Name),
		Checksums: []Checksum{{SHA256, in.Sums.SHA256}},
		Purpose:   purposes[in.Kind],
		Supplier:  d.meta.Supplier,
	}
	if d.meta.Published != "" {
		p.Download = d.meta.Published + "/" + in.Name
	}
	_, p.SourceInfo = d.sourceLocation()
	if in.Sums.SHA512 != "" {
		p.Checksums = append(p.Checksums, Checksum{SHA512, in.Sums.SHA512})
	}
	if in.Platform != "" {
		p.Summary = "For " + in.Platform
	}
	id := d.Add(p)
	d.Relate(id, GeneratedFrom, d.source())
	switch in.Kind {
	case stage.KindFile:
		if len(in.Files)+len(in.Binaries) > 0 {
			return "", errors.New("a single file has neither files nor programs in it")
		}
		return id, d.foreign(id, in, in.Name, in.Sums.SHA256)
	case stage.KindBinary:
		return id, d.program(id, p, in)
	case stage.KindSource:
		if !sourceFiles {
			return id, nil
		}
	}
	return id, d.members(id, p, in)
}

// program takes up an artifact that is a single program. One without build information is described by its digests alone.
func (d *Builder) program(id string, p *Package, in Input) error {
	if len(in.Binaries) > 1 || len(in.Files) != 0 {
		return fmt.Errorf("a binary has at most itself as a program and no files; found %d and %d", len(in.Binaries), len(in.Files))
	}
	if len(in.Binaries) == 0 {
		p.Comment = "A program without build information: what it consists of is not known from its bytes"
		d.programs[in.Sums.SHA256] = id
		return nil
	}
	b := in.Binaries[0]
	p.Comment = b.Account()
	if purl := b.PURL(d.meta.Version); purl != "" {
		p.PURL = purl
	}
	d.programs[in.Sums.SHA256] = id
	p.Complete = true
	return d.linked(id, b)
}

// members takes up the files of an archive, and what is linked into the programs among them.
func (d *Builder) members(id string, p *Package, in Input) error {
	programs, err := byName(in.Binaries)
	if err != nil {
		return err
	}
	for _, f := range in.Files {
		fid, err := d.file(in.Name, f)
		if err != nil {
			return err
		}
		d.Relate(id, Contains, fid)
		b, ok := programs[f.Name]
		if !ok {
			if err := d.foreign(fid, in, f.Name, f.SHA256); err != nil {
				return err
			}
			continue
		}
		delete(programs, f.Name)
		if err := d.packed(fid, f, b); err != nil {
			return err
		}
	}
	for name := range programs {
		return fmt.Errorf("program %q is not among the archive's files", name)
	}
	d.analyzed(p, in.Files)
	return nil
}

// analyzed says that the document lists a package's files, if it does.
func (d *Builder) analyzed(p *Package, files []File) {
	if len(files) > 0 {
		p.Verification, p.Complete = verificationCode(files), true
	}
}

func (d *Builder) file(archive string, f File) (string, error) {
	id := ElementID("File", f.Name, archive)
	return id, d.AddFile(id, f)
}

// packed takes up a program inside an archive: as a copy when it is an artifact, too, else with all that is linked.
func (d *Builder) packed(id string, f File, b Binary) error {
	d.files[id].Types = []string{"BINARY"}
	d.files[id].Comment = b.Account()
	if original, ok := d.programs[f.SHA256]; ok {
		d.Relate(id, CopyOf, original)
		return nil
	}
	return d.linked(id, b)
}

// foreign takes up what is in a file that was not built for the release: as a copy when the same is an artifact, too.
func (d *Builder) foreign(id string, in Input, name, sha256 string) error {
	c, ok := in.Inside[sha256]
	if !ok {
		return nil
	}
	if original, ok := d.programs[sha256]; ok {
		d.Relate(id, CopyOf, original)
		return nil
	}
	if in.Sums.SHA256 == sha256 {
		d.programs[sha256] = id
	}
	return c.Describe(d, id, name)
}

// Account tells, in a sentence, what a program says of how it was built.
func (b Binary) Account() string {
	s := "Go program " + b.Path + ", built by " + b.GoVersion
	var settings []string
	for _, set := range b.Settings {
		settings = append(settings, set.Key+"="+set.Value)
	}
	if len(settings) > 0 {
		s += " with " + strings.Join(settings, " ")
	}
	return strings.ToValidUTF8(s, "?")
}

// Source takes up what everything was built from, and gives "" when nothing is known of it.
func (d *Builder) Source() string {
	if d.meta.SourceURI == "" {
		return ""
	}
	return d.source()
}

// source takes up what the release was built from.
func (d *Builder) source() string {
	p := &Package{
		Name:     d.meta.Project + " source",
		ID:       ElementID("Source", d.meta.Project, d.meta.Version),
		Version:  d.meta.Version,
		Purpose:  "SOURCE",
		Supplier: d.meta.Supplier,
	}
	if p.Download, p.SourceInfo = d.sourceLocation(); strings.HasPrefix(d.meta.SourceURI, "pkg:") {
		p.PURL = d.meta.SourceURI
	}
	return d.Add(p)
}

// sourceLocation tells where what everything was built from lies (SPDX 2.3, 7.7), and the same in a sentence.
func (d *Builder) sourceLocation() (location, info string) {
	switch uri := d.meta.SourceURI; {
	case strings.HasPrefix(uri, "git+") && d.meta.Commit != "":
		return uri + "@" + d.meta.Commit, "git commit " + d.meta.Commit + " of " + strings.TrimPrefix(uri, "git+")
	case strings.HasPrefix(uri, "pkg:golang/"):
		name, version, _ := strings.Cut(strings.TrimPrefix(uri, "pkg:golang/"), "@")
		return moduleSource(name, version), "published module " + uri
	case strings.HasPrefix(uri, "pkg:"):
		return "", "package " + uri
	case uri != "":
		return uri, "fetched from " + uri
	}
	return "", ""
}

// release takes up the release as a whole.
func (d *Builder) release() string {
	_, info := d.sourceLocation()
	return d.Add(&Package{
		Name:       d.meta.Project,
		ID:         ElementID("Release", d.meta.Project, d.meta.Version),
		Version:    d.meta.Version,
		Purpose:    "APPLICATION",
		PURL:       packageurl.NewPackageURL(packageurl.TypeGeneric, "", d.meta.Project, d.meta.Version, nil, "").ToString(), // as OpenVEX documents name it
		Supplier:   d.meta.Supplier,
		Download:   d.meta.Published,
		SourceInfo: info,
		Complete:   true,
	})
}
