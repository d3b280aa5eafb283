package vex

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/decision"
	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/vuln"
)

// Set is what was decided, in all documents that count.
type Set struct {
	// Products are package URLs that the thing looked at is known by, besides its digests.
	Products []string
	// Ignored says which documents do not count, and why.
	Ignored []string

	decided []decided
}

// decided is a statement, with where it stands and who stands behind it.
type decided struct {
	Statement
	document string
	at       time.Time
	by       string
	expires  time.Time
	used     usage
}

// usage is how far a statement came to decide anything.
type usage int

const (
	aboutNothing usage = iota // no vulnerability that was found
	aboutOther                // one that was found, in something else
	decides
)

// AddPlain adds a document as it is: nobody vouches for it.
func (s *Set) AddPlain(name string, data []byte) error {
	d, err := Parse(data, name)
	if err != nil {
		return err
	}
	s.add(name, d, "", time.Time{})
	return nil
}

// AddSigned adds a document if its signature counts, and else says in Ignored why it does not. A document that cannot be
// read is an error.
func (s *Set) AddSigned(name string, data, bundle []byte, t *trust.Trust, project string, now time.Time) error {
	d, err := Parse(data, name)
	if err != nil {
		return err
	}
	if bundle == nil {
		s.Ignored = append(s.Ignored, name+": "+decision.Reason(Unsigned(name)))
		return nil
	}
	e, err := Judge(data, bundle, t, project, now)
	if err != nil {
		s.Ignored = append(s.Ignored, name+": "+decision.Reason(err))
		return nil //nolint:nilerr // it does not count, and that is said
	}
	s.add(name, d, e.Identity, e.Expires)
	return nil
}

func (s *Set) add(name string, d *Document, by string, expires time.Time) {
	for _, st := range d.Statements {
		at := st.Timestamp
		if at.IsZero() {
			at = d.Timestamp
		}
		if d.LastUpdated.After(at) && st.Timestamp.IsZero() {
			at = d.LastUpdated
		}
		s.decided = append(s.decided, decided{Statement: st, document: name, at: at, by: by, expires: expires})
	}
}

// Decide gives the newest statement about one of the ids for a package in something with these SHA-256. Of two of the same
// time, the one that settles less counts.
func (s *Set) Decide(ids []string, p osv.Package, digests []string) (vuln.Decision, bool) {
	var found *decided
	for i, d := range s.decided {
		if !d.about(ids) {
			continue
		}
		if !slices.ContainsFunc(d.Products, func(x Product) bool { return s.concerns(x, p, digests) }) {
			s.decided[i].used = max(d.used, aboutOther)
			continue
		}
		s.decided[i].used = decides
		if found == nil || d.at.After(found.at) || d.at.Equal(found.at) && !d.decision().Settles() {
			found = &s.decided[i]
		}
	}
	if found == nil {
		return vuln.Decision{}, false
	}
	return found.decision(), true
}

// Unused says which documents decided nothing, once everything was asked for, and why.
func (s *Set) Unused() (notes []string) {
	most := map[string]usage{}
	for _, d := range s.decided {
		most[d.document] = max(most[d.document], d.used)
	}
	for _, name := range slices.Sorted(maps.Keys(most)) {
		switch most[name] {
		case aboutNothing:
			notes = append(notes, name+" decides nothing: no vulnerability that it names was found")
		case aboutOther:
			notes = append(notes, name+" decides nothing: the vulnerability was found, but in another product or part than it names; --product says what this is")
		}
	}
	return notes
}

func (d decided) decision() vuln.Decision {
	text := d.ImpactStatement
	if d.Status == Affected {
		text = d.ActionStatement
	}
	return vuln.Decision{Status: d.Status, Justification: d.Justification, Text: text, By: d.by, Expires: d.expires, Document: d.document}
}

func (d decided) about(ids []string) bool {
	return slices.Contains(ids, d.Vulnerability.Name) || slices.ContainsFunc(d.Vulnerability.Aliases, func(a string) bool { return slices.Contains(ids, a) })
}

// concerns holds when the product is what is looked at, and the package is the whole of it or one of the subcomponents; or
// when the product is the package itself.
func (s *Set) concerns(x Product, p osv.Package, digests []string) bool {
	whole := x.hashed(digests) || slices.ContainsFunc(s.Products, func(purl string) bool {
		q, err := osv.FromPurl(purl)
		return err == nil && x.named(q)
	})
	if len(x.Subcomponents) == 0 {
		return whole || x.named(p)
	}
	return whole && slices.ContainsFunc(x.Subcomponents, func(c Component) bool { return c.named(p) })
}

func (c Component) hashed(digests []string) bool {
	for name, value := range c.Hashes {
		if name = strings.ToLower(strings.ReplaceAll(name, "-", "")); name == "sha256" && slices.Contains(digests, strings.ToLower(value)) {
			return true
		}
	}
	return false
}

// named holds when one of the component's package URLs is the package's. One without a version stands for all versions.
func (c Component) named(p osv.Package) bool {
	return slices.ContainsFunc(c.purls(), func(purl string) bool {
		u, err := packageurl.FromString(purl)
		if err != nil {
			return false
		}
		q, err := osv.FromPurl(purl)
		if err != nil || q.Name != p.Name {
			return false
		}
		if q.Ecosystem == "" || p.Ecosystem == "" {
			return p.Purl != "" && strings.HasPrefix(p.Purl, strings.SplitN(purl, "@", 2)[0]) && (u.Version == "" || u.Version == p.Version)
		}
		if q.Ecosystem != p.Ecosystem && !strings.HasPrefix(p.Ecosystem, q.Ecosystem+":") {
			return false // of another release of the distribution, or of one where the package does not say which
		}
		return osv.Key(q.Ecosystem, q.Name) == osv.Key(p.Ecosystem, p.Name) && (q.Version == "" || q.Version == p.Version)
	})
}
