package deps

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/license"
	"github.com/sello-release/sello/internal/sbom/query"
	"github.com/sello-release/sello/internal/strictyaml"
	"github.com/sello-release/sello/internal/trust"
)

// Bounds of the files, which people write.
const (
	maxEntries = 2000 // of one list
	maxWord    = 500  // bytes of one name, pattern or reason
)

// Words that licenses.unknown takes.
const (
	Refuse = "refuse"
	Allow  = "allow"
)

// ParsePolicy reads dependencies.yaml. The error is a strictyaml.Errors with every refusal.
func ParsePolicy(name string, data []byte) (*Policy, error) {
	var p Policy
	doc, err := strictyaml.Decode(name, data, &p)
	if doc == nil {
		if gate.Code(err) == "yaml-empty" {
			return nil, strictyaml.Errors{{Code: "deps-policy-empty", Class: gate.Usage, Where: name, What: "the policy about dependencies is empty: it asks for nothing",
				Fix: "write what it should ask for, or none: and why there is no policy"}}
		}
		return nil, err
	}
	c := checker{doc, "deps-policy"}
	c.whole(&p)
	if l := p.Licenses; l != nil {
		c.licenses("licenses.allow", l.Allow)
		c.licenses("licenses.deny", l.Deny)
		if doc.Has("licenses.unknown") && l.Unknown != Refuse && l.Unknown != Allow {
			c.refuse("licenses.unknown", "this is not what can happen to an unknown licence", "refuse or allow", l.Unknown, "")
		}
	}
	if m := p.Modules; m != nil {
		c.names("modules.allow", m.Allow)
		c.count("modules.deny", len(m.Deny))
		for i, d := range m.Deny {
			at := fmt.Sprintf("modules.deny[%d]", i)
			c.name(at+".module", d.Module)
			c.versions(at+".versions", d.Versions)
			c.text(at+".reason", d.Reason)
		}
	}
	if s := p.Sources; s != nil {
		c.names("sources.allow", s.Allow)
		c.names("sources.replacements", s.Replacements)
		c.names("sources.unchecked", s.Unchecked)
		for i, host := range s.Allow {
			if strings.Contains(host, "*") || strings.HasSuffix(host, "/") {
				c.refuse(fmt.Sprintf("sources.allow[%d]", i), "this is not the beginning of module paths", "a host, or a host and the first parts of a path", host, "write "+strings.TrimRight(strings.TrimRight(host, "*"), "/"))
			}
		}
	}
	if q := p.Quarantine; q != nil {
		if d, err := time.ParseDuration(q.MinAge); doc.Has("quarantine.min-age") && (err != nil || d < time.Hour || d > 8760*time.Hour) {
			c.refuse("quarantine.min-age", "this is not how old a version can have to be", "1h to 8760h", q.MinAge, "write hours: 168h is a week")
		}
		c.names("quarantine.except", q.Except)
	}
	if a := p.Approvals; a != nil {
		if doc.Has("approvals.managers") && (a.Managers < 1 || a.Managers > 100) {
			c.refuse("approvals.managers", "the number is out of range", "1 to 100", fmt.Sprint(a.Managers), "")
		}
		c.count("approvals.by", len(a.By))
		for i, name := range a.By {
			if trust.CheckName(name) != nil {
				c.refuse(fmt.Sprintf("approvals.by[%d]", i), "this is not the name of an identity", "a name of trust.yaml", name, "")
			}
		}
		if need, _ := p.managers(); doc.Has("approvals.by") && len(a.By) < need {
			c.refuse("approvals.by", "fewer managers may approve than have to", fmt.Sprintf("at least %d", need), fmt.Sprint(len(a.By)), "")
		}
		c.names("approvals.except", a.Except)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return &p, nil
}

type checker struct {
	doc  *strictyaml.Document
	code string
}

func (c checker) refuse(path, what, expected, actual, fix string) {
	c.doc.Refuse(path, gate.Refusal{Code: c.code, What: what, Expected: expected, Actual: fmt.Sprintf("%.100q", actual), Fix: fix})
}

// whole refuses a policy that asks for nothing, and one that says that there is none and asks for something.
func (c checker) whole(p *Policy) {
	asks := p.Licenses != nil || p.Modules != nil || p.Sources != nil || p.Quarantine != nil || p.Approvals != nil
	if c.doc.Has("none") {
		c.text("none", p.None)
		if asks {
			c.refuse("none", "the policy says that there is none, and asks for something", "none: alone", p.None, "remove none:, or the rest")
		}
	}
	for path, l := range map[string]bool{
		"licenses": p.Licenses != nil && !c.doc.Has("licenses.allow") && !c.doc.Has("licenses.deny") && !c.doc.Has("licenses.unknown"),
		"modules":  p.Modules != nil && !c.doc.Has("modules.allow") && !c.doc.Has("modules.deny"),
	} {
		if l {
			c.refuse(path, "this section asks for nothing", "allow: or deny:", "nothing", "write what is allowed, or remove the section")
		}
	}
}

func (c checker) count(path string, n int) {
	if n > maxEntries {
		c.refuse(path, "there are too many entries", fmt.Sprintf("at most %d", maxEntries), fmt.Sprint(n), "use * in names")
	}
	if n == 0 && c.doc.Has(path) && path != "sources.replacements" && path != "sources.unchecked" && !strings.HasSuffix(path, ".except") {
		c.refuse(path, "this list is empty", "one entry or more", "none", "remove the key to get the default")
	}
}

func (c checker) names(path string, all []string) {
	c.count(path, len(all))
	for i, name := range all[:min(len(all), maxEntries)] {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.name(at, name)
		if slices.Contains(all[:i], name) {
			c.refuse(at, "this is there twice", "each once", name, "remove one of the two")
		}
	}
}

// name refuses what could match nothing.
func (c checker) name(path, name string) {
	if name == "" || len(name) > maxWord || strings.ContainsAny(name, " \t\r\n@,") || strings.HasPrefix(name, "https://") {
		c.refuse(path, "this is not the name of a module or package", "a module path such as github.com/spf13/cobra, or pkg:TYPE/NAME, without a version", name, "")
	}
}

func (c checker) text(path, text string) {
	if c.doc.Has(path) && (strings.TrimSpace(text) == "" || len(text) > maxWord) {
		c.refuse(path, "this says nothing, or too much", fmt.Sprintf("a sentence, at most %d bytes", maxWord), text, "")
	}
}

func (c checker) versions(path, versions string) {
	if _, err := query.Range(versions); err != nil || len(versions) > maxWord || c.doc.Has(path) && strings.TrimSpace(versions) == "" {
		c.refuse(path, "this is not a range of versions", "comparisons such as >=v1.2.0 <v2", versions, "")
	}
}

// licenses refuses names that no licence has: a slip there would let everything through, or nothing.
func (c checker) licenses(path string, all []string) {
	c.count(path, len(all))
	for i, entry := range all[:min(len(all), maxEntries)] {
		at := fmt.Sprintf("%s[%d]", path, i)
		if slices.Contains(all[:i], entry) {
			c.refuse(at, "this is there twice", "each once", entry, "remove one of the two")
		}
		if strings.HasPrefix(entry, "LicenseRef-") && len(entry) <= maxWord && !strings.ContainsAny(entry, " \t\r\n") {
			continue
		}
		if !knownLicense(entry) {
			c.refuse(at, "no licence has this name", "an identifier of the SPDX licence list, or a pattern such as BSD-* that matches some", entry, nearest(entry))
		}
	}
}

func knownLicense(entry string) bool {
	if strings.Contains(entry, "*") {
		return len(entry) <= maxWord && slices.ContainsFunc(license.Listed(), func(id string) bool { return matchesLicense(entry, id) })
	}
	id, _, _ := strings.Cut(entry, " ")
	return slices.Contains(license.Listed(), strings.TrimSuffix(id, "+")) && license.Valid(entry, false) && !strings.Contains(entry, " AND ") && !strings.Contains(entry, " OR ")
}

func nearest(entry string) string {
	for _, s := range license.Spellings(entry) {
		if s != entry && slices.Contains(license.Listed(), s) {
			return "write " + s + ", or " + strings.TrimSuffix(entry, "+") + "-* for that and later versions"
		}
	}
	for _, id := range license.Listed() {
		if strings.EqualFold(id, entry) {
			return "write " + id
		}
	}
	return ""
}
