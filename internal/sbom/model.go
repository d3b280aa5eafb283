package sbom

import (
	"slices"
	"time"
)

// Document is a software bill of materials, in no format: the packages internal/sbom/spdx and
// internal/sbom/cyclonedx write and read it. A text that is "" is not known. Slices of a document that was made here, or that
// Sort was called on, are in a fixed order.
type Document struct {
	Name      string
	Namespace string // a URI that belongs to this document alone
	Created   time.Time
	Tools     []Tool
	Authors   []Agent
	Phase     string // of the life of what is described in which the document was made; a Phase constant, or what another tool calls it
	Comment   string
	License   string // SPDX identifier of the licence of the document itself; "" when it does not say

	Packages  []Package
	Files     []FileEntry
	Relations []Relation
	Licenses  []LicenseText
	Links     []Link
	Notes     []Note

	LeftOut []string // what the document that was read has, and the model has no place for, in the words of its format; sorted

	Format string // what it was read from, such as SPDX-2.3 or CycloneDX-1.6; "" for a document that was made here
}

// DataLicense is the licence of documents in SPDX's formats, and of those that are made here (SPDX 2.3, 6.2).
const DataLicense = "CC0-1.0"

// Phases, in CycloneDX's words (CycloneDX 1.6, metadata.lifecycles).
const (
	PhasePreBuild  = "pre-build"  // of sources
	PhaseBuild     = "build"      // beside a build
	PhasePostBuild = "post-build" // of something that was built before
)

// DocumentID is the document's own identifier, from which its relations to what it describes lead.
const DocumentID = "DOCUMENT"

// Tool made a document.
type Tool struct{ Name, Version string }

// Agent is a person or an organisation.
type Agent struct {
	Kind  string // AgentPerson or AgentOrganization
	Name  string
	Email string
}

// Kinds of agents, as SPDX names them.
const (
	AgentPerson       = "Person"
	AgentOrganization = "Organization"
)

// Package is anything with a name that a document speaks of: an artifact, a module, a distribution's package, an image.
type Package struct {
	ID      string // unique in the document: letters, digits, '.' and '-'
	Name    string
	Version string
	Purpose string // one of the Purpose constants, or ""

	PURL       string // package URL
	CPEs       []string
	FileName   string
	Supplier   Agent
	Originator Agent
	Download   string // URL, also with git+
	Homepage   string
	Checksums  []Checksum
	License    License

	Summary     string
	Description string
	SourceInfo  string
	Comment     string

	Refs         []Ref  // external references other than PURL and CPEs
	Verification string // SPDX 2.3, 7.9: SHA-1 over the package's files, all of which the document lists; "" when it does not
	Complete     bool   // whether all that it consists of and depends on directly is known to be in the document
}

// PURLType is the type of the references (Ref) that hold the package URLs of a package that has several, but for the first (SPDX 2.3, F.3.5).
const PURLType = "purl"

// PURLs gives all package URLs of a package, the one of the field first.
func (p *Package) PURLs() []string {
	var out []string
	if p.PURL != "" {
		out = append(out, p.PURL)
	}
	for _, r := range p.Refs {
		if r.Type == PURLType && !slices.Contains(out, r.Locator) {
			out = append(out, r.Locator)
		}
	}
	return out
}

// Purposes of packages, in SPDX's words (SPDX 2.3, 7.24).
const (
	PurposeApplication = "APPLICATION"
	PurposeFramework   = "FRAMEWORK"
	PurposeLibrary     = "LIBRARY"
	PurposeContainer   = "CONTAINER"
	PurposeOS          = "OPERATING-SYSTEM"
	PurposeDevice      = "DEVICE"
	PurposeFirmware    = "FIRMWARE"
	PurposeSource      = "SOURCE"
	PurposeArchive     = "ARCHIVE"
	PurposeFile        = "FILE"
	PurposeInstall     = "INSTALL"
	PurposeOther       = "OTHER"
)

// FileEntry is a file in the document.
type FileEntry struct {
	ID        string // as Package.ID, and of none of the packages
	Name      string // path without a leading ./ or /
	Types     []string
	Checksums []Checksum
	License   License
	Comment   string
}

// Checksum is a digest of something's bytes.
type Checksum struct {
	Algorithm string // as SPDX spells it: SHA1, SHA256, SHA512
	Value     string // lower-case hex
}

// Algorithms of checksums that are made here.
const (
	SHA1   = "SHA1"
	SHA256 = "SHA256"
	SHA512 = "SHA512"
)

// Checksum gives the digest of that algorithm, or "".
func (p *Package) Checksum(algorithm string) string { return checksum(p.Checksums, algorithm) }

// Checksum gives the digest of that algorithm, or "".
func (f *FileEntry) Checksum(algorithm string) string { return checksum(f.Checksums, algorithm) }

func checksum(all []Checksum, algorithm string) string {
	for _, c := range all {
		if c.Algorithm == algorithm {
			return c.Value
		}
	}
	return ""
}

// License is what is known of something's licence.
type License struct {
	Declared   string  // SPDX expression: what its makers say, or NONE
	Concluded  string  // SPDX expression: what was found, or NONE
	Confidence float64 // of Concluded, above 0 to 1; 0 when nobody measured it
	Comment    string
	Copyright  string // copyright notices as they are stated, or NONE
}

// None is what SPDX calls the certainty that there is nothing.
const None = "NONE"

// LicenseText is a licence that is not on SPDX's list.
type LicenseText struct {
	ID      string // LicenseRef-…
	Name    string
	Text    string
	Comment string
	URLs    []string
}

// Ref is a reference to somewhere else (SPDX 2.3, 7.21).
type Ref struct {
	Category string // SECURITY, PACKAGE-MANAGER, PERSISTENT-ID or OTHER
	Type     string
	Locator  string
	Comment  string
}

// Relation says how two elements are connected. From and To are identifiers of the document,
// NONE, NOASSERTION, or elements of other documents: DocumentRef-…:SPDXRef-….
type Relation struct {
	From    string
	Kind    string // as SPDX spells it (SPDX 2.3, 11.1)
	To      string
	Comment string
}

// Kinds of relations that are made here.
const (
	Describes     = "DESCRIBES"
	Contains      = "CONTAINS"
	DependsOn     = "DEPENDS_ON"
	GeneratedFrom = "GENERATED_FROM"
	BuildToolOf   = "BUILD_TOOL_OF"
	VariantOf     = "VARIANT_OF"
	CopyOf        = "COPY_OF"
	DescendantOf  = "DESCENDANT_OF"
)

// Link names another document by its digest.
type Link struct {
	ID       string // DocumentRef-…
	URI      string // the other document's namespace
	Checksum Checksum
}

// Note is a sentence about an element, for people: what could not be read, what is only claimed.
type Note struct {
	Of   string // identifier
	By   string // as SPDX spells it: Tool: sello-v1.0.0
	Type string // OTHER, or REVIEW
	Time time.Time
	Text string
}
