package deps

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sello-release/sello/internal/sbom/query"
)

// Diff is how the dependencies of two things differ.
type Diff struct {
	From    string   `json:"from"`
	To      string   `json:"to"`
	Go      []string `json:"go,omitempty"`     // versions of the standard library before and after, when they differ
	Policy  []string `json:"policy,omitempty"` // lines of the policy that went (- …) and came (+ …)
	Added   []Change `json:"added"`
	Changed []Change `json:"changed"` // another version, licence, or place among direct and transitive ones
	Removed []Change `json:"removed"`
	Notes   []string `json:"notes,omitempty"`
}

// Change is a dependency that came, went or is another one.
type Change struct {
	Name       string   `json:"name"`
	From       string   `json:"from,omitempty"` // version
	To         string   `json:"to,omitempty"`
	Direct     bool     `json:"direct"`
	WasDirect  bool     `json:"wasDirect"`
	Via        []string `json:"via,omitempty"` // who brings it in, or brought
	License    string   `json:"license,omitempty"`
	WasLicense string   `json:"wasLicense,omitempty"`
	Replaces   string   `json:"replaces,omitempty"`
	Downgrade  bool     `json:"downgrade,omitempty"`
	Refused    []string `json:"refused,omitempty"` // codes, by the policies that were asked
	Approved   []string `json:"approved,omitempty"`
}

// Empty reports whether nothing differs.
func (d *Diff) Empty() bool {
	return len(d.Go)+len(d.Policy)+len(d.Added)+len(d.Changed)+len(d.Removed) == 0
}

// Compare tells what changed. A name that is there in several versions is compared version by version.
func Compare(before, after *Set) *Diff {
	d := &Diff{Added: []Change{}, Changed: []Change{}, Removed: []Change{}}
	if before.Go != after.Go && before.Go != "" && after.Go != "" { // sources do not always say it
		d.Go = []string{before.Go, after.Go}
	}
	old, now := linked(before), linked(after)
	names := map[string]bool{}
	for name := range old {
		names[name] = true
	}
	for name := range now {
		names[name] = true
	}
	for name := range names {
		d.name(old[name], now[name])
	}
	for _, all := range [][]Change{d.Added, d.Changed, d.Removed} {
		slices.SortFunc(all, func(a, b Change) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name), query.CompareVersions(a.From+a.To, b.From+b.To))
		})
	}
	return d
}

// rank puts direct dependencies first.
func rank(c Change) int {
	if c.Direct {
		return 0
	}
	return 1
}

func linked(s *Set) map[string][]*Dependency {
	out := map[string][]*Dependency{}
	for _, d := range s.All {
		if d.Linked {
			out[d.Name] = append(out[d.Name], d)
		}
	}
	for _, all := range out {
		slices.SortStableFunc(all, func(a, b *Dependency) int { return query.CompareVersions(a.Version, b.Version) })
	}
	return out
}

func (d *Diff) name(old, now []*Dependency) {
	gone, came := slices.Clone(old), slices.Clone(now)
	for _, a := range old {
		for _, b := range now {
			if a.Version != b.Version || a.Replaces != b.Replaces || a.Local != b.Local {
				continue
			}
			gone = slices.DeleteFunc(gone, func(o *Dependency) bool { return o == a })
			came = slices.DeleteFunc(came, func(o *Dependency) bool { return o == b })
			if a.License != b.License && a.License != "" && b.License != "" || a.Direct != b.Direct { // what nobody could tell is no change
				d.Changed = append(d.Changed, changed(a, b))
			}
		}
	}
	for len(gone) > 0 && len(came) > 0 {
		d.Changed = append(d.Changed, changed(gone[0], came[0]))
		gone, came = gone[1:], came[1:]
	}
	for _, a := range gone {
		d.Removed = append(d.Removed, Change{Name: a.Name, From: a.Version, Direct: a.Direct, WasDirect: a.Direct, Via: a.Via, WasLicense: a.License})
	}
	for _, b := range came {
		d.Added = append(d.Added, Change{Name: b.Name, To: b.Version, Direct: b.Direct, Via: b.Via, License: b.License, Replaces: b.Replaces})
	}
}

