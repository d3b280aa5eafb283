package cyclonedx

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sello-release/sello/internal/sbom"
)

// The types of CycloneDX's JSON, with the members that the model has a place for.
type (
	jsonBOM struct {
		Format       string           `json:"bomFormat"`
		Version      string           `json:"specVersion"`
		Serial       string           `json:"serialNumber"`
		Number       jsontext.Value   `json:"version"`
		Metadata     jsonMetadata     `json:"metadata"`
		Components   []jsonComponent  `json:"components"`
		Dependencies []jsonDependency `json:"dependencies"`
		External     []jsonExternal   `json:"externalReferences"`
		Annotations  []jsonAnnotation `json:"annotations"`
		Properties   []jsonProperty   `json:"properties"`
		Compositions []struct {
			Aggregate    string   `json:"aggregate"`
			Dependencies []string `json:"dependencies"`
		} `json:"compositions"`
		Rest jsontext.Value `json:",embed"`
	}
	jsonMetadata struct {
		Timestamp  string         `json:"timestamp"`
		Tools      jsontext.Value `json:"tools"`
		Authors    []jsonContact  `json:"authors"`
		Supplier   *jsonOrg       `json:"supplier"`
		Maker      *jsonOrg       `json:"manufacturer"`
		Licenses   []jsonLicense  `json:"licenses"`
		Lifecycles []struct {
			Phase string `json:"phase"`
			Name  string `json:"name"`
		} `json:"lifecycles"`
		Component  *jsonComponent `json:"component"`
		Properties []jsonProperty `json:"properties"`
		Rest       jsontext.Value `json:",embed"`
	}
	jsonTool struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	jsonContact struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	jsonOrg struct {
		Name    string        `json:"name"`
		Contact []jsonContact `json:"contact"`
	}
	jsonComponent struct {
		Ref          string          `json:"bom-ref"`
		Type         string          `json:"type"`
		Group        string          `json:"group"`
		Name         string          `json:"name"`
		Version      string          `json:"version"`
		Description  string          `json:"description"`
		PURL         string          `json:"purl"`
		CPE          string          `json:"cpe"`
		Copyright    string          `json:"copyright"`
		Publisher    string          `json:"publisher"`
		Author       string          `json:"author"`
		Authors      []jsonContact   `json:"authors"`
		Supplier     *jsonOrg        `json:"supplier"`
		Manufacturer *jsonOrg        `json:"manufacturer"`
		Hashes       []jsonHash      `json:"hashes"`
		Licenses     []jsonLicense   `json:"licenses"`
		External     []jsonExternal  `json:"externalReferences"`
		Properties   []jsonProperty  `json:"properties"`
		Components   []jsonComponent `json:"components"`
		Rest         jsontext.Value  `json:",embed"`
	}
	jsonHash struct {
		Algorithm string `json:"alg"`
		Value     string `json:"content"`
	}
	jsonLicense struct {
		License *struct {
			ID   string `json:"id"`
			Name string `json:"name"`
			Said string `json:"acknowledgement"`
			URL  string `json:"url"`
			Text struct {
				Content string `json:"content"`
			} `json:"text"`
		} `json:"license"`
		Expression string `json:"expression"`
		Said       string `json:"acknowledgement"`
	}
	jsonExternal struct {
		Type    string     `json:"type"`
		URL     string     `json:"url"`
		Comment string     `json:"comment"`
		Hashes  []jsonHash `json:"hashes"`
	}
	jsonProperty struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	jsonDependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
	jsonAnnotation struct {
		Subjects  []string `json:"subjects"`
		Timestamp string   `json:"timestamp"`
		Text      string   `json:"text"`
		Annotator struct {
			Individual   *jsonContact `json:"individual"`
			Organization *jsonOrg     `json:"organization"`
			Component    *jsonTool    `json:"component"`
		} `json:"annotator"`
	}
)

var versions = []string{"1.4", "1.5", "1.6", "1.7"}

// decoder turns CycloneDX's types into the model.
type decoder struct {
	doc       *sbom.Document
	relations map[sbom.Relation]bool // those that properties tell, without comments
	texts     map[string]bool
	unnamed   int
}

