package osv

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Source is a database that can be asked.
type Source interface {
	// Find gives the records that name one of the packages, whatever their versions.
	Find(ctx context.Context, packages []Package) (*Found, error)
}

// Found is what a database has about some packages.
type Found struct {
	URI     string    // where it came from, as the caller named it
	Newest  time.Time // when it was last changed about what was asked: what its index says, else the newest record
	Total   int       // records that were looked at
	Records []*Record // by id
	Changed []Changed // by ecosystem that was asked for and that the database has, sorted
	Covered []string  // ecosystems of which the database has any record, sorted
	Notes   []string  // what was asked for and could not be answered
}

// Open gives the database that a name stands for: a folder, a zip file, or the http(s) URL of an OSV API.
func Open(name string) (Source, error) {
	if scheme, _, ok := strings.Cut(name, "://"); ok {
		if scheme != "https" && scheme != "http" {
			return nil, &gate.Refusal{Code: "vuln-db-invalid", Class: gate.Usage, Where: name, What: "this is no database of vulnerabilities", Expected: "a folder, a zip file, or the https URL of an OSV API",
				Actual: scheme + "://", Fix: "give the path of a mirror, or a URL as --db https://api.osv.dev"}
		}
		return newAPI(name), nil
	}
	return folder{path: name}, nil
}

// wanted are the packages that are asked for, by key.
type wanted map[key]bool

func want(packages []Package) wanted {
	w := wanted{}
	for _, p := range packages {
		if p.Ecosystem != "" {
			w[keyOf(p.Ecosystem, p.Name)] = true
		}
	}
	return w
}

func (w wanted) ecosystem(name string) bool {
	for k := range w {
		if k.ecosystem == name {
			return true
		}
	}
	return false
}

// finish sorts, keeps of records of one id the newest, and says about which ecosystems the database knows nothing.
func (f *Found) finish(w wanted) *Found {
	f.newest()
	slices.Sort(f.Covered)
	missing := map[string]int{}
	for k := range w {
		if !slices.Contains(f.Covered, k.ecosystem) {
			missing[k.ecosystem]++
		}
	}
	for e, n := range missing {
		f.Notes = append(f.Notes, fmt.Sprintf("the database has no record of the ecosystem %s: %d packages were not checked", e, n))
	}
	slices.Sort(f.Notes)
	return f
}

// newest keeps of records of one id those that were changed last. Where these differ all are kept, and each is judged.
func (f *Found) newest() {
	slices.SortFunc(f.Records, func(a, b *Record) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), b.Modified.Compare(a.Modified), bytes.Compare(a.raw, b.raw))
	})
	f.Records = slices.CompactFunc(f.Records, func(a, b *Record) bool { return a.ID == b.ID && bytes.Equal(a.raw, b.raw) })
	var kept []*Record
	var several []string
	for _, r := range f.Records {
		last := len(kept) - 1
		if last >= 0 && kept[last].ID == r.ID {
			several = append(several, r.ID)
			if r.Modified.Before(kept[last].Modified) {
				continue
			}
		}
		kept = append(kept, r)
	}
	f.Records = kept
	if several = slices.Compact(several); len(several) > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d records are in the database more than once, and differ: the newest counts, and each of equal age: %s", len(several), some(several)))
	}
}

// some names the first few.
func some(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}
