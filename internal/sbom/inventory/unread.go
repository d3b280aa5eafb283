package inventory

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// lockedBy gives, for files in which projects of other languages say what they ask for, the lock files that tell what they get. A file without
// any is a lock file that is not read.
var lockedBy = map[string][]string{
	"package.json": {"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml"}, "pyproject.toml": {"poetry.lock", "pdm.lock", "uv.lock", "Pipfile.lock", "requirements.txt"},
	"setup.py": {"requirements.txt", "poetry.lock", "pdm.lock", "Pipfile.lock"}, "Pipfile": {"Pipfile.lock"}, "Cargo.toml": {"Cargo.lock"}, "composer.json": {"composer.lock"}, "Gemfile": {"Gemfile.lock"},
	"pubspec.yaml": {"pubspec.lock"}, "mix.exs": {"mix.lock"}, "conanfile.txt": {"conan.lock"}, "conanfile.py": {"conan.lock"}, "build.gradle": {"gradle.lockfile"}, "build.gradle.kts": {"gradle.lockfile"},
	"uv.lock": nil, "bun.lock": nil, "bun.lockb": nil, "npm-shrinkwrap.json": nil, "Package.resolved": nil, "Podfile.lock": nil, "deno.lock": nil, "flake.lock": nil, "pixi.lock": nil,
}

// unread gives sentences about what says which packages are used or asked for, and is not read.
func (f *folder) unread(read []lockFile) []string {
	var locks, asks []string
	installed := 0
	for _, n := range f.files {
		in, base := path.Split(n.name)
		in = strings.TrimSuffix(in, "/")
		parts := strings.Split(in, "/")
		if slices.Contains(parts, "node_modules") && base == "package.json" {
			installed++
		}
		by, known := lockedBy[base]
		if !known || slices.Contains(parts, "node_modules") || slices.Contains(parts, "vendor") || slices.Contains(parts, "testdata") {
			continue
		}
		switch {
		case slices.ContainsFunc(read, func(l lockFile) bool { return l.name == n.name }):
		case by == nil:
			locks = append(locks, n.name)
		case !f.lockAbove(in, by):
			asks = append(asks, n.name)
		}
	}
	var out []string
	if len(locks) > 0 {
		out = append(out, "Lock files that are not read, so that packages are missing here: "+listed(locks))
	}
	if len(asks) > 0 {
		out = append(out, "What is asked for is not described where no lock file tells what is used: "+listed(asks))
	}
	if installed > 0 {
		out = append(out, fmt.Sprintf("Installed packages are described by lock files alone; not read below node_modules: %d package.json", installed))
	}
	return out
}

// lockAbove looks for a lock file in a folder and those above it, where workspaces have them.
func (f *folder) lockAbove(in string, names []string) bool {
	for {
		if slices.ContainsFunc(f.in(in), func(n *node) bool { return slices.Contains(names, path.Base(n.name)) }) {
			return true
		}
		if in == "" || in == "." {
			return false
		}
		in = path.Dir(in)
	}
}

// listed gives the first of many names, and how many others there are.
func listed(names []string) string {
	const most = 20
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
