package sbom

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/license"
)

// Types of packages, as package URLs name them.
const (
	typeDeb = "deb"
	typeAPK = "apk"
	typeRPM = "rpm"
)

// OSPackage is a package that a distribution's package manager installed, or
// with Unread, something of which the packages could not be told.
type OSPackage struct {
	Type    string // deb, apk or rpm
	Name    string
	Version string // as the package manager compares it, without RPM's epoch
	Epoch   string // RPM's; "" when there is none
	Arch    string // as the distribution names it: amd64, x86_64, all; "" when unknown
	Source  string // what it was built from, where the database tells: a name, name@version, or RPM's file name
	License string // as the package declares it; "" when it does not
	// Supplier is who maintains or sells the package, as it says: Name <address>, or a name; "" when it does not.
	Supplier string
	Homepage string // of what is packaged; "" when the package names none
	Distro   Distro

	// Unread is a sentence about something that may hold packages and was not read. All else is empty then.
	Unread string
}

// Distro is what os-release(5) says of the distribution.
type Distro struct {
	ID      string // debian, alpine; "" when unknown
	Version string // 12, 3.22.1, or a code name; "" when there is none
}

func (d Distro) String() string {
	if d.ID == "" || d.Version == "" {
		return d.ID
	}
	return d.ID + "-" + d.Version
}

func (p OSPackage) check() error {
	switch {
	case p.Type != typeDeb && p.Type != typeAPK && p.Type != typeRPM:
		return fmt.Errorf("package %q of unknown type %q", p.Name, p.Type)
	case p.Name == "" || p.Version == "":
		return fmt.Errorf("%s package %q without a name and a version", p.Type, p.Name)
	case strings.ContainsFunc(p.Name+p.Version+p.Epoch+p.Arch+p.Source+p.License+p.Supplier+p.Homepage+p.Distro.String(), isUnprintable):
		return fmt.Errorf("%s package %q with control characters", p.Type, p.Name)
	}
	return nil
}

// OSPackage takes up a package of a distribution, and gives its identifier.
func (d *Builder) OSPackage(o OSPackage) (string, error) {
	if err := o.check(); err != nil {
		return "", err
	}
	version := o.Version
	if o.Epoch != "" {
		version = o.Epoch + ":" + version
	}
	p := &Package{
		Name:    o.Name,
		ID:      ElementID("OS", o.Name, version, o.Type, o.Arch, o.Source, o.License, o.Distro.String()),
		Version: version,
		PURL:    o.purl(),
	}
	p.Supplier = parseSupplier(o.Supplier)
	if strings.HasPrefix(o.Homepage, "https://") || strings.HasPrefix(o.Homepage, "http://") {
		p.Homepage = o.Homepage
	}
	if o.Source != "" {
		p.SourceInfo = "built from " + o.Source
	}
	switch {
	case license.Valid(o.License, false):
		p.License.Declared = o.License
	case o.License != "":
		p.License.Comment = "Declared as " + o.License + ", which is no SPDX licence expression"
	}
	return d.Add(p), nil
}

// parseSupplier reads Name <address>. A name with an address is a person's, unless it calls itself otherwise.
func parseSupplier(s string) Agent {
	name, rest, addressed := strings.Cut(s, "<")
	email, _, closed := strings.Cut(rest, ">")
	a := Agent{Kind: AgentOrganization, Name: strings.Trim(strings.TrimSpace(name), `"`)}
	if addressed && closed && isWord(email, ".+-_@~%") && strings.Contains(email, "@") {
		a.Email = email
	}
	a.Name = strings.NewReplacer("(", "[", ")", "]").Replace(a.Name) // SPDX has the address in parentheses
	if a.Name == "" {
		a.Name, a.Email = a.Email, ""
	}
	if a.Email != "" && !isGroup(a) {
		a.Kind = AgentPerson
	}
	return a
}

// groupWords are those by which teams, companies and their lists call themselves.
var groupWords = []string{"team", "maintainers", "developers", "packagers", "group", "project", "lists.", "list@", "foundation", "inc.", "ltd", "gmbh", "corporation", "tracker."}

func isGroup(a Agent) bool {
	name := strings.ToLower(a.Name + " " + a.Email)
	return slices.ContainsFunc(groupWords, func(w string) bool { return strings.Contains(name, w) })
}

// purl names the package with the qualifiers that databases of vulnerabilities look for:
// arch, distro, epoch, and upstream for what it was built from.
func (p OSPackage) purl() string {
	qualifiers := map[string]string{}
	for k, v := range map[string]string{"arch": p.Arch, "distro": p.Distro.String(), "epoch": p.Epoch, "upstream": p.Source} {
		if v != "" {
			qualifiers[k] = v
		}
	}
	return packageurl.NewPackageURL(p.Type, p.Distro.ID, p.Name, p.Version, packageurl.QualifiersFromMap(qualifiers), "").ToString()
}

func compareOSPackages(a, b OSPackage) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Unread, b.Unread))
}