// ReadJSON reads CycloneDX 1.4 to 1.7 as JSON.
func ReadJSON(data []byte) (*sbom.Document, error) {
	var in jsonBOM
	if err := sbom.DecodeJSON(data, &in); err != nil {
		return nil, err
	}
	if in.Format != "CycloneDX" {
		return nil, sbom.Malformed("/bomFormat", "%.100q", in.Format)
	}
	if !slices.Contains(versions, in.Version) {
		return nil, sbom.UnknownVersion("CycloneDX", in.Version, strings.Join(versions, ", "))
	}
	d := &decoder{doc: &sbom.Document{Format: "CycloneDX-" + in.Version, Namespace: in.Serial}, relations: map[sbom.Relation]bool{}, texts: map[string]bool{}}
	d.doc.LeaveOut("", in.Rest, "$schema")
	d.doc.LeaveOut("metadata.", in.Metadata.Rest)
	if err := d.metadata(&in.Metadata); err != nil {
		return nil, err
	}
	if c := in.Metadata.Component; c != nil {
		id, err := d.component(c, "", 0)
		if err != nil {
			return nil, err
		}
		d.relate(sbom.DocumentID, sbom.Describes, id, "")
		d.doc.Name = cmp.Or(d.doc.Name, c.Name)
	}
	for i := range in.Components {
		if _, err := d.component(&in.Components[i], "", 0); err != nil {
			return nil, err
		}
	}
	for _, c := range in.Compositions {
		if c.Aggregate == "complete" {
			d.complete(c.Dependencies)
		} else { // that something is known to be incomplete, above all
			d.doc.LeaveOut("", jsontext.Value(`{"compositions":true}`))
		}
	}
	d.bomProperties(in.Properties)
	d.dependencies(in.Dependencies)
	if err := d.annotations(in.Annotations); err != nil {
		return nil, err
	}
	for i, x := range in.External {
		if x.Type == "bom" && len(x.Hashes) > 0 {
			id := x.Comment
			if !strings.HasPrefix(id, "DocumentRef-") {
				id = fmt.Sprintf("DocumentRef-%d", i+1)
			}
			d.doc.Links = append(d.doc.Links, sbom.Link{ID: id, URI: x.URL, Checksum: sums(x.Hashes)[0]})
		}
	}
	return d.doc.Checked()
}

// complete takes up of which packages all parts and dependencies are listed.
func (d *decoder) complete(ids []string) {
	whole := map[string]bool{}
	for _, id := range ids {
		whole[id] = true
	}
	for i := range d.doc.Packages {
		d.doc.Packages[i].Complete = d.doc.Packages[i].Complete || whole[d.doc.Packages[i].ID]
	}
}

func (d *decoder) metadata(m *jsonMetadata) error {
	var err error
	if d.doc.Created, err = parseTime("/metadata/timestamp", m.Timestamp); err != nil {
		return err
	}
	for _, a := range m.Authors {
		d.doc.Authors = append(d.doc.Authors, sbom.Agent{Kind: sbom.AgentPerson, Name: a.Name, Email: a.Email})
	}
	if m.Maker != nil && m.Maker.Name != "" {
		d.doc.Authors = append(d.doc.Authors, m.Maker.agent())
	}
	if m.Component != nil && m.Component.Supplier == nil {
		m.Component.Supplier = m.Supplier
	}
	if len(m.Lifecycles) > 0 {
		d.doc.Phase = cmp.Or(m.Lifecycles[0].Phase, m.Lifecycles[0].Name)
	}
	if len(m.Licenses) == 1 && m.Licenses[0].License != nil {
		d.doc.License = m.Licenses[0].License.ID
	}
	for _, p := range m.Properties {
		switch p.Name {
		case propName:
			d.doc.Name = p.Value
		case propNamespace:
			d.doc.Namespace = p.Value
		case propComment:
			d.doc.Comment = p.Value
		}
	}
	return d.tools(m.Tools)
}

