package sbom

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/digest"
)

// base takes up the image that others are built upon, with its packages and programs.
func (d *Builder) base(in Image) (string, error) {
	p := &Package{
		Name:      in.Base,
		ID:        ElementID("Base", in.Base, in.BaseDigest),
		Version:   "sha256:" + in.BaseDigest,
		Summary:   "Base image",
		Checksums: []Checksum{{SHA256, in.BaseDigest}},
		PURL:      ImagePURL(in.Base, in.BaseDigest, in.Platform),
		Purpose:   "CONTAINER",
	}
	id := d.Add(p)
	var unread []string
	for _, pkg := range in.Packages {
		if pkg.Unread != "" {
			unread = append(unread, pkg.Unread)
			continue
		}
		element, err := d.OSPackage(pkg)
		if err != nil {
			return "", err
		}
		d.Relate(id, Contains, element)
	}
	slices.Sort(unread)
	p.Comment = strings.Join(slices.Compact(unread), "\n")
	if strings.ContainsFunc(strings.ReplaceAll(p.Comment, "\n", ""), isUnprintable) {
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
func (d *Builder) baseProgram(base string, b Binary) error {
	if b.Name == "" || strings.ContainsFunc(b.Name, isUnprintable) || b.SHA256 != "" && !digest.IsSHA256(b.SHA256) {
		return fmt.Errorf("program %q of the base cannot be described", b.Name)
	}
	p := &Package{
		Name:     b.Name,
		ID:       ElementID("BaseProgram", b.Name, b.SHA256, b.String()),
		Version:  strings.TrimPrefix(b.Main.Version, devel),
		FileName: b.Name,
		Comment:  b.Account(),
		Purpose:  "APPLICATION",
	}
	if b.SHA256 != "" {
		p.Checksums = []Checksum{{SHA256, b.SHA256}}
	}
	if purl := b.PURL(""); purl != "" {
		p.PURL = purl
	}
	id := d.Add(p)
	d.Relate(base, Contains, id)
	return d.Linked(id, b)
}
