// Package sbom describes artifacts as SPDX 2.3 documents, from what stands in
// their bytes.
//
// A document lists every module that is linked into a Go program, as the
// program's own build information names it: path, version, purl and go.sum's h1 hash; with
// a replaced module both the replacement, which is linked, and the module that it stands
// for; the standard library, the toolchain, the source; and the files of an archive with
// their hashes. Nothing is written that is neither in the bytes nor in the input:
// licences, suppliers and download locations that nobody knows are NOASSERTION.
//
// Where things are:
//
//   - purl: externalRefs PACKAGE-MANAGER purl, pkg:golang/<module path>@<version>. The path keeps its
//     case, since Go tells paths apart by case. The standard library is pkg:golang/stdlib@1.26.8 and the
//     toolchain pkg:golang/toolchain@1.26.8, the names that the Go vulnerability database uses.
//   - h1: externalRefs OTHER dirHash, locator "h1:…". It is a hash over a list of the module's files
//     (golang.org/x/mod/sumdb/dirhash), not of any one file, so it is not put among SPDX's checksums, where
//     a reader would compare it with the SHA-256 of a download. in-toto calls it dirHash, too.
//   - what is in a program: program CONTAINS module, for all linked modules.
//   - who needs whom: module DEPENDS_ON module, from the import graph, where both are linked.
//   - replaced: replacement VARIANT_OF original. Dependencies lead to the replacement.
//   - toolchain BUILD_TOOL_OF program; artifact GENERATED_FROM source.
//   - images: index and image are packages of purpose CONTAINER, pkg:oci/<last part of the name>@sha256:<digest>; image VARIANT_OF
//     index, image DESCENDANT_OF base, image CONTAINS layers and its own files, base CONTAINS its layers, its packages
//     (pkg:deb, pkg:apk, pkg:rpm) and its Go programs. Layers are in the order of their digests, not of the image.
//   - where a module comes from: downloadLocation is the repository with the tag or commit, for the hosts on which a module's path says
//     where that is. The SHA-256 among the checksums is that of the module's zip, where the zip was at hand.
//   - who supplies: the project, for what was built and its own modules; The Go Authors, for what Go consists of; the maintainer or vendor that
//     a distribution's package names. The account in a module's path is not taken for a supplier, since it does not say whose it is.
//   - a licence that a distribution's package declares: licenseDeclared when it is an SPDX expression, else licenseComments.
//   - what a base has and nobody read (an RPM database in an older form): the base's comment.
//
// The same input gives the same bytes, in whatever order it comes. The namespace ends with a hash of the
// document, so that different documents never share one.
//
// The package opens no connections, and no files but the temporary ones of Scan. It does not judge: whether a module
// belongs in the release is another gate's question.
package sbom

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/digest"
)

// Meta is what all documents of a release share.
type Meta struct {
	Project     string    // name of the project
	Version     string    // of the release: v1.4.2; "" when unknown
	SourceURI   string    // git+https://… or pkg:golang/…@version; "" when unknown
	Commit      string    // of a git source
	Created     time.Time // the build's time, not the clock's
	Tool        string    // "sello" when empty
	ToolVersion string
	Authors     []Agent  // who answers for the document, if anybody is named
	Supplier    Agent    // who supplies what is made from the source; the zero Agent when nobody is named
	Published   string   // URL of the folder in which the release's artifacts will be; "" when that is no URL, or not known
	Phase       string   // in which the document is made, one of the Phase constants; "" when unknown
	Licenses    Licenses // tells licences; nil when there is nobody to ask
	Origins     Origins  // tells more of modules; nil when there is nobody to ask
	SourceDoc   *Linked  // the document of the sources, for that of a release; nil for none
}

// Linked is another document, named by its digest.
type Linked struct {
	Namespace string
	SHA256    string // of its bytes, lower-case hex
	Element   string // in it, that is meant
}

// Input is one artifact.
type Input struct {
	Name     string // as in stage.json
	Sums     digest.Sums
	Kind     string   // stage.Kind…
	Platform string   // "linux/amd64", or ""
	Binaries []Binary // for a binary: itself; for an archive: those of Files that are Go programs
	Files    []File   // for an archive or a source archive: its files, all or none

	// Inside tells what is in those of Files that are not among Binaries, or in the file itself, by SHA-256.
	Inside map[string]Content
}

// Content is what is in a file: what is linked into a program, what lies in an archive.
type Content interface {
	// Describe takes it up, below the element of the file, which is called so.
	Describe(b *Builder, id, name string) error
}

// Binary is a Go program's own account of itself.
type Binary struct {
	Name   string // the File's name, in an archive or image; the path, in a base
	SHA256 string // lower-case hex, of a program in a base; else ""
	debug.BuildInfo
}

// File is a file inside an archive. SPDX 2.3, 8.4 demands the SHA-1; the SHA-256 is there to be trusted.
type File struct {
	Name   string // path in the archive
	SHA1   string // lower-case hex
	SHA256 string // lower-case hex
}

// Graph says which modules a module's packages import: Key to Keys.
type Graph map[string][]string

// Key names a module in a Graph: path@version, or the path alone for modules
// without a version of their own (the main module, and others of a workspace).
func Key(path, version string) string {
	if version == "" || version == devel {
		return path
	}
	return path + "@" + version
}

// devel is the version that the Go command gives to modules that have none.
const devel = "(devel)"

// ForArtifact gives the document of one artifact.
func ForArtifact(meta Meta, in Input, graph Graph) (*Document, error) {
	d, err := forRelease(meta, graph)
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", in.Name, err)
	}
	id, err := d.artifact(in, true)
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", in.Name, err)
	}
	d.Relate(DocumentID, Describes, id)
	return d.Document(in.Name), nil
}

// ForRelease gives the document of a whole release. Each module is in it
// once. A program that is both an artifact and in archives is described as the
// artifact, and the file in the archive as its copy. Files of source archives
// are left to the archive's own document.
func ForRelease(meta Meta, ins []Input, graph Graph) (*Document, error) {
	name := meta.Project + "_" + meta.Version
	d, err := forRelease(meta, graph)
	if err != nil {
		return nil, fmt.Errorf("describe release %s: %w", name, err)
	}
	release := d.release()
	d.Relate(DocumentID, Describes, release)
	if l := meta.SourceDoc; l != nil {
		d.Relate(release, GeneratedFrom, d.Link("source", l.Namespace, l.SHA256, l.Element))
	}
	sorted := slices.SortedFunc(slices.Values(ins), func(a, b Input) int {
		return cmp.Or(cmp.Compare(len(a.Files), len(b.Files)), cmp.Compare(a.Name, b.Name)) // programs before their copies
	})
	for _, in := range sorted {
		id, err := d.artifact(in, false)
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", in.Name, err)
		}
		d.Relate(release, Contains, id)
	}
	return d.Document(name), nil
}

// forRelease starts a document of a release, which has a version.
func forRelease(meta Meta, graph Graph) (*Builder, error) {
	if meta.Version == "" {
		return nil, errors.New("no version given")
	}
	return NewBuilder(meta, graph)
}

func (m Meta) check() error {
	switch {
	case m.Project == "":
		return errors.New("no project given")
	case m.Created.IsZero():
		return errors.New("no time of creation given")
	case strings.ContainsFunc(m.Tool+m.ToolVersion+m.Supplier.Name+m.Supplier.Email+m.Published, isUnprintable):
		return errors.New("tool, supplier or location with control characters")
	}
	return nil
}

var _ io.Writer = (*FileHash)(nil)
