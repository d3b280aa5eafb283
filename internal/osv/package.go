package osv

import (
	"fmt"
	"strings"
	"sync"

	"github.com/package-url/packageurl-go"
	"golang.org/x/mod/semver"
)

// Package is something that may have vulnerabilities.
type Package struct {
	Purl      string `json:"purl,omitempty"`
	Ecosystem string `json:"ecosystem"` // as OSV writes it: Go, npm, Debian:12; "" when OSV has none for it
	Name      string `json:"name"`
	Version   string `json:"version"`
}

// String names the package for people.
func (p Package) String() string {
	if p.Version == "" {
		return p.Name
	}
	return p.Name + "@" + p.Version
}

// Plain is the package without its package URL, which may be written in several ways.
func (p Package) Plain() Package {
	p.Purl = ""
	return p
}

// Component is a package URL that stands for all versions of the package, with as much of its own as says in which
// distribution it is; "" when nothing is known to make one of.
func (p Package) Component() string {
	if p.Purl == "" {
		if p.Ecosystem != "Go" {
			return ""
		}
		return "pkg:golang/" + p.Name
	}
	u, err := packageurl.FromString(p.Purl)
	if err != nil {
		return ""
	}
	var kept packageurl.Qualifiers
	for _, q := range u.Qualifiers {
		if q.Key == "upstream" {
			q.Value, _, _ = strings.Cut(q.Value, "@")
		}
		if q.Key == "distro" || q.Key == "upstream" {
			kept = append(kept, q)
		}
	}
	u.Version, u.Qualifiers, u.Subpath = "", kept, ""
	return u.ToString()
}

// ecosystems are OSV's, by the type of a purl.
var ecosystems = map[string]string{
	packageurl.TypeGolang: "Go", packageurl.TypeNPM: "npm", packageurl.TypePyPi: "PyPI", packageurl.TypeMaven: "Maven", packageurl.TypeCargo: "crates.io",
	packageurl.TypeGem: "RubyGems", packageurl.TypeNuget: "NuGet", packageurl.TypeComposer: "Packagist", packageurl.TypeHex: "Hex", packageurl.TypePub: "Pub",
	packageurl.TypeHackage: "Hackage", packageurl.TypeCran: "CRAN", packageurl.TypeSwift: "SwiftURL", packageurl.TypeConan: "ConanCenter", "githubactions": "GitHub Actions", "bitnami": "Bitnami", "julia": "Julia",
}

// FromPurl makes a Package of a package URL. Its Ecosystem is "" when OSV has none for the type.
func FromPurl(purl string) (Package, error) {
	u, err := packageurl.FromString(purl)
	if err != nil {
		return Package{}, fmt.Errorf("read package URL %.200q: %w", purl, err)
	}
	p := Package{Purl: purl, Ecosystem: ecosystems[u.Type], Name: u.Name, Version: u.Version}
	switch u.Type {
	case packageurl.TypeGolang:
		return goPackage(p, u), nil
	case packageurl.TypeMaven:
		p.Name = u.Namespace + ":" + u.Name
	case packageurl.TypeDebian, packageurl.TypeApk, packageurl.TypeRPM:
		return systemPackage(p, u), nil
	default:
		if u.Namespace != "" {
			p.Name = u.Namespace + "/" + u.Name
		}
	}
	return p, nil
}

// goPackage knows the names that the standard library goes by.
func goPackage(p Package, u packageurl.PackageURL) Package {
	if u.Namespace != "" {
		p.Name = u.Namespace + "/" + u.Name
	}
	if p.Name == "std" || p.Name == "stdlib" || p.Name == "go" {
		p.Name = "stdlib"
	}
	if p.Name == "stdlib" || p.Name == "toolchain" {
		p.Version = GoVersion(p.Version)
	}
	return p
}

// GoVersion turns a release of Go (go1.26rc1, 1.26.8) into the semantic version that records have (1.26.0-rc.1). What is no
// release stays as it is, and cannot be compared.
func GoVersion(v string) string {
	s, _, _ := strings.Cut(strings.TrimPrefix(v, "go"), " ")
	s = strings.TrimPrefix(s, "v")
	base, pre := s, ""
	for _, mark := range []string{"rc", "beta"} {
		if before, n, ok := strings.Cut(s, mark); ok && !strings.Contains(before, "-") && n != "" {
			base, pre = before, "-"+mark+"."+n
		}
	}
	if strings.Count(base, ".") == 1 && !strings.Contains(base, "-") {
		base += ".0"
	}
	if !semver.IsValid("v" + base + pre) {
		return v
	}
	return base + pre
}

