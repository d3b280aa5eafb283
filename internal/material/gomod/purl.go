package gomod

import (
	"path"
	"strings"

	"github.com/package-url/packageurl-go"
	"golang.org/x/mod/module"
)

// purl gives the package URL of a module. Package URLs of Go are lower-case; the
// exact path is the material's name.
func purl(mv module.Version) string { return purlOf(mv, "") }

// purlOf adds a path inside the module.
func purlOf(mv module.Version, subpath string) string {
	dir, name := path.Split(mv.Path)
	return packageurl.NewPackageURL(packageurl.TypeGolang, strings.TrimSuffix(dir, "/"), name, mv.Version, nil, subpath).ToString()
}