func changed(a, b *Dependency) Change {
	return Change{Name: b.Name, From: a.Version, To: b.Version, Direct: b.Direct, WasDirect: a.Direct, Via: b.Via, License: b.License, WasLicense: a.License, Replaces: b.Replaces,
		Downgrade: query.CompareVersions(a.Version, b.Version) > 0}
}

// Mark says at each change what policies refuse about it, and what approvals let through.
func (d *Diff) Mark(r *Report) {
	for _, all := range [][]Change{d.Added, d.Changed} {
		for i := range all {
			c := &all[i]
			for _, f := range r.Findings {
				if f.Name == c.Name && f.Version == c.To && !slices.Contains(c.Refused, f.Code) {
					c.Refused = append(c.Refused, f.Code)
				}
			}
			for _, l := range r.Lifted {
				if l.Name != c.Name || l.Version != c.To {
					continue
				}
				for _, by := range l.By {
					if !slices.Contains(c.Approved, by) {
						c.Approved = append(c.Approved, by)
					}
				}
			}
		}
	}
}

// ComparePolicies gives the lines of a policy that went (- …) and came (+ …); nil is a policy that is not there.
func ComparePolicies(before, after *Policy) []string {
	old, now := before.lines(), after.lines()
	var out []string
	for _, line := range old {
		if !slices.Contains(now, line) {
			out = append(out, "- "+line)
		}
	}
	for _, line := range now {
		if !slices.Contains(old, line) {
			out = append(out, "+ "+line)
		}
	}
	return out
}

// lines says what a policy asks for, a line each.
func (p *Policy) lines() []string {
	var out []string
	if p == nil {
		return out
	}
	add := func(key, value string) { out = append(out, key+": "+value) }
	list := func(key string, all []string) {
		for _, value := range all {
			add(key, value)
		}
	}
	if p.None != "" {
		add("none", p.None)
	}
	if l := p.Licenses; l != nil {
		list("licenses.allow", l.Allow)
		list("licenses.deny", l.Deny)
		add("licenses.unknown", cmp.Or(l.Unknown, Refuse))
	}
	if m := p.Modules; m != nil {
		list("modules.allow", m.Allow)
		for _, d := range m.Deny {
			add("modules.deny", fmt.Sprintf("%s %s (%s)", d.Module, cmp.Or(d.Versions, AnyVersion), d.Reason))
		}
	}
	if s := p.Sources; s != nil {
		add("sources", "no replacements and no unchecked modules but those listed")
		list("sources.allow", s.Allow)
		list("sources.replacements", s.Replacements)
		list("sources.unchecked", s.Unchecked)
	}
	if q := p.Quarantine; q != nil {
		add("quarantine.min-age", q.MinAge)
		list("quarantine.except", q.Except)
	}
	if a := p.Approvals; a != nil {
		need, _ := p.managers()
		add("approvals.direct", fmt.Sprint(a.Direct))
		add("approvals.managers", fmt.Sprint(need))
		list("approvals.by", a.By)
		list("approvals.except", a.Except)
	}
	return out
}

// Summary says in a line what a policy asks for.
func (p *Policy) Summary() string {
	if p.None != "" {
		return "none: " + p.None
	}
	var out string
	add := func(is bool, text string) {
		if is {
			out = joined(out, text)
		}
	}
	add(p.Licenses != nil, "licences")
	add(p.Modules != nil, "modules")
	add(p.Sources != nil, "sources")
	if p.Quarantine != nil {
		add(true, "versions at least "+p.Quarantine.MinAge+" old")
	}
	add(p.Approvals != nil && p.Approvals.Direct, "direct dependencies approved by "+p.managersText())
	return out
}
