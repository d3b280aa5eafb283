package gomod

import (
	"path"
	"strings"

	"github.com/package-url/packageurl-go"
	"golang.org/x/mod/module"
)

// purl gives the package URL of a module. The path keeps its case, though the purl
// specification asks for lower case: the paths of two Go modules may differ in nothing else.
func purl(mv module.Version) string { return purlOf(mv, "") }

// purlOf adds a path inside the module.
func purlOf(mv module.Version, subpath string) string {
	dir, name := path.Split(mv.Path)
	return packageurl.NewPackageURL(packageurl.TypeGolang, strings.TrimSuffix(dir, "/"), name, mv.Version, nil, subpath).ToString()
}
