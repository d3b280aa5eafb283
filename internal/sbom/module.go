package sbom

import (
	"cmp"
	"go/version"
	"path"
	"runtime/debug"
	"strings"

	"github.com/package-url/packageurl-go"
)

// DirHash is the type of the reference (Ref) that holds a module's h1 hash.
const DirHash = "dirHash"

// linked takes up all that is linked into the program with that element.
func (d *Builder) linked(id string, b Binary) error { return d.link(id, b, "Main", d.graph) }

// Linked takes up all that is linked into a program that others built: of a version of its own, with modules whose
// imports nobody listed. id is the program's element.
func (d *Builder) Linked(id string, b Binary) error {
	return d.link(id, b, "ForeignMain", nil)
}

func (d *Builder) link(id string, b Binary, mainKind string, graph Graph) error {
	if err := checkInfo(&b.BuildInfo); err != nil {
		return badBuildInfo(err)
	}
	stdlib, toolchain := d.GoParts(b.GoVersion)
	d.Relate(id, Contains, stdlib)
	d.Relate(toolchain, BuildToolOf, id)
	if b.Main.Path == "" { // built without modules: nothing more is known
		return nil
	}
	main := d.module(b.Main, mainKind)
	d.Relate(id, Contains, main)
	d.Relate(main, DependsOn, stdlib)
	if graph != nil {
		d.packages[main].Complete = true
	}
	elements := map[string]string{Key(b.Main.Path, b.Main.Version): main, b.Main.Path: main}
	for _, dep := range b.Deps {
		element := d.dependency(dep)
		d.Relate(id, Contains, element)
		elements[Key(dep.Path, dep.Version)] = element
	}
	for from, element := range elements {
		for _, to := range graph[from] {
			if target, ok := elements[to]; ok && target != element {
				d.Relate(element, DependsOn, target)
			}
		}
	}
	return nil
}

// Module takes up a module that something depends on, and gives the identifier of what is used: the module, or its replacement.
func (d *Builder) Module(m debug.Module) (string, error) {
	for r := &m; r != nil; r = r.Replace {
		if err := checkModule(r); err != nil {
			return "", err
		}
	}
	return d.dependency(&m), nil
}

// MainModule takes up a module of which the sources are described.
func (d *Builder) MainModule(path, version string) string {
	id := d.module(debug.Module{Path: path, Version: version}, "ForeignMain")
	p := d.packages[id]
	p.Supplier, p.Checksums = d.meta.Supplier, nil
	p.Download, p.SourceInfo = d.sourceLocation()
	return id
}

// dependency takes up a module and gives what is linked: itself or its replacement.
func (d *Builder) dependency(dep *debug.Module) string {
	if dep.Replace == nil {
		return d.module(*dep, "Module")
	}
	original := d.module(*dep, "Replaced")
	replacement := d.module(*dep.Replace, "Module")
	d.Relate(replacement, VariantOf, original)
	return replacement
}

// module takes up one module of that kind: Main, ForeignMain, Module or Replaced. A Main
// module without a version has the release's.
func (d *Builder) module(m debug.Module, kind string) string {
	p := &Package{Name: m.Path, Version: m.Version, Purpose: "LIBRARY"}
	purlVersion := m.Version
	if purlVersion == devel {
		purlVersion = ""
	}
	switch {
	case kind == "Replaced":
		p.Comment = "Not linked as such: go.mod's replace directive put another module in its place"
	case kind == "Main" && purlVersion == "":
		purlVersion, p.Version = d.meta.Version, d.meta.Version
		p.Comment = "The version is the release's; the program has none of its own"
	}
	if kind == "Main" || kind == "ForeignMain" {
		p.Purpose = "APPLICATION"
	}
	p.ID = ElementID(kind, m.Path, p.Version, m.Version, m.Sum)
	if !isLocal(m.Path) {
		p.PURL = purl(m.Path, purlVersion, "")
	}
	if own := kind == "Main" && (m.Version == "" || m.Version == devel); own {
		p.Supplier = d.meta.Supplier
		p.Download, p.SourceInfo = d.sourceLocation()
	} else {
		d.published(p, m.Path, m.Version)
	}
	if m.Sum != "" {
		p.Refs = []Ref{{Category: "OTHER", Type: DirHash, Locator: m.Sum, Comment: "Hash over the module's files, as in go.sum"}}
	}
	return d.Add(p)
}

// GoParts takes up the standard library and the toolchain of a version as the toolchain spells it: go1.26.8; "" when it is not known.
func (d *Builder) GoParts(goVersion string) (stdlib, toolchain string) {
	first, _, _ := strings.Cut(goVersion, " ") // "go1.26.8 X:experiment"
	released := ""
	if version.IsValid(first) {
		released = strings.TrimPrefix(first, "go")
	}
	info := "Go version " + goVersion
	if goVersion == "" {
		info = "The version of Go is chosen by who builds"
	}
	part := func(name, purpose, folder string) string {
		p := &Package{
			Name:       name,
			ID:         ElementID("Go", name, goVersion),
			Version:    cmp.Or(released, goVersion),
			PURL:       purl(name, released, ""),
			SourceInfo: info,
			Purpose:    purpose,
			Supplier:   goAuthors,
			Homepage:   "https://go.dev",
		}
		if released != "" {
			p.Download = goRepository + "go@" + first + folder
		}
		return d.Add(p)
	}
	return part("stdlib", "LIBRARY", "#src"), part("toolchain", "APPLICATION", "")
}

// purl names a Go module, or with a subpath a package in it.
func purl(modulePath, version, subpath string) string {
	dir, name := path.Split(modulePath)
	return packageurl.NewPackageURL(packageurl.TypeGolang, strings.Trim(dir, "/"), name, version, nil, subpath).ToString()
}

// PURL names the main package of a program, or gives "" when that cannot be. A main module without a version has the release's.
func (b Binary) PURL(release string) string {
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

// isLocal reports whether a replacement is a folder and no module.
func isLocal(modulePath string) bool {
	return modulePath == "." || modulePath == ".." || strings.HasPrefix(modulePath, "./") || strings.HasPrefix(modulePath, "../") ||
		path.IsAbs(modulePath) || strings.Contains(modulePath, `\`) || len(modulePath) > 1 && modulePath[1] == ':'
}
