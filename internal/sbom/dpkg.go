package sbom

import (
	"io"
	"strings"
)

// dpkgFields are the fields of dpkg's status file that are of interest, in lower case.
var dpkgFields = map[string]bool{"package": true, "status": true, "version": true, "architecture": true, "source": true,
	"maintainer": true, "homepage": true}

// dpkg reads the packages out of a file in the form of dpkg's status (deb-control(5)): of
// /var/lib/dpkg/status, and those below status.d that images without dpkg have.
func (s *Scan) dpkg(name string, r io.Reader) error {
	l := newLines(name, r, maxDatabase)
	var rec record
	for l.next() {
		line := strings.TrimRight(l.text(), " \t\r")
		switch {
		case line == "":
			if err := s.debian(l, rec); err != nil {
				return err
			}
			rec = record{}
			continue
		case line[0] == ' ' || line[0] == '\t':
			if !rec.any {
				return l.malformed("continuation of no field")
			}
			continue
		}
		field, value, ok := strings.Cut(line, ":")
		field = strings.ToLower(field)
		if !ok || !isWord(field, "-_") {
			return l.malformed("no field: %.100s", line)
		}
		if err := rec.set(l, field, strings.Trim(value, " \t"), dpkgFields[field]); err != nil {
			return err
		}
	}
	if err := l.err(); err != nil {
		return err
	}
	return s.debian(l, rec)
}

// debian takes up a package, unless only its configuration is left or it is not there at all.
func (s *Scan) debian(l *lines, rec record) error {
	if !rec.any {
		return nil
	}
	bad := func(what string) error { return malformed(l.where, rec.line, what) }
	if status, ok := rec.fields["status"]; ok {
		words := strings.Fields(status) // what was wanted, whether all is well, how things are
		if len(words) != 3 {
			return bad("status " + status)
		}
		if words[2] == "not-installed" || words[2] == "config-files" {
			return nil
		}
	}
	p := OSPackage{Type: typeDeb, Name: rec.fields["package"], Version: rec.fields["version"], Arch: rec.fields["architecture"],
		Supplier: text(rec.fields["maintainer"]), Homepage: text(rec.fields["homepage"])}
	source, version, versioned := strings.Cut(rec.fields["source"], " ")
	if p.Source = source; versioned {
		version, ok := strings.CutSuffix(strings.TrimPrefix(version, "("), ")")
		if !ok || !isWord(version, ".+-~:") {
			return bad("source " + rec.fields["source"])
		}
		p.Source += "@" + version
	}
	switch {
	case !isWord(p.Name, "+-."):
		return bad("package " + p.Name)
	case !isWord(p.Version, ".+-~:"):
		return bad("package " + p.Name + " of version " + p.Version)
	case p.Arch != "" && !isWord(p.Arch, "-"):
		return bad("package " + p.Name + " for architecture " + p.Arch)
	case source != "" && !isWord(source, "+-."):
		return bad("package " + p.Name + " of source " + source)
	}
	return s.add(l.where, rec.line, p)
}
