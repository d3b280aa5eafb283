package inventory

import (
	"context"
	"os"

	"github.com/sello-release/sello/internal/sbom"
)

// locked is a package that a lock file of another language than Go names.
type locked struct {
	file    string // that names it
	name    string
	version string
	purl    string
}

// readLocks reads the lock files among those that were found.
func readLocks(_ context.Context, _ *os.Root, _ *folder, _ *sources) ([]locked, error) {
	return nil, nil
}

// locked takes up the packages of lock files.
func (d *describer) locked(root string, all []locked) error {
	for _, l := range all {
		id := d.b.Add(&sbom.Package{ID: sbom.ElementID("Package", l.name, l.version, l.purl), Name: l.name, Version: l.version, PURL: l.purl, Purpose: sbom.PurposeLibrary})
		d.b.RelateSince(root, sbom.DependsOn, id, "named by "+l.file)
	}
	return nil
}
