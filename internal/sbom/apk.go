package sbom

import (
	"io"
	"strings"

	"github.com/sello-release/sello/internal/license"
)

// apkFields are the fields of apk's database that are of interest: name, version, architecture, licence, origin, maintainer, homepage.
const apkFields = "PVALomU"

// apk reads the packages out of apk's database of installed packages. Its records have one line a
// field: a letter, a colon, the value. Those of files repeat their letters and are passed over.
func (s *Scan) apk(name string, r io.Reader) error {
	l := newLines(name, r, maxDatabase)
	var rec record
	for l.next() {
		line := strings.TrimRight(l.text(), " \t\r")
		if line == "" {
			if err := s.alpine(l, rec); err != nil {
				return err
			}
			rec = record{}
			continue
		}
		field, value, ok := strings.Cut(line, ":")
		if !ok || len(field) != 1 || !isWord(field, "") {
			return l.malformed("no field: %.100s", line)
		}
		if err := rec.set(l, field, strings.TrimSpace(value), strings.Contains(apkFields, field)); err != nil {
			return err
		}
	}
	if err := l.err(); err != nil {
		return err
	}
	return s.alpine(l, rec)
}

func (s *Scan) alpine(l *lines, rec record) error {
	if !rec.any {
		return nil
	}
	p := OSPackage{Type: typeAPK, Name: rec.fields["P"], Version: rec.fields["V"], Arch: rec.fields["A"], License: rec.fields["L"],
		Supplier: text(rec.fields["m"]), Homepage: text(rec.fields["U"])}
	if origin := rec.fields["o"]; origin != p.Name {
		p.Source = origin
	}
	bad := func(what string) error { return malformed(l.where, rec.line, what) }
	switch {
	case !isWord(p.Name, "._+-"):
		return bad("package " + p.Name)
	case !isWord(p.Version, "._+-~:"):
		return bad("package " + p.Name + " of version " + p.Version)
	case p.Arch != "" && !isWord(p.Arch, "_-"):
		return bad("package " + p.Name + " for architecture " + p.Arch)
	case p.Source != "" && !isWord(p.Source, "._+-"):
		return bad("package " + p.Name + " of origin " + p.Source)
	case len(p.License) > license.MaxExpression:
		return bad("licence of package " + p.Name)
	}
	return s.add(l.where, rec.line, p)
}
