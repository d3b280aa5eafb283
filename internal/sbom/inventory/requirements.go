package inventory

import (
	"bufio"
	"fmt"
	"path"
	"strings"

	"github.com/google/osv-scanner/pkg/lockfile"
)

// isRequirements tells the files in which Python projects list what they ask for, as the library does.
func isRequirements(name string) bool {
	base := path.Base(name)
	return strings.Contains(base, "requirements") && strings.HasSuffix(base, ".txt")
}

// requirements reads the requirements of pip. Most of them do not pin a version, and then none is known: the library gives the lower bound
// of a range as if it were one.
type requirements struct {
	*lockFile
	seen map[string]bool
}

func (r *requirements) read(f *lockReader) {
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	line := ""
	for lines.Scan() {
		text, more := strings.CutSuffix(lines.Text(), `\`)
		if line += text; !more {
			r.line(f, line)
			line = ""
		}
	}
	r.line(f, line)
	if err := lines.Err(); err != nil {
		r.flaw = shortError(err)
	}
}

func (r *requirements) line(f *lockReader, line string) {
	if i := strings.Index(" "+line, " #"); i >= 0 {
		line = line[:i]
	}
	line, _, _ = strings.Cut(line, " --") // options of this requirement: hashes
	line = strings.TrimSpace(strings.ReplaceAll(line, "\t", " "))
	option, value, _ := strings.Cut(strings.Replace(line, "=", " ", 1), " ")
	value = strings.TrimSpace(value)
	switch {
	case line == "":
	case option == "-r" || option == "--requirement":
		r.include(f, value)
	case option == "-c" || option == "--constraint":
		r.notes = append(r.notes, "constraints are not read: "+cleanText(value))
	case option == "-e" || option == "--editable":
		r.located(strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, option), "=")))
	case line[0] == '-': // where to look, and how
	default:
		r.requirement(line)
	}
}

func (r *requirements) include(f *lockReader, name string) {
	in, err := f.Open(name)
	if err != nil {
		r.flaw = "failed to include " + cleanText(name) + ": " + reason(err)
		return
	}
	if !r.seen[in.Path()] {
		r.seen[in.Path()] = true
		r.read(in.(*lockReader))
	}
}

func (r *requirements) requirement(line string) {
	spec, marker, _ := strings.Cut(line, ";")
	i := strings.IndexFunc(spec, func(c rune) bool { return !isNameRune(c) })
	name, rest := spec, ""
	if i >= 0 {
		name, rest = spec[:i], strings.TrimSpace(spec[i:])
	}
	if strings.HasPrefix(rest, "[") { // extras
		if _, rest, _ = strings.Cut(rest, "]"); true {
			rest = strings.TrimSpace(rest)
		}
	}
	if at, ok := strings.CutPrefix(rest, "@"); ok && name != "" { // a URL may have a semicolon of its own; a marker follows a blank
		at, _, _ = strings.Cut(strings.TrimSpace(at), " ;")
		r.take(locked{name: name, location: at})
		return
	}
	if name == "" || strings.ContainsAny(rest, ":/") || strings.HasPrefix(line, ".") || strings.HasPrefix(rest, "+") {
		r.located(line)
		return
	}
	p := locked{name: name}
	rest = strings.Trim(rest, "() ")
	version, exact := strings.CutPrefix(rest, "==")
	version = strings.TrimSpace(strings.TrimPrefix(version, "="))
	switch {
	case exact && version != "" && !strings.ContainsAny(version, ",*<>=!~ "):
		p.version = version
	case rest == "":
		p.asked = "any version"
	default:
		p.asked = rest
	}
	if marker = strings.TrimSpace(marker); marker != "" {
		p.when = marker
	}
	r.take(p)
}

// located takes up something that a URL or a path names; what says no name is told.
func (r *requirements) located(at string) {
	place, fragment, _ := strings.Cut(at, "#")
	for _, part := range strings.Split(fragment, "&") {
		if egg, ok := strings.CutPrefix(part, "egg="); ok {
			name, _, _ := strings.Cut(egg, "[")
			r.take(locked{name: name, location: strings.TrimSpace(place)})
			return
		}
	}
	if name, url, ok := strings.Cut(at, " @ "); ok {
		r.take(locked{name: strings.TrimSpace(name), location: strings.TrimSpace(url)})
		return
	}
	r.notes = append(r.notes, "names something by its place alone, which is not described: "+cleanText(at))
}

func (r *requirements) take(p locked) {
	name, _, _ := strings.Cut(p.name, "[")
	parts := strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return c == '-' || c == '_' || c == '.' })
	p.name = strings.Join(parts, "-") // PEP 503
	p.purl = lockedPURL(lockfile.PackageDetails{Name: p.name, Version: p.version, Ecosystem: lockfile.PipEcosystem})
	if p.location != "" {
		p.purl = "" // it is not the one of that name in the index
	}
	if !r.add(p) {
		r.flaw = fmt.Sprintf("a requirement without a name that can be shown: %.100q", name)
	}
}

func isNameRune(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}
