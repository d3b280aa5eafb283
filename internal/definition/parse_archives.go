package definition

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

var formats = []string{"tar.gz", "zip"}

// archives checks the archives of a definition that has its defaults.
func (c checker) archives(d *Definition) {
	var builds []string
	for _, b := range d.Builds {
		builds = append(builds, b.Name)
	}
	if c.doc.Has("archives") && !c.doc.Has("archives[0]") {
		c.refuse("archives", "definition-archive", "the list of archives is empty", "at least one", "[]", "remove the key to get the default")
	}
	names := reservedNames(d)
	for i, a := range d.Archives {
		at := fmt.Sprintf("archives[%d]", i)
		c.archiveBuilds(at+".builds", a, builds)
		c.duplicates(at+".files", a.Files, "the file")
		for j, f := range a.Files {
			if _, err := path.Match(f, ""); err != nil || !isPath(f) || f == "." {
				c.refuse(fmt.Sprintf("%s.files[%d]", at, j), "definition-path", "this is not a path or glob pattern of the source", "a relative path without ..", quote(f), "")
			}
		}
		for key, format := range map[string]string{".format": a.Format, ".windows": a.Windows} {
			if !slices.Contains(formats, format) {
				c.unknown(at+key, "definition-format", "unknown format of an archive", format, formats)
			}
		}
		c.archiveNames(at, d, a, names)
	}
}

func (c checker) archiveBuilds(at string, a Archive, builds []string) {
	if !c.doc.Has(at) { // all builds, which may have other faults
		return
	}
	c.duplicates(at, a.Builds, "the build")
	if !c.doc.Has(at + "[0]") {
		c.refuse(at, "definition-archive", "the archive has no builds", "at least one", "[]", "remove the key to take all builds")
	}
	for i, b := range a.Builds {
		if !slices.Contains(builds, b) {
			c.unknown(fmt.Sprintf("%s[%d]", at, i), "definition-unknown-build", "there is no such build", b, builds)
		}
	}
}

// sample is what names are tried with: every character that a value can have is in it.
var sample = Values{Version: "v1.2.3-rc.1", Commit: strings.Repeat("0123456789", 4), ShortCommit: "0123456789ab", CommitTime: "2026-11-20T09:30:00Z"}

// reservedNames are the files that a release has besides its archives, in lower case.
func reservedNames(d *Definition) map[string]string {
	v := sample
	v.Project = d.Project
	stem := strings.ToLower(v.Project + "_" + v.Version)
	return map[string]string{stem + "_src.tar.gz": "the source archive", "bin": "the folder of binaries"}
}

// archiveNames expands the name for each platform and refuses names that are not safe, or not
// distinct on a file system without case.
func (c checker) archiveNames(at string, d *Definition, a Archive, names map[string]string) {
	if CheckProject(d.Project) != nil { // has been refused where it stands
		return
	}
	where := either(c, at+".name", at, "builds")
	for _, p := range d.ArchivePlatforms(a) {
		v := sample
		v.Project, v.OS, v.Arch, v.Variant = d.Project, p.OS, p.Arch, p.Variant
		name, err := ExpandName(a.Name, v)
		if err != nil {
			c.refuseErr(where, err)
			return
		}
		format := a.Format
		if p.OS == "windows" {
			format = a.Windows
		}
		file := strings.ToLower(name + "." + format)
		if other, dup := names[file]; dup {
			fix := "use {{ .OS }}, {{ .Arch }} and {{ .Variant }} in the name"
			if !c.doc.Has(at+".name") || strings.Contains(a.Name, "{{ .Variant }}") {
				fix = "give each archive a name: of its own"
			}
			c.refuse(where, "definition-archive-name", "two files of the release get one name", "a name for each archive and platform",
				fmt.Sprintf("%s for %s and for %s", name+"."+format, other, p), fix)
			return
		}
		names[file] = p.String()
	}
}