// systemPackage finds the distribution in the namespace and the qualifier distro, and the source package in upstream:
// distributions write advisories about sources.
func systemPackage(p Package, u packageurl.PackageURL) Package {
	q := u.Qualifiers.Map()
	if name, ok := strings.CutSuffix(q["upstream"], ".src.rpm"); ok && u.Type == packageurl.TypeRPM {
		p.Name = cutLast(cutLast(name)) // NAME-VERSION-RELEASE
	} else if source, _, _ := strings.Cut(q["upstream"], "@"); source != "" {
		p.Name = source
		if _, version, ok := strings.Cut(q["upstream"], "@"); ok && version != "" {
			p.Version = version
		}
	}
	if epoch := q["epoch"]; epoch != "" && !strings.Contains(p.Version, ":") {
		p.Version = epoch + ":" + p.Version
	}
	_, release, _ := strings.Cut(q["distro"], "-")
	part := strings.Split(release, ".")
	major := part[0]
	with := func(name, release string) string {
		if release == "" {
			return name
		}
		return name + ":" + release
	}
	switch strings.ToLower(u.Namespace) {
	case "debian":
		p.Ecosystem = with("Debian", major)
	case "ubuntu":
		p.Ecosystem = with("Ubuntu", release)
	case "alpine":
		if len(part) >= 2 {
			p.Ecosystem = "Alpine:v" + part[0] + "." + part[1]
		} else {
			p.Ecosystem = "Alpine"
		}
	case "wolfi":
		p.Ecosystem = "Wolfi"
	case "chainguard":
		p.Ecosystem = "Chainguard"
	case "rocky", "rocky-linux":
		p.Ecosystem = with("Rocky Linux", major)
	case "almalinux", "alma":
		p.Ecosystem = with("AlmaLinux", major)
	case "redhat", "rhel":
		p.Ecosystem = "Red Hat"
	case "opensuse":
		p.Ecosystem = "openSUSE"
	case "sles", "suse":
		p.Ecosystem = "SUSE"
	case "openeuler":
		p.Ecosystem = "openEuler"
	case "mageia":
		p.Ecosystem = with("Mageia", major)
	}
	return p
}

// cutLast gives what is before the last hyphen.
func cutLast(s string) string {
	if i := strings.LastIndexByte(s, '-'); i > 0 {
		return s[:i]
	}
	return s
}

// spellings are OSV's names of ecosystems, by their lower case.
var spellings = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for _, e := range ecosystems {
		out[strings.ToLower(e)] = e
	}
	for _, e := range []string{"Debian", "Ubuntu", "Alpine", "Wolfi", "Chainguard", "Rocky Linux", "AlmaLinux", "Red Hat", "openSUSE", "SUSE", "openEuler", "Mageia"} {
		out[strings.ToLower(e)] = e
	}
	return out
})

// canonical spells an ecosystem as OSV does; records of people's own write go for Go.
func canonical(ecosystem string) string {
	name, release, more := strings.Cut(ecosystem, ":")
	if known, ok := spellings()[strings.ToLower(name)]; ok {
		name = known
	}
	if more {
		name += ":" + release
	}
	return name
}

// base is an ecosystem without its release.
func base(ecosystem string) string {
	name, _, _ := strings.Cut(ecosystem, ":")
	return name
}

// sameEcosystem holds when one is the other, or names its release more exactly.
func sameEcosystem(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+":") || strings.HasPrefix(b, a+":")
}

// key is what records and packages are matched by.
type key struct{ ecosystem, name string }

func keyOf(ecosystem, name string) key {
	e := base(ecosystem)
	switch e {
	case "PyPI":
		name = strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
		for strings.Contains(name, "--") {
			name = strings.ReplaceAll(name, "--", "-")
		}
	case "NuGet", "Packagist", "GitHub Actions":
		name = strings.ToLower(name)
	}
	return key{e, name}
}

// Key is the same for a record's package and for a Package that it may be about.
func Key(ecosystem, name string) string {
	k := keyOf(ecosystem, name)
	return k.ecosystem + "\x00" + k.name
}