// tools reads a list, as before 1.5, or an object with components.
func (d *decoder) tools(v jsontext.Value) error {
	var all struct {
		Components []jsonTool `json:"components"`
	}
	switch v.Kind() {
	case '[':
		if err := sbom.DecodeJSON(v, &all.Components); err != nil {
			return err
		}
	case '{':
		if err := sbom.DecodeJSON(v, &all); err != nil {
			return err
		}
	}
	for _, t := range all.Components {
		d.doc.Tools = append(d.doc.Tools, sbom.Tool(t))
	}
	return nil
}

func (o *jsonOrg) agent() sbom.Agent {
	a := sbom.Agent{Kind: sbom.AgentOrganization, Name: o.Name}
	if len(o.Contact) == 1 {
		a.Email = o.Contact[0].Email
		if o.Contact[0].Name != "" && o.Contact[0].Name == o.Name {
			a.Kind = sbom.AgentPerson
		}
	}
	return a
}

func parseTime(where, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, sbom.Malformed(where, "the time %.100q", s)
	}
	return t.UTC(), nil
}

func (d *decoder) relate(from, kind, to, comment string) {
	d.relations[sbom.Relation{From: from, Kind: kind, To: to}] = true
	d.doc.Relations = append(d.doc.Relations, sbom.Relation{From: from, Kind: kind, To: to, Comment: comment})
}

// bomProperties takes up relations of the document and of elements elsewhere, and the texts and names of licences.
func (d *decoder) bomProperties(all []jsonProperty) {
	names := map[string]string{}
	for _, p := range all {
		if id, ok := strings.CutPrefix(p.Name, propLicenseName); ok {
			names[id] = p.Value
		}
		if kind, ok := strings.CutPrefix(p.Name, propRelation); ok {
			from, to := sbom.DocumentID, p.Value
			if strings.HasPrefix(to, "DocumentRef-") && strings.Contains(to, " ") {
				from, to, _ = strings.Cut(to, " ")
			}
			to, comment, _ := strings.Cut(to, " ")
			d.relate(from, kind, to, comment)
		}
		if id, ok := strings.CutPrefix(p.Name, propLicense); ok && !d.texts[id] {
			d.texts[id] = true
			d.doc.Licenses = append(d.doc.Licenses, sbom.LicenseText{ID: id, Text: p.Value})
		}
	}
	for i, l := range d.doc.Licenses {
		d.doc.Licenses[i].Name = cmp.Or(l.Name, names[l.ID])
	}
}

// dependencies takes up what the properties have not told already.
func (d *decoder) dependencies(all []jsonDependency) {
	for _, dep := range all {
		for _, to := range dep.On {
			if d.relations[sbom.Relation{From: dep.Ref, Kind: sbom.Contains, To: to}] || d.relations[sbom.Relation{From: dep.Ref, Kind: sbom.DependsOn, To: to}] {
				continue
			}
			d.relate(dep.Ref, sbom.DependsOn, to, "")
		}
	}
}

func (d *decoder) annotations(all []jsonAnnotation) error {
	for i, a := range all {
		t, err := parseTime(fmt.Sprintf("/annotations/%d/timestamp", i), a.Timestamp)
		if err != nil {
			return err
		}
		by := "Tool: unknown"
		switch w := a.Annotator; {
		case w.Individual != nil:
			by = sbom.AgentPerson + ": " + w.Individual.Name
		case w.Organization != nil:
			by = sbom.AgentOrganization + ": " + w.Organization.Name
		case w.Component != nil:
			by = "Tool: " + w.Component.Name
		}
		of := sbom.DocumentID
		if len(a.Subjects) > 0 {
			of = a.Subjects[0]
		}
		d.doc.Notes = append(d.doc.Notes, sbom.Note{Of: of, By: by, Type: "OTHER", Time: t, Text: a.Text})
	}
	return nil
}

func sums(all []jsonHash) []sbom.Checksum {
	out := make([]sbom.Checksum, 0, len(all))
	for _, h := range all {
		name := h.Algorithm
		for ours, theirs := range algorithms {
			if string(theirs) == h.Algorithm {
				name = ours
			}
		}
		out = append(out, sbom.Checksum{Algorithm: name, Value: strings.ToLower(h.Value)})
	}
	return out
}

// confidenceOf reads a number from 0 to 1.
func confidenceOf(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > 0 && f <= 1) {
		return 0
	}
	return f
}
