package sbom

import (
	"cmp"
	"go/version"
	"path"
	"runtime/debug"
	"strings"

	"github.com/package-url/packageurl-go"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// dirHashType is the type of the external reference that holds an h1 hash.
const dirHashType = "dirHash"

// linked takes up all that is linked into the program with that element.
func (d *document) linked(id common.ElementID, b Binary) error { return d.link(id, b, "Main", d.graph) }

// linkedForeign does so for a program that others built: of a version of its own, with modules whose imports nobody listed.
func (d *document) linkedForeign(id common.ElementID, b Binary) error {
	return d.link(id, b, "ForeignMain", nil)
}

func (d *document) link(id common.ElementID, b Binary, mainKind string, graph Graph) error {
	if err := checkInfo(&b.BuildInfo); err != nil {
		return badBuildInfo(err)
	}
	stdlib, toolchain := d.goParts(b.GoVersion)
	d.relate(id, contains, stdlib)
	d.relate(toolchain, buildToolOf, id)
	if b.Main.Path == "" { // built without modules: nothing more is known
		return nil
	}
	main := d.module(b.Main, mainKind)
	d.relate(id, contains, main)
	d.relate(main, dependsOn, stdlib)
	elements := map[string]common.ElementID{Key(b.Main.Path, b.Main.Version): main, b.Main.Path: main}
	for _, dep := range b.Deps {
		element := d.dependency(dep)
		d.relate(id, contains, element)
		elements[Key(dep.Path, dep.Version)] = element
	}
	for from, element := range elements {
		for _, to := range graph[from] {
			if target, ok := elements[to]; ok && target != element {
				d.relate(element, dependsOn, target)
			}
		}
	}
	return nil
}

// dependency takes up a module and gives what is linked: itself or its replacement.
func (d *document) dependency(dep *debug.Module) common.ElementID {
	if dep.Replace == nil {
		return d.module(*dep, "Module")
	}
	original := d.module(*dep, "Replaced")
	replacement := d.module(*dep.Replace, "Module")
	d.relate(replacement, variantOf, original)
	return replacement
}

// module takes up one module of that kind: Main, ForeignMain, Module or Replaced. A Main
// module without a version has the release's.
func (d *document) module(m debug.Module, kind string) common.ElementID {
	p := &spdx.Package{PackageName: m.Path, PackageVersion: m.Version, PrimaryPackagePurpose: "LIBRARY"}
	purlVersion := m.Version
	if purlVersion == devel {
		purlVersion = ""
	}
	switch {
	case kind == "Replaced":
		p.PackageComment = "Not linked as such: go.mod's replace directive put another module in its place"
	case kind == "Main" && purlVersion == "":
		purlVersion, p.PackageVersion = d.meta.Version, d.meta.Version
		p.PackageComment = "The version is the release's; the program has none of its own"
	}
	if kind == "Main" || kind == "ForeignMain" {
		p.PrimaryPackagePurpose = "APPLICATION"
	}
	p.PackageSPDXIdentifier = elementID(kind, m.Path, p.PackageVersion, m.Version, m.Sum)
	if !isLocal(m.Path) {
		p.PackageExternalReferences = append(p.PackageExternalReferences, purlRef(purl(m.Path, purlVersion, "")))
	}
	if m.Sum != "" {
		p.PackageExternalReferences = append(p.PackageExternalReferences, &spdx.PackageExternalReference{
			Category: common.CategoryOther, RefType: dirHashType, Locator: m.Sum,
			ExternalRefComment: "Hash over the module's files, as in go.sum"})
	}
	return d.add(p)
}

// goParts takes up the standard library and the toolchain, which share their version.
func (d *document) goParts(goVersion string) (stdlib, toolchain common.ElementID) {
	first, _, _ := strings.Cut(goVersion, " ") // "go1.26.8 X:experiment"
	released := ""
	if version.IsValid(first) {
		released = strings.TrimPrefix(first, "go")
	}
	part := func(name, purpose string) common.ElementID {
		return d.add(&spdx.Package{
			PackageName:               name,
			PackageSPDXIdentifier:     elementID("Go", name, goVersion),
			PackageVersion:            cmp.Or(released, goVersion),
			PackageExternalReferences: []*spdx.PackageExternalReference{purlRef(purl(name, released, ""))},
			PackageSourceInfo:         "Go version " + goVersion,
			PrimaryPackagePurpose:     purpose,
		})
	}
	return part("stdlib", "LIBRARY"), part("toolchain", "APPLICATION")
}

// purl names a Go module, or with a subpath a package in it.
func purl(modulePath, version, subpath string) string {
	dir, name := path.Split(modulePath)
	return packageurl.NewPackageURL(packageurl.TypeGolang, strings.Trim(dir, "/"), name, version, nil, subpath).ToString()
}

// packagePurl names the main package of a program, or gives "" when that cannot be.
func packagePurl(b Binary, release string) string {
	subpath, ok := strings.CutPrefix(b.Path, b.Main.Path)
	if b.Main.Path == "" || !ok || subpath != "" && subpath[0] != '/' {
		return ""
	}
	version := b.Main.Version
	if version == devel {
		version = ""
	}
	return purl(b.Main.Path, cmp.Or(version, release), strings.Trim(subpath, "/"))
}

func purlRef(purl string) *spdx.PackageExternalReference {
	return &spdx.PackageExternalReference{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl}
}

// isLocal reports whether a replacement is a folder and no module.
func isLocal(modulePath string) bool {
	return modulePath == "." || modulePath == ".." || strings.HasPrefix(modulePath, "./") || strings.HasPrefix(modulePath, "../") ||
		path.IsAbs(modulePath) || strings.Contains(modulePath, `\`) || len(modulePath) > 1 && modulePath[1] == ':'
}
