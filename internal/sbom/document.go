package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// namespaceBase starts every documentNamespace. It is a name and need not lead anywhere.
const namespaceBase = "https://github.com/sello-release/sello/spdx/"

const (
	documentID  = common.ElementID("DOCUMENT")
	noAssertion = "NOASSERTION"

	describes     = common.TypeRelationshipDescribe
	contains      = common.TypeRelationshipContains
	dependsOn     = common.TypeRelationshipDependsOn
	generatedFrom = common.TypeRelationshipGeneratedFrom
	buildToolOf   = common.TypeRelationshipBuildToolOf
	variantOf     = common.TypeRelationshipVariantOf
	copyOf        = common.TypeRelationshipCopyOf
	descendantOf  = common.TypeRelationshipDescendantOf
)

// comment explains relationships whose kind alone would not.
func (r relation) comment() string {
	switch {
	case r.kind != variantOf:
		return ""
	case strings.HasPrefix(string(r.to), "Index-"):
		return "for its platform"
	}
	return "linked in its place, by go.mod's replace directive"
}

// document collects packages, files and relationships, each once.
type document struct {
	meta      Meta
	graph     Graph
	packages  map[common.ElementID]*spdx.Package
	files     map[common.ElementID]*spdx.File
	relations map[relation]bool
	programs  map[string]common.ElementID // artifacts that are programs, by SHA-256
}

type relation struct {
	from common.ElementID
	kind string
	to   common.ElementID
}

func newDocument(meta Meta, graph Graph) (*document, error) {
	if err := meta.check(); err != nil {
		return nil, err
	}
	if meta.Tool == "" {
		meta.Tool = "sello"
	}
	return &document{meta: meta, graph: graph, packages: map[common.ElementID]*spdx.Package{}, files: map[common.ElementID]*spdx.File{},
		relations: map[relation]bool{}, programs: map[string]common.ElementID{}}, nil
}

func (d *document) relate(from common.ElementID, kind string, to common.ElementID) {
	d.relations[relation{from, kind, to}] = true
}

// add takes up a package, with what nobody knows filled in, unless it is there.
func (d *document) add(p *spdx.Package) common.ElementID {
	id := p.PackageSPDXIdentifier
	if _, ok := d.packages[id]; ok {
		return id
	}
	p.PackageSupplier = &common.Supplier{Supplier: noAssertion}
	p.PackageDownloadLocation = cmp.Or(p.PackageDownloadLocation, noAssertion)
	p.PackageLicenseDeclared = cmp.Or(p.PackageLicenseDeclared, noAssertion)
	p.PackageLicenseConcluded, p.PackageCopyrightText = noAssertion, noAssertion
	p.IsFilesAnalyzedTagPresent = true
	d.packages[id] = p
	return id
}

// elementID gives an identifier out of the letters that SPDX allows (3.2), unique
// for the parts, readable for people.
func elementID(kind string, parts ...string) common.ElementID {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, strings.Join(parts[:min(2, len(parts))], "-"))
	return common.ElementID(kind + "-" + strings.Trim(readable[:min(len(readable), 100)], "-") + "-" + hex.EncodeToString(h[:6]))
}

// encode gives the document's bytes.
func (d *document) encode(name string) ([]byte, error) {
	doc := spdx.Document{
		SPDXVersion:       spdx.Version,
		DataLicense:       spdx.DataLicense,
		SPDXIdentifier:    documentID,
		DocumentName:      name,
		DocumentNamespace: d.namespace(name) + strings.Repeat("0", namespaceHash),
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: strings.TrimSuffix(d.meta.Tool+"-"+d.meta.ToolVersion, "-")}},
			Created:  d.meta.Created.UTC().Truncate(time.Second).Format(time.RFC3339),
		},
	}
	for _, id := range slices.Sorted(maps.Keys(d.packages)) {
		doc.Packages = append(doc.Packages, d.packages[id])
	}
	for _, id := range slices.Sorted(maps.Keys(d.files)) {
		doc.Files = append(doc.Files, d.files[id])
	}
	sorted := slices.SortedFunc(maps.Keys(d.relations), func(a, b relation) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.kind, b.kind), cmp.Compare(a.to, b.to))
	})
	for _, r := range sorted {
		doc.Relationships = append(doc.Relationships, &spdx.Relationship{Relationship: r.kind, RelationshipComment: r.comment(),
			RefA: common.DocElementID{ElementRefID: r.from}, RefB: common.DocElementID{ElementRefID: r.to}})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(&doc); err != nil {
		return nil, fmt.Errorf("encode SPDX document of %s: %w", name, err)
	}
	return withHash(b.Bytes(), doc.DocumentNamespace), nil
}

// namespaceHash is the length of the hash that ends a namespace, in hex digits.
const namespaceHash = 16

// withHash replaces the zeros at the namespace's end by a hash of the document
// that has the zeros, so that a namespace belongs to one document (SPDX 2.3, 6.5).
func withHash(b []byte, namespace string) []byte {
	sum := sha256.Sum256(b)
	full := namespace[:len(namespace)-namespaceHash] + hex.EncodeToString(sum[:])[:namespaceHash]
	return bytes.Replace(b, []byte(`"`+namespace+`"`), []byte(`"`+full+`"`), 1)
}

func (d *document) namespace(name string) string {
	parts := append([]string{d.meta.Project, d.meta.Version}, strings.Split(name, "/")...)
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return namespaceBase + strings.Join(parts, "/") + "-"
}
