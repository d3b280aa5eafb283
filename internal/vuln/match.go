package vuln

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/osv"
)

// match is one record that concerns one package.
type match struct {
	record    *osv.Record
	pkg       osv.Package
	judgement osv.Judgement
	targets   []string
	component string // see Finding.Component
	reach     Reach
	blind     bool // something holds the package of which it is not known what is called
	symbols   []string
}

// distinct gives the packages of all targets once, each with the first of its package URLs, and the names of the targets in
// which each is.
func distinct(targets []Target) ([]osv.Package, map[osv.Package][]string) {
	where, purls := map[osv.Package][]string{}, map[osv.Package]string{}
	for _, t := range targets {
		for _, p := range t.Packages {
			purl := p.Purl
			p = p.Plain()
			if first := purls[p]; first == "" || purl != "" && purl < first {
				purls[p] = purl
			}
			if !slices.Contains(where[p], t.Name) {
				where[p] = append(where[p], t.Name)
			}
		}
	}
	packages := make([]osv.Package, 0, len(where))
	for p := range where {
		p.Purl = purls[p]
		packages = append(packages, p)
	}
	slices.SortFunc(packages, byName)
	return packages, where
}

func byName(a, b osv.Package) int {
	return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
}

// matches judges every record for every package that it names.
func matches(packages []osv.Package, where map[osv.Package][]string, records []*osv.Record, now time.Time) []*match {
	about := map[string][]*osv.Record{}
	for _, r := range records {
		for _, a := range r.Affected {
			k := osv.Key(a.Package.Ecosystem, a.Package.Name)
			if n := about[k]; len(n) == 0 || n[len(n)-1] != r {
				about[k] = append(n, r)
			}
		}
	}
	var out []*match
	for _, named := range packages {
		p := named.Plain()
		if p.Ecosystem == "" {
			continue
		}
		for _, r := range about[osv.Key(p.Ecosystem, p.Name)] {
			if j := r.Judge(p, now); j.Verdict != osv.Unaffected {
				out = append(out, &match{record: r, pkg: p, judgement: j, targets: where[p], component: named.Component(), reach: Unknown})
			}
		}
	}
	return out
}

// merge makes one finding of all records about a package that are each other's aliases.
func merge(all []*match) []Finding {
	byPackage := map[osv.Package][]*match{}
	for _, m := range all {
		byPackage[m.pkg] = append(byPackage[m.pkg], m)
	}
	var out []Finding
	for p, ms := range byPackage {
		for _, group := range aliases(ms) {
			out = append(out, finding(p, group))
		}
	}
	return out
}

// aliases puts matches together whose records name each other, or a third.
func aliases(ms []*match) [][]*match {
	group := map[string]int{} // by id
	var groups [][]*match
	for _, m := range ms {
		to := -1
		ids := append([]string{m.record.ID}, m.record.Aliases...)
		for _, id := range ids {
			g, ok := group[id]
			switch {
			case !ok || g == to:
			case to == -1:
				to = g
			default: // it joins two groups
				groups[to] = append(groups[to], groups[g]...)
				groups[g] = nil
				for other, n := range group {
					if n == g {
						group[other] = to
					}
				}
			}
		}
		if to == -1 {
			to = len(groups)
			groups = append(groups, nil)
		}
		groups[to] = append(groups[to], m)
		for _, id := range ids {
			group[id] = to
		}
	}
	return slices.DeleteFunc(groups, func(g []*match) bool { return len(g) == 0 })
}

func finding(p osv.Package, group []*match) Finding {
	slices.SortFunc(group, func(a, b *match) int {
		return cmp.Or(cmp.Compare(rank(a.record.ID, p), rank(b.record.ID, p)), strings.Compare(a.record.ID, b.record.ID), bytes.Compare(a.record.Raw(), b.record.Raw()))
	})
	f := Finding{ID: group[0].record.ID, Package: p, Component: group[0].component, Reach: Required, Severity: Severity{Level: LevelUnknown}, Where: []string{}}
	sure := slices.ContainsFunc(group, func(m *match) bool { return m.judgement.Verdict == osv.IsAffected })
	known := slices.ContainsFunc(group, func(m *match) bool { return m.reach != Unknown })
	readable := true
	for _, m := range group {
		f.Aliases = append(append(f.Aliases, m.record.ID), m.record.Aliases...)
		f.Summary = cmp.Or(f.Summary, summary(m.record))
		f.Fixed = append(f.Fixed, m.judgement.Fixed...)
		f.Where = append(f.Where, m.targets...)
		f.Symbols = append(f.Symbols, m.symbols...)
		s, all := severity(m.record, m.judgement.Matched)
		readable = readable && all
		if s.worse(f.Severity) {
			f.Severity = s
		}
		if !sure {
			f.Undecided = cmp.Or(f.Undecided, m.judgement.Why)
		}
		if known && m.reach == Unknown {
			continue // another record of the same vulnerability says more
		}
		if nearer(m.reach, f.Reach) {
			f.Reach = m.reach
		}
	}
	if !readable && f.Severity.rank() < LevelHigh.rank() {
		f.Severity = Severity{Level: LevelUnknown} // what cannot be read may say worse
	}
	f.names = direct(group)
	f.Aliases = unique(slices.DeleteFunc(f.Aliases, func(id string) bool { return id == f.ID }))
	f.Where, f.Symbols = unique(f.Where), unique(f.Symbols)
	f.Symbols = f.Symbols[:min(len(f.Symbols), 10)]
	seen := map[string]bool{}
	f.Fixed = slices.DeleteFunc(f.Fixed, func(v string) bool { again := seen[v]; seen[v] = true; return again })
	return f
}

// direct gives for each record the names under which something may be decided about it: its ids, and those of records that
// share one with it. A record that only a third joins with it is another vulnerability, perhaps.
func direct(group []*match) [][]string {
	ids := func(m *match) []string { return append([]string{m.record.ID}, m.record.Aliases...) }
	var out [][]string
	for _, m := range group {
		names := ids(m)
		for _, o := range group {
			if slices.ContainsFunc(ids(o), func(id string) bool { return slices.Contains(ids(m), id) }) {
				names = append(names, o.record.ID)
			}
		}
		out = append(out, unique(names))
	}
	return out
}

// rank prefers the id of an ecosystem's own database, then those that people look for.
func rank(id string, p osv.Package) int {
	prefix, _, _ := strings.Cut(id, "-")
	switch {
	case p.Ecosystem == "Go" && prefix == "GO":
		return 0
	case prefix == "CVE":
		return 1
	case prefix == "GHSA":
		return 2
	}
	return 3
}

func summary(r *osv.Record) string {
	s := r.Summary
	if s == "" {
		s, _, _ = strings.Cut(strings.TrimSpace(r.Details), "\n")
	}
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == '\u202e' || c == '\u2066' || c == '\u2067' {
			return ' '
		}
		return c
	}, s)
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:199]) + "…"
	}
	return s
}

var nearness = map[Reach]int{Called: 0, Unknown: 1, Imported: 2, Required: 3}

// nearer orders reaches as a policy has to take them: what is unknown may be called.
func nearer(a, b Reach) bool { return nearness[a] < nearness[b] }

// byWeight puts what matters most first.
func byWeight(a, b Finding) int {
	order := func(f Finding) int {
		if f.Offends {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(b.Severity.rank(), a.Severity.rank()), cmp.Compare(nearness[a.Reach], nearness[b.Reach]), strings.Compare(a.ID, b.ID), byName(a.Package, b.Package))
}

func unique(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
