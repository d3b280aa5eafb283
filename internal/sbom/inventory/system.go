package inventory

import (
	"io"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/sbom"
)

// maxDatabase bounds a database of packages, in bytes; sbom.Scan has narrower bounds for some.
const maxDatabase = 512 << 20

// system is what a distribution's package manager says that it installed.
type system struct{ packages []sbom.OSPackage }

// databases keeps the files in which package managers have their lists, by name; a later one replaces an earlier one.
type databases map[string]*sbom.Spool

// keep copies a database and gives a reader of the copy.
func (d databases) keep(name string, r io.Reader) (io.Reader, error) {
	s, err := sbom.NewSpool(r, maxDatabase)
	if err != nil {
		return nil, err
	}
	d.drop(name)
	d[name] = s
	return io.NewSectionReader(s, 0, s.Size), nil
}

func (d databases) drop(name string) {
	if old := d[name]; old != nil {
		old.Close()
		delete(d, name)
	}
}

func (d databases) Close() {
	for name := range d {
		d.drop(name)
	}
}

// read reads all of them.
func (d databases) read() (*system, error) {
	if len(d) == 0 {
		return nil, nil
	}
	scan := sbom.NewScan()
	names := make([]string, 0, len(d))
	for name := range d {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	for _, name := range names {
		s := d[name]
		err := scan.Visit(name, s.Size, func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(s, 0, s.Size)), nil })
		if err != nil {
			return nil, err
		}
	}
	packages, _, err := scan.Result()
	if err != nil || len(packages) == 0 {
		return nil, err
	}
	return &system{packages}, nil
}

// system takes up what is installed.
func (d *describer) system(id string, s *system) error {
	for _, p := range s.packages {
		if p.Unread != "" {
			d.b.Note(id, "%s", p.Unread)
			continue
		}
		element, err := d.b.OSPackage(p)
		if err != nil {
			return err
		}
		d.b.Relate(id, sbom.Contains, element)
	}
	return nil
}
