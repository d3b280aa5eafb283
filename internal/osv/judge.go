package osv

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/osv-scalibr/semantic"
	"golang.org/x/mod/semver"
)

// Verdict is whether a record concerns a version.
type Verdict int

// Verdicts.
const (
	Unaffected Verdict = iota
	IsAffected
	Undecided
)

// Judgement is a verdict with what it rests on.
type Judgement struct {
	Verdict Verdict
	Why     string   // of Undecided
	Fixed   []string // later versions in which it is fixed, in their order
	Matched []Affected
}

// Judge says whether the record concerns the package. A record that was withdrawn by now concerns nobody.
func (r *Record) Judge(p Package, now time.Time) Judgement {
	var j Judgement
	if r.Withdrawn != nil && !r.Withdrawn.After(now) {
		return j
	}
	want := keyOf(p.Ecosystem, p.Name)
	for _, a := range r.Affected {
		if keyOf(a.Package.Ecosystem, a.Package.Name) != want || !sameEcosystem(a.Package.Ecosystem, p.Ecosystem) {
			continue
		}
		verdict, why := a.judge(p)
		if verdict == Unaffected {
			continue
		}
		j.Matched = append(j.Matched, a)
		j.Fixed = append(j.Fixed, a.fixed()...)
		if verdict == IsAffected || j.Verdict == Unaffected {
			j.Verdict, j.Why = verdict, why
		}
	}
	if o, err := orderOf(p.Ecosystem); err == nil {
		slices.SortFunc(j.Fixed, o.sortable)
		if o.comparable(p.Version) {
			j.Fixed = slices.DeleteFunc(j.Fixed, func(v string) bool { return o.sortable(v, p.Version) <= 0 })
		}
	} else {
		slices.Sort(j.Fixed)
	}
	j.Fixed = slices.Compact(j.Fixed)
	return j
}

func (a Affected) fixed() (out []string) {
	for _, r := range a.Ranges {
		if r.Type == "GIT" {
			continue
		}
		for _, e := range r.Events {
			if e.Fixed != "" {
				out = append(out, e.Fixed)
			}
		}
	}
	return out
}

func (a Affected) judge(p Package) (Verdict, string) {
	version := strings.TrimSpace(p.Version)
	if version != "" && slices.ContainsFunc(a.Versions, func(v string) bool {
		return v == version || p.Ecosystem == "Go" && goVersion(p.Name, v) == goVersion(p.Name, version)
	}) {
		return IsAffected, ""
	}
	undecided := ""
	ordered := 0
	for _, r := range a.Ranges {
		verdict, why := r.judge(p.Ecosystem, version)
		switch verdict {
		case IsAffected:
			return IsAffected, ""
		case Undecided:
			undecided = why
		}
		if r.Type != "GIT" {
			ordered++
		}
	}
	switch {
	case len(a.Ranges) == 0 && len(a.Versions) == 0:
		return Undecided, "the record says nothing about versions"
	case ordered == 0 && len(a.Versions) > 0:
		if version == "" {
			return Undecided, "the version is not known"
		}
		return Unaffected, "" // its versions are listed, and this is none of them
	case undecided != "":
		return Undecided, undecided
	}
	return Unaffected, ""
}

// goVersion spells a version in one way: releases of Go itself are written as go1.26.8, too.
func goVersion(module, v string) string {
	if module == "stdlib" || module == "toolchain" {
		v = GoVersion(v)
	}
	return strings.TrimPrefix(v, "v")
}

// judge places a version on a range. See the OSV schema, Evaluation.
func (r Range) judge(ecosystem, version string) (Verdict, string) {
	switch r.Type {
	case "SEMVER":
		ecosystem = "Go" // any whose order is that of semantic versions
	case "ECOSYSTEM":
	case "GIT":
		return Undecided, "the record has only a range of git commits"
	default:
		return Undecided, fmt.Sprintf("the record has a range of an unknown type, %.40q", r.Type)
	}
	if !slices.ContainsFunc(r.Events, func(e Event) bool { return e.Introduced != "" }) {
		return Undecided, "the record has a range without a beginning"
	}
	o, err := orderOf(ecosystem)
	if err != nil {
		return Undecided, err.Error()
	}
	if !o.comparable(version) {
		if version == "" {
			return Undecided, "the version is not known"
		}
		return Undecided, fmt.Sprintf("the version %.100q cannot be compared", version)
	}
	points, why := r.points(o)
	if why != "" {
		return Undecided, why
	}
	affected, limited, within := false, false, false
	for _, p := range points {
		c, err := o.compare(version, p.version)
		switch {
		case err != nil:
			return Undecided, fmt.Sprintf("the version %.100q cannot be compared", version)
		case p.kind == introduced && c >= 0:
			affected = true
		case p.kind == fixed && c >= 0, p.kind == lastAffected && c > 0:
			affected = false
		case p.kind == limit:
			limited = true
			within = within || c < 0
		}
	}
	if affected && (!limited || within) {
		return IsAffected, ""
	}
	return Unaffected, ""
}

const (
	introduced = iota
	fixed
	lastAffected
	limit
)

type point struct {
	kind    int
	version string
}

// points gives a range's events in their order, or says why they have none.
func (r Range) points(o order) (out []point, why string) {
	for _, e := range r.Events {
		for kind, version := range []string{e.Introduced, e.Fixed, e.LastAffected, e.Limit} {
			if version == "" || version == "*" && kind == limit {
				continue
			}
			if version != "0" && !o.comparable(version) {
				return nil, fmt.Sprintf("the record has the version %.100q, which cannot be compared", version)
			}
			out = append(out, point{kind, version})
		}
	}
	slices.SortStableFunc(out, func(a, b point) int { return cmp.Or(o.sortable(a.version, b.version), cmp.Compare(a.kind, b.kind)) })
	return out, ""
}

// order is the order of versions in an ecosystem.
type order struct{ ecosystem string }

func orderOf(ecosystem string) (order, error) {
	if _, err := semantic.Parse("1", ecosystem); err != nil {
		return order{}, fmt.Errorf("versions of %.60q cannot be ordered here", ecosystem)
	}
	return order{ecosystem}, nil
}

// comparable holds for what is a version at all. The library takes anything for a version; a word would sort somewhere.
func (o order) comparable(v string) bool {
	if o.ecosystem == "Go" {
		return semver.IsValid("v" + strings.TrimPrefix(v, "v"))
	}
	if !strings.ContainsAny(v, "0123456789") || len(v) > 300 {
		return false
	}
	_, err := semantic.Parse(v, o.ecosystem)
	return err == nil
}

// compare gives -1, 0 or 1. "0" is before all versions.
func (o order) compare(a, b string) (int, error) {
	switch {
	case a == b:
		return 0, nil
	case a == "0":
		return -1, nil
	case b == "0":
		return 1, nil
	case o.ecosystem == "Go":
		return semver.Compare("v"+strings.TrimPrefix(a, "v"), "v"+strings.TrimPrefix(b, "v")), nil
	}
	v, err := semantic.Parse(a, o.ecosystem)
	if err != nil {
		return 0, err
	}
	return v.CompareStr(b)
}

// sortable orders versions that comparable let through, others by their letters.
func (o order) sortable(a, b string) int {
	c, err := o.compare(a, b)
	if err != nil {
		return strings.Compare(a, b)
	}
	return c
}
