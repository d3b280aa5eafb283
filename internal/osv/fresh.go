package osv

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// part is a zip, what one index names, or all records that lie by themselves.
type part struct {
	loose  bool
	stated time.Time            // what an index says of itself
	newest map[string]time.Time // when the newest record changed, by ecosystem
}

// record takes note of a record. What an index says of itself counts more than its records.
func (p *part) record(h head) {
	if p.newest == nil {
		p.newest = map[string]time.Time{}
	}
	if len(h.packages) == 0 {
		p.newer("", h.modified)
	}
	for _, r := range h.packages {
		p.newer(base(r.Ecosystem), h.modified)
	}
}

func (p *part) newer(ecosystem string, t time.Time) {
	if old, ok := p.newest[ecosystem]; !ok || p.stated.IsZero() && t.After(old) {
		p.newest[ecosystem] = t
	}
}

// Changed is when what a database has about an ecosystem was last changed.
type Changed struct {
	Ecosystem string
	Time      time.Time
	Stated    bool // an index says so; else it is the newest record's time, and the ecosystem may be a quiet one
}

// fresh finds out how old the database is for what was asked. Records that lie by themselves are people's own and make no
// mirror fresh: they count only where there is none.
func (f *Found) fresh(w wanted, mirrors []*part, loose *part) {
	covered := map[string]bool{}
	var all []Changed
	for _, p := range append([]*part{loose}, mirrors...) {
		for e, t := range p.newest {
			covered[e] = true
			if !p.loose || len(mirrors) == 0 {
				all = append(all, Changed{e, t, !p.stated.IsZero()})
			}
		}
		if len(p.newest) == 0 && !p.stated.IsZero() {
			all = append(all, Changed{"", p.stated, true})
		}
	}
	delete(covered, "")
	for e := range covered {
		f.Covered = append(f.Covered, e)
	}
	slices.SortFunc(all, func(a, b Changed) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), b.Time.Compare(a.Time), stated(b)-stated(a))
	})
	asked := slices.DeleteFunc(slices.Clone(all), func(c Changed) bool { return !w.ecosystem(c.Ecosystem) })
	f.Changed = slices.CompactFunc(slices.Clone(asked), func(a, b Changed) bool { return a.Ecosystem == b.Ecosystem })
	if len(asked) == 0 {
		asked = all
	}
	for _, c := range asked {
		if c.Time.After(f.Newest) {
			f.Newest = c.Time
		}
	}
}

// TooOld refuses a database that was last changed longer ago than asOf, or in a future that no clock excuses. So it does when
// an index says that of an ecosystem that was asked for.
func (f *Found) TooOld(now time.Time, asOf time.Duration) error {
	const skew = 24 * time.Hour
	if f.Newest.IsZero() {
		return &gate.Refusal{Code: "vuln-db-stale", Where: f.URI, What: "the database does not say when it was last changed", Expected: "changed within " + days(asOf), Actual: "no record, and no index with a time",
			Fix: "mirror the database again"}
	}
	for _, c := range append([]Changed{{"", f.Newest, true}}, f.Changed...) {
		age := now.Sub(c.Time)
		of := ""
		if c.Ecosystem != "" {
			of = " about " + c.Ecosystem
		}
		switch {
		case age > asOf && c.Stated:
			return &gate.Refusal{Code: "vuln-db-stale", Where: f.URI, What: "the database of vulnerabilities is older than allowed", Expected: "changed within " + days(asOf),
				Actual: fmt.Sprintf("last changed%s %s, %s ago", of, c.Time.UTC().Format(time.RFC3339), days(age)), Fix: "mirror the database again; or allow an older one (as-of), which hides what was found since"}
		case age < -skew:
			return &gate.Refusal{Code: "vuln-db-stale", Where: f.URI, What: "the database claims to be of the future, so that it would never grow old", Expected: "a time that has been", Actual: c.Time.UTC().Format(time.RFC3339) + of,
				Fix: "check this machine's clock; else mirror the database again, from whom you trust"}
		}
	}
	return nil
}

// Quiet says of which ecosystems that were asked for nothing has changed for longer than asOf: few things happen in some, and
// a mirror of others is old.
func (f *Found) Quiet(now time.Time, asOf time.Duration) (notes []string) {
	for _, c := range f.Changed {
		if age := now.Sub(c.Time); age > asOf {
			notes = append(notes, fmt.Sprintf("the newest record of the ecosystem %s is of %s, %s ago: make sure that it is mirrored", c.Ecosystem, c.Time.UTC().Format(time.DateOnly), days(age)))
		}
	}
	return notes
}

func stated(c Changed) int {
	if c.Stated {
		return 1
	}
	return 0
}

func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	}
	return d.Round(time.Minute).String()
}
