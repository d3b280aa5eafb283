package definition

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/lazyregexp"
	"github.com/sello-release/sello/internal/strictyaml"
)

// Parse reads sello.yaml. The error is a strictyaml.Errors with every refusal.
func Parse(path string, data []byte) (*Definition, error) {
	var d Definition
	doc, err := strictyaml.Decode(path, data, &d)
	if doc == nil {
		return nil, err
	}
	c := checker{doc}
	if c.tooLarge(&d) {
		return nil, doc.Err()
	}
	c.project("project", d.Project)
	c.source(&d)
	c.branch(&d)
	c.buckets(&d)
	c.builds(&d)
	c.archives(d.WithDefaults())
	c.images(d.WithDefaults())
	c.policy(d.Policy)
	c.tag(d.Tag)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return &d, nil
}

// checker adds refusals to a document. A value that is not in the document is not checked by it.
type checker struct{ doc *strictyaml.Document }

func (c checker) refuse(path, code, what, expected, actual, fix string) {
	c.doc.Refuse(path, gate.Refusal{Code: code, What: what, Expected: expected, Actual: actual, Fix: fix})
}

// refuseErr adds another function's refusal at path.
func (c checker) refuseErr(path string, err error) {
	var r *gate.Refusal
	if errors.As(err, &r) {
		c.doc.Refuse(path, *r)
	}
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

func oneOf(s []string) string { return "one of " + strings.Join(s, ", ") }

var name = lazyregexp.New(`^[a-z0-9]([a-z0-9._-]*[a-z0-9_-])?$`)

// CheckProject refuses names of projects (and builds) that are not portable as a folder and as the start of a file's name.
func CheckProject(s string) error {
	if name.MatchString(s) && len(s) <= 64 && !strings.Contains(s, "..") && SafeName(s) == nil {
		return nil
	}
	r := &gate.Refusal{Code: "definition-name", Class: gate.Usage, What: "this is not a name for a project or build",
		Expected: "lower-case letters, digits, '-', '_' and '.', at most 64", Actual: quote(s)}
	if low := strings.ToLower(strings.ReplaceAll(s, " ", "-")); low != s && name.MatchString(low) {
		r.Fix = "write " + low
	}
	return r
}

func (c checker) project(path, s string) {
	if c.doc.Has(path) {
		c.refuseErr(path, CheckProject(s))
	}
}

func (c checker) source(d *Definition) {
	if !c.doc.Has("source") {
		return
	}
	src, err := ParseSource(d.Source)
	c.refuseErr("source", err)
	switch {
	case d.Repository == "" && !c.doc.Has("repository"):
	case err == nil && src.Module == "" && d.Repository != d.Source:
		c.refuse("repository", "definition-repository", "repository is only for a source that is a Go module",
			"no repository, or the source", quote(d.Repository), "remove the key; source is the repository")
	default:
		if err := CheckGitURL(d.Repository); err != nil {
			c.refuseErr("repository", err)
		}
	}
}

func (c checker) branch(d *Definition) {
	if c.doc.Has("branch") && !isBranch(d.Branch) {
		c.refuse("branch", "definition-branch", "this is not a branch", "a branch, with at most one * at its end", quote(d.Branch), "")
	}
}

func (c checker) buckets(d *Definition) {
	for path, url := range map[string]string{"staging": d.Staging, "production": d.Production} {
		if !c.doc.Has(path) {
			continue
		}
		if r := checkBucket(url); r != nil {
			c.doc.Refuse(path, *r)
		}
	}
	full := d.WithDefaults()
	if overlap(full.Staging, full.Production) {
		at := "production"
		if !c.doc.Has(at) {
			at = "staging"
		}
		c.refuse(at, "definition-bucket-overlap", "staging and production share a folder", "two folders, none in the other",
			full.Staging+" and "+full.Production, "")
	}
}

func (c checker) policy(p Policy) {
	at := "policy.evidence"
	if c.doc.Has(at) {
		c.duplicates(at, p.Evidence, "evidence")
		for i, e := range p.Evidence {
			if !slices.Contains(DefaultEvidence, e) {
				c.unknown(fmt.Sprintf("%s[%d]", at, i), "definition-evidence", "unknown evidence", e, DefaultEvidence)
			}
		}
		if !slices.Contains(p.Evidence, "provenance") {
			c.refuse(at, "definition-evidence", "every release has provenance", "provenance among the evidence", "["+strings.Join(p.Evidence, ", ")+"]", "add provenance")
		}
	}
	c.within("policy.level", p.Level, 3)
	c.within("policy.sign-offs.manager", p.SignOffs.Manager, 100)
	c.within("policy.sign-offs.rebuilt", p.SignOffs.Rebuilt, 100)
	if m := p.SignOffs.Manager; m > 0 && p.SignOffs.Rebuilt > m {
		c.refuse("policy.sign-offs.rebuilt", "definition-policy", "more rebuilds are asked for than sign-offs", fmt.Sprintf("at most %d", m), fmt.Sprint(p.SignOffs.Rebuilt), "")
	}
	if at := "policy.sign-offs.valid-for"; c.doc.Has(at) {
		if d, err := time.ParseDuration(p.SignOffs.ValidFor); err != nil || d < time.Hour || d > 8760*time.Hour {
			c.refuse(at, "definition-policy", "this is not how long a sign-off counts", "1h to 8760h", quote(p.SignOffs.ValidFor), "write hours: 720h is 30 days")
		}
	}
	if p.Vulnerabilities != nil {
		c.vulnerabilities(*p.Vulnerabilities)
	}
	c.inputs(p.Inputs)
}

// failOn are what policy.vulnerabilities.fail takes.
var failOn = []string{"reachable", "high", "any"}

func (c checker) vulnerabilities(v Vulnerabilities) {
	at := "policy.vulnerabilities"
	if !slices.Contains(failOn, v.Fail) {
		c.unknown(at+".fail", "definition-policy", "this is not what vulnerabilities can stop a release by", v.Fail, failOn)
	}
	if v.AsOf != "" || c.doc.Has(at+".as-of") {
		if d, err := time.ParseDuration(v.AsOf); err != nil || d < time.Hour || d > 8760*time.Hour {
			c.refuse(at+".as-of", "definition-policy", "this is not how old a database may be", "1h to 8760h", quote(v.AsOf), "write hours: 72h is three days")
		}
	}
	if scheme, _, ok := strings.Cut(v.Database, "://"); ok && scheme != "https" || len(v.Database) > 1000 || strings.ContainsAny(v.Database, "\x00\n\r") {
		c.refuse(at+".database", "definition-policy", "this is no database of vulnerabilities", "the path of a mirror, or an https URL", quote(v.Database), "")
	}
}

func (c checker) within(path string, n, most int) {
	if n < 0 || n > most {
		c.refuse(path, "definition-policy", "the number is out of range", fmt.Sprintf("0 to %d", most), fmt.Sprint(n), "")
	}
}

var remote = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

func (c checker) tag(t Tag) {
	if c.doc.Has("tag.prefix") && (!isRef(t.Prefix) || strings.HasSuffix(t.Prefix, ".")) {
		c.refuse("tag.prefix", "definition-tag", "a tag cannot start like this", "letters, digits, '-', '_', '.' and '/'", quote(t.Prefix), "")
	}
	if c.doc.Has("tag.remote") && !remote.MatchString(t.Remote) {
		c.refuse("tag.remote", "definition-tag", "this is not the name of a git remote", "a name such as origin", quote(t.Remote), "")
	}
}

// unknown refuses a word that is not in a list.
func (c checker) unknown(path, code, what, word string, known []string) {
	fix := ""
	if near := strictyaml.Nearest(word, known); near != "" {
		fix = fmt.Sprintf("did you mean %q?", near)
	}
	c.refuse(path, code, what, oneOf(known), quote(word), fix)
}

// duplicates refuses what is in a list twice.
func (c checker) duplicates(path string, words []string, what string) {
	for i, w := range words {
		if slices.Contains(words[:i], w) {
			c.refuse(fmt.Sprintf("%s[%d]", path, i), "definition-duplicate", what+" is there twice", "each once", quote(w), "remove one of them")
		}
	}
}

// isPath reports whether s is a clean path that cannot leave the root that it is relative to.
func isPath(s string) bool {
	return fs.ValidPath(s) && path.Clean(s) == s && len(s) <= 1024 && !strings.ContainsAny(s, "\\\n\t:")
}
