package sbom

import (
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// Origins tells of Go modules what neither their path nor a program says. It is asked for each module that was published, from one
// goroutine.
type Origins interface {
	// Module gives what is known of the module; the zero Origin says that nothing is.
	Module(path, version string) Origin
}

// Origin is where a module comes from.
type Origin struct {
	Download  string     // URL or VCS location (SPDX 2.3, 7.7), asked for where the path does not tell
	Checksums []Checksum // of the module: of its files as go.sum has it, or of its zip
}

// goAuthors are who makes and supplies the standard library, the toolchain and golang.org/x.
var goAuthors = Agent{Kind: AgentOrganization, Name: "The Go Authors"}

// goRepository is where the sources of Go lie.
const goRepository = "git+https://go.googlesource.com/"

// moduleSource gives the VCS location (SPDX 2.3, 7.7) of a module's version: git+https://host/path@revision#folder. It knows the
// hosts on which the path says where the repository is, as the Go command does, and gives "" for all others: nobody is asked.
// The revision is the tag that the version stands for, or the commit's first digits in a pseudo-version.
func moduleSource(modulePath, version string) string {
	prefix, major, ok := module.SplitPathVersion(modulePath)
	if !ok || module.Check(modulePath, version) != nil {
		return ""
	}
	parts := strings.Split(prefix, "/")
	var repository, folder string
	switch {
	case (parts[0] == "github.com" || parts[0] == "bitbucket.org") && len(parts) >= 3:
		repository, folder = "git+https://"+strings.Join(parts[:3], "/"), strings.Join(parts[3:], "/")
	case strings.HasPrefix(prefix, "golang.org/x/"):
		repository, folder = goRepository+parts[2], strings.Join(parts[3:], "/")
	case parts[0] == "gopkg.in": // the version is part of the repository's name
		repository, major = "git+https://"+modulePath, ""
	default:
		return ""
	}
	revision := strings.TrimSuffix(version, "+incompatible")
	if module.IsPseudoVersion(version) {
		var err error
		if revision, err = module.PseudoVersionRev(version); err != nil {
			return ""
		}
	} else if folder != "" {
		revision = folder + "/" + revision
	}
	if folder != "" && major == "" { // else the module is in the folder, or in one for its major version
		revision += "#" + folder
	}
	return repository + "@" + revision
}

// published tells what is known of a module from its path, and from who was asked.
func (d *Builder) published(p *Package, modulePath, version string) {
	if isLocal(modulePath) || !semver.IsValid(version) {
		return
	}
	p.SourceInfo = "Go module, as go mod download " + modulePath + "@" + version + " fetches it"
	if strings.HasPrefix(modulePath, "golang.org/x/") {
		p.Supplier = goAuthors
	}
	p.Download = moduleSource(modulePath, version)
	if d.meta.Origins == nil {
		return
	}
	o := d.meta.Origins.Module(modulePath, version)
	p.Checksums = o.Checksums
	if p.Download == "" {
		p.Download = o.Download
	}
}
