package sbom

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/stage"
)

// purposes gives SPDX's word for a kind of artifact (SPDX 2.3, 7.24).
var purposes = map[string]string{stage.KindBinary: "APPLICATION", stage.KindFile: "FILE", stage.KindArchive: "ARCHIVE", stage.KindSource: "SOURCE"}

// artifact takes up an artifact with its files and programs. sourceFiles asks for the files of a source archive, too.
func (d *document) artifact(in Input, sourceFiles bool) (common.ElementID, error) {
	if in.Name == "" || strings.ContainsFunc(in.Name, isUnprintable) || !digest.IsSHA256(in.Sums.SHA256) {
		return "", errors.New("artifact without a printable name and a SHA-256")
	}
	p := &spdx.Package{
		PackageName:           in.Name,
		PackageSPDXIdentifier: elementID("Artifact", in.Name),
		PackageVersion:        d.meta.Version,
		PackageFileName:       path.Base(in.Name),
		PackageChecksums:      []common.Checksum{{Algorithm: common.SHA256, Value: in.Sums.SHA256}},
		PrimaryPackagePurpose: purposes[in.Kind],
	}
	if in.Sums.SHA512 != "" {
		p.PackageChecksums = append(p.PackageChecksums, common.Checksum{Algorithm: common.SHA512, Value: in.Sums.SHA512})
	}
	if in.Platform != "" {
		p.PackageSummary = "For " + in.Platform
	}
	id := d.add(p)
	d.relate(id, generatedFrom, d.source())
	switch in.Kind {
	case stage.KindFile:
		if len(in.Files)+len(in.Binaries) > 0 {
			return "", errors.New("a single file has neither files nor programs in it")
		}
		return id, nil
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
func (d *document) program(id common.ElementID, p *spdx.Package, in Input) error {
	if len(in.Binaries) > 1 || len(in.Files) != 0 {
		return fmt.Errorf("a binary has at most itself as a program and no files; found %d and %d", len(in.Binaries), len(in.Files))
	}
	if len(in.Binaries) == 0 {
		p.PackageComment = "A program without build information: what it consists of is not known from its bytes"
		d.programs[in.Sums.SHA256] = id
		return nil
	}
	b := in.Binaries[0]
	p.PackageComment = account(b)
	if purl := packagePurl(b, d.meta.Version); purl != "" {
		p.PackageExternalReferences = append(p.PackageExternalReferences, purlRef(purl))
	}
	d.programs[in.Sums.SHA256] = id
	return d.linked(id, b)
}

// members takes up the files of an archive, and what is linked into the programs among them.
func (d *document) members(id common.ElementID, p *spdx.Package, in Input) error {
	programs, err := byName(in.Binaries)
	if err != nil {
		return err
	}
	for _, f := range in.Files {
		fid, err := d.file(in.Name, f)
		if err != nil {
			return err
		}
		d.relate(id, contains, fid)
		b, ok := programs[f.Name]
		if !ok {
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
func (d *document) analyzed(p *spdx.Package, files []File) {
	if len(files) > 0 {
		p.FilesAnalyzed = true
		p.PackageVerificationCode = &common.PackageVerificationCode{Value: verificationCode(files)}
		p.PackageLicenseInfoFromFiles = []string{noAssertion}
	}
}

func (d *document) file(archive string, f File) (common.ElementID, error) {
	id := elementID("File", f.Name, archive)
	if _, ok := d.files[id]; ok {
		return "", fmt.Errorf("two files are called %q", f.Name)
	}
	return id, d.fileAs(id, f)
}

func (d *document) fileAs(id common.ElementID, f File) error {
	if err := f.check(); err != nil {
		return err
	}
	d.files[id] = &spdx.File{
		FileName:           "./" + f.Name,
		FileSPDXIdentifier: id,
		Checksums:          []common.Checksum{{Algorithm: common.SHA1, Value: f.SHA1}, {Algorithm: common.SHA256, Value: f.SHA256}},
		LicenseConcluded:   noAssertion,
		LicenseInfoInFiles: []string{noAssertion},
		FileCopyrightText:  noAssertion,
	}
	return nil
}

// packed takes up a program inside an archive: as a copy when it is an artifact, too, else with all that is linked.
func (d *document) packed(id common.ElementID, f File, b Binary) error {
	d.files[id].FileTypes = []string{"BINARY"}
	d.files[id].FileComment = account(b)
	if original, ok := d.programs[f.SHA256]; ok {
		d.relate(id, copyOf, original)
		return nil
	}
	return d.linked(id, b)
}

// account tells, in a sentence, what a program says of how it was built.
func account(b Binary) string {
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

// source takes up what the release was built from.
func (d *document) source() common.ElementID {
	p := &spdx.Package{
		PackageName:           d.meta.Project + " source",
		PackageSPDXIdentifier: elementID("Source", d.meta.Project, d.meta.Version),
		PackageVersion:        d.meta.Version,
		PrimaryPackagePurpose: "SOURCE",
	}
	switch uri := d.meta.SourceURI; {
	case strings.HasPrefix(uri, "git+") && d.meta.Commit != "":
		p.PackageDownloadLocation = uri + "@" + d.meta.Commit // SPDX 2.3, 7.7
		p.PackageSourceInfo = "git commit " + d.meta.Commit
	case strings.HasPrefix(uri, "pkg:"):
		p.PackageExternalReferences = []*spdx.PackageExternalReference{purlRef(uri)}
	case uri != "":
		p.PackageDownloadLocation = uri
	}
	return d.add(p)
}

// release takes up the release as a whole.
func (d *document) release() common.ElementID {
	return d.add(&spdx.Package{
		PackageName:           d.meta.Project,
		PackageSPDXIdentifier: elementID("Release", d.meta.Project, d.meta.Version),
		PackageVersion:        d.meta.Version,
		PrimaryPackagePurpose: "APPLICATION",
	})
}
