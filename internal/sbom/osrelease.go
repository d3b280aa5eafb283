package sbom

import (
	"io"
	"strings"
)

// osRelease reads os-release(5): assignments in the shell's form, of which identifiers need no more than to lose their quotes.
func (s *Scan) osRelease(name string, r io.Reader) error {
	l := newLines(name, r, maxOSRelease)
	fields := map[string]string{}
	for l.next() {
		key, value, ok := strings.Cut(strings.TrimSpace(l.text()), "=")
		if !ok {
			continue
		}
		switch key {
		case "ID", "VERSION_ID", "VERSION_CODENAME", "BUILD_ID":
			value = strings.TrimSpace(value)
			if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
				value = value[1 : n-1]
			}
			if value != "" && !isWord(value, "._-+~") {
				return l.malformed("%s is %.100s", key, value)
			}
			fields[key] = value // the last one counts, as in the shell
		}
	}
	if err := l.err(); err != nil {
		return err
	}
	d := Distro{ID: strings.ToLower(fields["ID"])}
	for _, key := range []string{"VERSION_ID", "VERSION_CODENAME", "BUILD_ID"} {
		if d.Version == "" {
			d.Version = fields[key]
		}
	}
	s.distros[name] = d
	return nil
}
