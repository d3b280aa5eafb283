package sbom

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/sello-release/sello/internal/digest"
)

// base takes up the image that others are built upon, with its packages and programs.
func (d *document) base(in Image) (common.ElementID, error) {
	p := &spdx.Package{
		PackageName:               in.Base,
		PackageSPDXIdentifier:     elementID("Base", in.Base, in.BaseDigest),
		PackageVersion:            "sha256:" + in.BaseDigest,
		PackageSummary:            "Base image",
		PackageChecksums:          []common.Checksum{{Algorithm: common.SHA256, Value: in.BaseDigest}},
		PackageExternalReferences: []*spdx.PackageExternalReference{purlRef(imagePurl(in.Base, in.BaseDigest, in.Platform))},
		PrimaryPackagePurpose:     "CONTAINER",
	}
	id := d.add(p)
	var unread []string
	for _, pkg := range in.Packages {
		if pkg.Unread != "" {
			unread = append(unread, pkg.Unread)
			continue
		}
		element, err := d.osPackage(pkg)
		if err != nil {
			return "", err
		}
		d.relate(id, contains, element)
	}
	slices.Sort(unread)
	p.PackageComment = strings.Join(slices.Compact(unread), "\n")
	if strings.ContainsFunc(strings.ReplaceAll(p.PackageComment, "\n", ""), isUnprintable) {
		return "", errors.New("control characters in what is said about the base")
	}
	programs, err := byName(in.BaseBinaries)
	if err != nil {
		return "", err
	}
	for _, b := range programs {
		if err := d.baseProgram(id, b); err != nil {
			return "", err
		}
	}
	return id, nil
}

// baseProgram takes up a Go program that came with the base. The release's version and its import graph say nothing about it.
func (d *document) baseProgram(base common.ElementID, b Binary) error {
	if b.Name == "" || strings.ContainsFunc(b.Name, isUnprintable) || b.SHA256 != "" && !digest.IsSHA256(b.SHA256) {
		return fmt.Errorf("program %q of the base cannot be described", b.Name)
	}
	p := &spdx.Package{
		PackageName:           b.Name,
		PackageSPDXIdentifier: elementID("BaseProgram", b.Name, b.SHA256, b.String()),
		PackageVersion:        strings.TrimPrefix(b.Main.Version, devel),
		PackageFileName:       b.Name,
		PackageComment:        account(b),
		PrimaryPackagePurpose: "APPLICATION",
	}
	if b.SHA256 != "" {
		p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: b.SHA256}}
	}
	if purl := packagePurl(b, ""); purl != "" {
		p.PackageExternalReferences = append(p.PackageExternalReferences, purlRef(purl))
	}
	id := d.add(p)
	d.relate(base, contains, id)
	return d.linkedForeign(id, b)
}
