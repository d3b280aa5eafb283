package license

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// piece is a licence file that was read.
type piece struct {
	path string
	kind Kind
	text []byte
	*reading
}

// pointer is how few words a text has that says which licences hold and repeats none.
const pointer = 300

// conclude joins what was read. root are the files that speak of the whole, parts those further below.
func conclude(root, parts []piece) Conclusion {
	order := func(a, b piece) int { return cmp.Compare(a.path, b.path) }
	slices.SortFunc(root, order)
	slices.SortFunc(parts, order)
	c := Conclusion{Expression: NoAssertion}
	j := joiner{c: &c}
	for _, p := range root {
		j.file(p)
	}
	j.finish(root)
	own := IDs(c.Expression)
	for _, p := range parts {
		if p.kind == Notice || p.kind == Patents {
			continue
		}
		for _, id := range p.identifiers() {
			if !slices.Contains(own, id) {
				c.Found = append(c.Found, id)
			}
		}
		j.extract(p)
	}
	slices.Sort(c.Found)
	c.Found = slices.Compact(c.Found)
	slices.SortFunc(c.Extracted, func(a, b Extracted) int { return cmp.Compare(a.ID, b.ID) })
	c.Extracted = slices.DeleteFunc(c.Extracted, func(e Extracted) bool {
		return !slices.Contains(c.Found, e.ID) && !slices.Contains(own, e.ID)
	})
	return c
}

// joiner collects the parts of an expression.
type joiner struct {
	c       *Conclusion
	parts   []string
	choice  bool    // one of the texts offers a choice
	unknown []piece // texts that are mostly unknown
	least   float64 // of the confidences so far
}

func (j *joiner) file(p piece) {
	j.c.Files = append(j.c.Files, File{Path: p.path, SHA256: p.sum, Kind: p.kind, Licenses: p.ids, Confidence: p.confidence})
	for _, line := range p.copyrights {
		if len(j.c.Copyrights) < maxLines && !slices.Contains(j.c.Copyrights, line) {
			j.c.Copyrights = append(j.c.Copyrights, line)
		}
	}
	if p.kind == Notice || p.kind == Patents {
		return
	}
	j.choice = j.choice || p.choice
	switch {
	case p.words == 0:
	case p.expression != "" && len(p.ids) == 0:
		j.parts = append(j.parts, p.expression)
		j.less(1)
	case p.confidence >= Enough && len(p.ids) > 0:
		j.parts = append(j.parts, p.ids...)
		j.less(p.confidence)
	default:
		j.unknown = append(j.unknown, p)
	}
	j.extract(p)
}

func (j *joiner) less(confidence float64) {
	if j.least == 0 || confidence < j.least {
		j.least = confidence
	}
}

// finish decides about the texts that are mostly unknown: a short one that names what other files hold only points to
// them; any other becomes a LicenseRef.
func (j *joiner) finish(root []piece) {
	known := slices.Clone(j.parts)
	for _, p := range j.unknown {
		points := p.words <= pointer && len(known) > 0 && (p.choice || len(p.ids) > 0) && !slices.ContainsFunc(p.ids, func(id string) bool { return !slices.Contains(known, id) })
		if points {
			continue
		}
		ref := refOf(p)
		j.parts = append(j.parts, ref.ID)
		j.add(ref)
		j.least = p.confidence
	}
	if len(j.parts) == 0 {
		return
	}
	j.parts = withoutGeneral(j.parts)
	j.c.Expression = join(j.parts, "AND")
	if ids := IDs(j.c.Expression); j.choice && len(ids) == 2 {
		j.c.Expression = join(ids, "OR") // of more than two it is not said between which one may choose
	}
	j.c.Confidence = j.least
	for _, p := range root {
		if len(p.text) == MaxFile {
			j.c.Notes = append(j.c.Notes, fmt.Sprintf("%s: only its first %d bytes were read", p.path, MaxFile))
		}
	}
}

func (j *joiner) extract(p piece) {
	for _, e := range p.refs {
		j.add(e)
	}
	if p.kind == Text && p.words > 0 && (p.confidence < Enough || len(p.ids) == 0) && p.expression == "" && !isRoot(p.path) {
		j.add(refOf(p))
	}
}

// add adds the text of a LicenseRef, once.
func (j *joiner) add(e Extracted) {
	if !slices.ContainsFunc(j.c.Extracted, func(x Extracted) bool { return x.ID == e.ID }) {
		j.c.Extracted = append(j.c.Extracted, e)
	}
}

// identifiers gives what a file below says, a LicenseRef for a text that is mostly unknown.
func (p piece) identifiers() []string {
	switch {
	case p.expression != "" && len(p.ids) == 0:
		return IDs(p.expression)
	case p.words == 0:
		return nil
	case p.confidence >= Enough && len(p.ids) > 0:
		return IDs(strings.Join(p.ids, " AND "))
	}
	return []string{refOf(p).ID}
}

// refOf makes a LicenseRef of a whole text, named by its digest.
func refOf(p piece) Extracted {
	return Extracted{ID: "LicenseRef-" + p.sum[:16], Name: p.path, Text: strings.ToValidUTF8(string(p.text), "�")}
}
