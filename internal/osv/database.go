package osv

import (
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
	Newest  time.Time // when the database was last changed: what its index says, else the newest record
	Total   int       // records that were looked at
	Records []*Record // by id
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

// TooOld refuses a database that was last changed longer ago than asOf, or in a future that no clock excuses.
func (f *Found) TooOld(now time.Time, asOf time.Duration) error {
	const skew = 24 * time.Hour
	age := now.Sub(f.Newest)
	switch {
	case f.Newest.IsZero():
		return &gate.Refusal{Code: "vuln-db-stale", Where: f.URI, What: "the database does not say when it was last changed", Expected: "changed within " + days(asOf), Actual: "no record, and no index with a time",
			Fix: "mirror the database again"}
	case age > asOf:
		return &gate.Refusal{Code: "vuln-db-stale", Where: f.URI, What: "the database of vulnerabilities is older than allowed", Expected: "changed within " + days(asOf),
			Actual: fmt.Sprintf("last changed %s, %s ago", f.Newest.UTC().Format(time.RFC3339), days(age)), Fix: "mirror the database again; or allow an older one (as-of), which hides what was found since"}
	case age < -skew:
		return &gate.Refusal{Code: "vuln-db-stale", Where: f.URI, What: "the database claims to be of the future, so that it would never grow old", Expected: "a time that has been", Actual: f.Newest.UTC().Format(time.RFC3339),
			Fix: "check this machine's clock; else mirror the database again, from whom you trust"}
	}
	return nil
}

func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	}
	return d.Round(time.Minute).String()
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

// finish sorts, and says about which ecosystems the database knows nothing.
func (f *Found) finish(w wanted, covered map[string]bool) *Found {
	slices.SortFunc(f.Records, func(a, b *Record) int { return strings.Compare(a.ID, b.ID) })
	f.Records = slices.CompactFunc(f.Records, func(a, b *Record) bool { return a.ID == b.ID })
	for e := range covered {
		f.Covered = append(f.Covered, e)
	}
	slices.Sort(f.Covered)
	missing := map[string]int{}
	for k := range w {
		if !covered[k.ecosystem] {
			missing[k.ecosystem]++
		}
	}
	for e, n := range missing {
		f.Notes = append(f.Notes, fmt.Sprintf("the database has no record of the ecosystem %s: %d packages were not checked", e, n))
	}
	slices.Sort(f.Notes)
	return f
}
