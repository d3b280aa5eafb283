package cyclonedx

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sello-release/sello/internal/sbom"
)

// component takes up a component and those in it, and gives its identifier.
func (d *decoder) component(c *jsonComponent, parent string, depth int) (string, error) {
	if depth > sbom.MaxDepth/4 {
		return "", sbom.TooLarge(fmt.Sprintf("components at most %d deep in each other", sbom.MaxDepth/4))
	}
	id := c.Ref
	if id == "" {
		d.unnamed++
		id = fmt.Sprintf("component-%d", d.unnamed)
	}
	d.doc.LeaveOut("components[].", c.Rest)
	own := map[string]string{}
	for _, p := range c.Properties {
		if kind, ok := strings.CutPrefix(p.Name, propRelation); ok {
			to, comment, _ := strings.Cut(p.Value, " ")
			d.relate(id, kind, to, comment)
		} else if _, ok := own[p.Name]; !ok {
			own[p.Name] = p.Value
		}
	}
	if kind, ok := own[propFileType]; ok {
		f := sbom.FileEntry{ID: id, Name: c.Name, Checksums: sums(c.Hashes), Comment: own[propComment], License: d.license(c, own)}
		if kind != "-" {
			f.Types = strings.Fields(kind)
		}
		d.doc.Files = append(d.doc.Files, f)
	} else {
		d.doc.Packages = append(d.doc.Packages, d.pkg(c, id, own))
	}
	if parent != "" {
		d.relate(parent, sbom.Contains, id, "")
	}
	for i := range c.Components {
		if _, err := d.component(&c.Components[i], id, depth+1); err != nil {
			return "", err
		}
	}
	return id, nil
}

func (d *decoder) pkg(c *jsonComponent, id string, own map[string]string) sbom.Package {
	p := sbom.Package{ID: id, Name: c.fullName(), Version: c.Version, PURL: c.PURL, Description: c.Description, Checksums: sums(c.Hashes), License: d.license(c, own),
		Summary: own[propSummary], Comment: own[propComment], SourceInfo: own[propSourceInfo], FileName: own[propFileName], Verification: own[propCode]}
	for purpose, t := range types {
		if string(t) == c.Type {
			p.Purpose = purpose
		}
	}
	if purpose, ok := own[propPurpose]; ok {
		p.Purpose = strings.TrimPrefix(purpose, "-")
	}
	if c.CPE != "" {
		p.CPEs = []string{c.CPE}
	}
	for _, prop := range c.Properties {
		if prop.Name == propCPE {
			p.CPEs = append(p.CPEs, prop.Value)
		}
		if ref, ok := strings.CutPrefix(prop.Name, propRef); ok {
			category, kind, _ := strings.Cut(ref, ":")
			locator, comment, _ := strings.Cut(prop.Value, " ")
			p.Refs = append(p.Refs, sbom.Ref{Category: category, Type: kind, Locator: locator, Comment: comment})
		}
	}
	if c.Supplier != nil && c.Supplier.Name != "" {
		p.Supplier = c.Supplier.agent()
	}
	switch {
	case c.Manufacturer != nil && c.Manufacturer.Name != "":
		p.Originator = c.Manufacturer.agent()
	case len(c.Authors) > 0:
		p.Originator = sbom.Agent{Kind: sbom.AgentPerson, Name: c.Authors[0].Name, Email: c.Authors[0].Email}
	case c.Author+c.Publisher != "":
		p.Originator = sbom.Agent{Kind: sbom.AgentOrganization, Name: cmp.Or(c.Author, c.Publisher)}
	}
	for _, x := range c.External {
		switch {
		case x.Comment == generatedFrom: // the relation says so
		case (x.Type == "distribution" || x.Type == "vcs") && p.Download == "":
			p.Download = x.URL
		case x.Type == "website" && p.Homepage == "":
			p.Homepage = x.URL
		default:
			p.Refs = append(p.Refs, sbom.Ref{Category: "OTHER", Type: x.Type, Locator: x.URL, Comment: x.Comment})
		}
	}
	return p
}

// fullName puts the group before the name, unless it is a Maven group or an npm scope that the package URL tells anyhow.
func (c *jsonComponent) fullName() string {
	if c.Group == "" || strings.HasPrefix(c.Name, c.Group) {
		return c.Name
	}
	if strings.HasPrefix(c.PURL, "pkg:maven/") {
		return c.Group + ":" + c.Name
	}
	return c.Group + "/" + c.Name
}

// license puts together the licences of a component: those that say so are declared or concluded, the others are declared.
func (d *decoder) license(c *jsonComponent, own map[string]string) sbom.License {
	var declared, concluded []string
	for _, l := range c.Licenses {
		text, said := l.Expression, l.Said
		if l.License != nil {
			text, said = cmp.Or(l.License.ID, d.named(l.License.Name, l.License.Text.Content, l.License.URL)), l.License.Said
		}
		if said == "concluded" {
			concluded = append(concluded, text)
		} else {
			declared = append(declared, text)
		}
	}
	return sbom.License{Declared: cmp.Or(all(declared), own[propDeclared]), Concluded: cmp.Or(all(concluded), own[propConcluded]), Confidence: confidenceOf(own[propConfidence]), Comment: own[propLicComment], Copyright: c.Copyright}
}

// all joins licences that all hold.
func all(licenses []string) string {
	out := make([]string, 0, len(licenses))
	for _, l := range licenses {
		if len(licenses) > 1 && strings.Contains(l, " ") {
			l = "(" + l + ")"
		}
		if l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, " AND ")
}

// named gives the identifier of a licence that has only a name.
func (d *decoder) named(name, text, url string) string {
	if name == "" && text == "" {
		return ""
	}
	id := name
	if !strings.HasPrefix(id, "LicenseRef-") {
		id = "LicenseRef-" + strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
				return r
			}
			return '-'
		}, name)
	}
	if !d.texts[id] {
		d.texts[id] = true
		t := sbom.LicenseText{ID: id, Text: text}
		if name != id {
			t.Name = name
		}
		if url != "" {
			t.URLs = []string{url}
		}
		d.doc.Licenses = append(d.doc.Licenses, t)
	}
	return id
}
