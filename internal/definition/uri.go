package definition

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/lazyregexp"
)

// modulePrefix starts the source URI of a published Go module.
const modulePrefix = "pkg:golang/"

// SourceURI is the canonical source of a project: exactly one of Git and Module is set.
type SourceURI struct {
	Git     string // https URL of a git repository
	Module  string // path of a published Go module
	Version string // of the module; empty: the release's version
}

// ParseSource reads a source URI: https://host/path of a git repository, without
// user, query or fragment, or pkg:golang/<module path>[@version].
func ParseSource(s string) (SourceURI, error) {
	if strings.HasPrefix(s, modulePrefix) {
		return parseModule(s)
	}
	if err := CheckGitURL(s); err != nil {
		return SourceURI{}, err
	}
	return SourceURI{Git: s}, nil
}

func parseModule(s string) (SourceURI, error) {
	p, version, pinned := strings.Cut(strings.TrimPrefix(s, modulePrefix), "@")
	r := &gate.Refusal{Code: "definition-source", Class: gate.Usage, What: "this is not the source URI of a Go module",
		Expected: "pkg:golang/<module path>[@version]", Actual: s}
	if err := module.CheckPath(p); err != nil {
		r.Cause = err
		return SourceURI{}, r
	}
	if pinned {
		if !semver.IsValid(version) || module.CanonicalVersion(version) != version {
			r.Fix = "give the whole version, as in pkg:golang/" + p + "@v1.2.3"
			return SourceURI{}, r
		}
		if err := module.Check(p, version); err != nil {
			r.Cause = err
			return SourceURI{}, r
		}
	}
	return SourceURI{Module: p, Version: version}, nil
}

var scpForm = lazyregexp.New(`^(?:ssh://)?(?:[^@/]+@)?([A-Za-z0-9.-]+)(?::[0-9]+/|[:/])([^:]+)$`)

// CheckGitURL refuses what is not the canonical URL of a git repository: https, a host and a path, nothing else.
func CheckGitURL(s string) error {
	r := &gate.Refusal{Code: "definition-source", Class: gate.Usage, What: "this is not the canonical URI of a source",
		Expected: "https://host/path of a git repository, or pkg:golang/<module path>[@version]", Actual: fmt.Sprintf("%q", s)}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https":
		if m := scpForm.FindStringSubmatch(s); m != nil && (u == nil || u.Scheme == "ssh" || u.Scheme == "") {
			r.Fix = "write https://" + m[1] + "/" + strings.TrimSuffix(m[2], ".git")
		} else if rest, ok := strings.CutPrefix(s, "git+"); ok {
			r.Fix = "write " + rest
		} else if rest, ok := strings.CutPrefix(s, "http://"); ok {
			r.Fix = "write https://" + rest
		}
		return r
	case u.User != nil:
		r.Actual, r.Fix = "a URL with a user or password", "remove the part before the @; if it was a password, change that"
		return r
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		r.Fix = "remove everything from the ? or # on"
		return r
	case u.Host == "" || u.Hostname() == "" || len(u.Path) < 2 || u.Path[1:] != strings.TrimPrefix(path.Clean(u.Path), "/") || u.RawPath != "":
		r.Fix = "write it without a trailing slash, empty parts, .. and escapes"
		return r
	case strings.ContainsAny(s, " \t\n\\\"'"):
		return r
	}
	return nil
}

// fileBucket starts the URL of a folder that serves as a bucket.
const fileBucket = "file://"

// objectStore is the URL of a bucket of an object store, with options as gocloud.dev/blob has them.
var objectStore = lazyregexp.New(`^(s3|gs|azblob)://([A-Za-z0-9][A-Za-z0-9._-]+)(\?[A-Za-z0-9._~%&=:/+-]*)?$`)

// secretKey finds options of a bucket that would be credentials.
var secretKey = lazyregexp.New(`(?i)(secret|password|token|access_?key|credential|sig)[^=&]*=`)

// checkBucket refuses what is not ./path, file:///path or the URL of an object store.
func checkBucket(s string) *gate.Refusal {
	r := &gate.Refusal{Code: "definition-bucket", What: "this is not the URL of a bucket",
		Expected: "./path below the root of the repository, file:///absolute/path, s3://bucket?region=…, gs://bucket or azblob://container", Actual: fmt.Sprintf("%q", s)}
	if scheme, rest, ok := strings.Cut(s, "://"); ok && scheme != "file" {
		switch {
		case strings.Contains(rest, "@") || secretKey.MatchString(rest):
			r.What, r.Actual, r.Fix = "the URL of a bucket holds credentials", "a URL with a user, a password or a key", "remove them, and change them if they were real; credentials come from the environment"
			return r
		case len(s) <= 1024 && objectStore.MatchString(s):
			return nil
		case !slices.Contains([]string{"s3", "gs", "azblob"}, scheme):
			r.Code, r.What = "definition-bucket-scheme", "this kind of bucket is not supported"
		default:
			r.Fix = "write the bucket's name and options, and no path: s3://bucket?region=eu-west-1&prefix=folder/"
		}
		return r
	}
	p, absolute := strings.CutPrefix(s, fileBucket)
	if !absolute {
		p, absolute = strings.CutPrefix(s, "./")
		p = "/" + p
	}
	switch {
	case !absolute && path.IsAbs(s):
		r.Fix = "write " + fileBucket + path.Clean(s)
	case !absolute:
		r.Fix = "write ./" + strings.TrimLeft(path.Clean("/"+s), "/")
	case !path.IsAbs(p) || path.Clean(p) != p || p == "/" || strings.ContainsAny(p, "?#%\\\n\t"):
		r.Fix = "write a clean path: no .., no empty parts, no trailing slash, no query"
	default:
		return nil
	}
	return r
}

// overlap reports whether one bucket is the other, or lies in it.
func overlap(a, b string) bool {
	a, b = bucketPath(a), bucketPath(b)
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// bucketPath gives a bucket's place without its options; a prefix in an object store is a folder of it.
func bucketPath(s string) string {
	place, query, found := strings.Cut(s, "?")
	if !found {
		return s
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return place
	}
	return strings.TrimSuffix(place+"/"+strings.Trim(values.Get("prefix"), "/"), "/")
}

var refName = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_./+@-]*$`)

// isRef reports whether s can be the name of a branch or the start of a tag's. See git-check-ref-format(1).
func isRef(s string) bool {
	for _, bad := range []string{"..", "//", "/.", "./", "@{", ".lock/"} {
		if strings.Contains(s, bad) {
			return false
		}
	}
	return refName.MatchString(s) && len(s) <= 200 && !strings.HasSuffix(s, ".lock")
}

// isBranch takes one trailing * as well.
func isBranch(s string) bool {
	name, pattern := strings.CutSuffix(s, "*")
	if pattern && name == "" {
		return true
	}
	return isRef(name) && (pattern || !strings.HasSuffix(name, "/") && !strings.HasSuffix(name, "."))
}
