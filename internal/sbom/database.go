package sbom

import (
	"path"
	"slices"
	"strings"
)

// IsDatabase reports whether a file of that name, relative to the root of a file system, is one of those in which distributions say
// what they are and what is installed, so that Scan.Visit takes something out of it.
func IsDatabase(name string) bool {
	dir, base := path.Split(name)
	switch {
	case slices.Contains(osReleases, name):
	case name == "var/lib/dpkg/status", dir == "var/lib/dpkg/status.d/" && !strings.HasSuffix(base, ".md5sums"):
	case name == "lib/apk/db/installed", name == "usr/lib/apk/db/installed":
	case slices.Contains(rpmFolders, strings.TrimSuffix(dir, "/")):
		return base == "rpmdb.sqlite" || base == "rpmdb.sqlite-wal" || base == "Packages.db" || base == "Packages"
	default:
		return false
	}
	return true
}
