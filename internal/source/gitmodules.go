package source

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"
)

// moduleEntry is a submodule as .gitmodules describes it.
type moduleEntry struct{ name, path, url string }

// parseModules reads .gitmodules (git-config(1) syntax) and gives its submodules by path.
// Other sections and keys are skipped; the last of two values counts, as for git.
func parseModules(content []byte) (map[string]moduleEntry, error) {
	text := strings.TrimPrefix(string(content), "\ufeff")
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, errors.New("it is not text")
	}
	p := &configParser{text: strings.ReplaceAll(text, "\r\n", "\n"), line: 1}
	byName := map[string]moduleEntry{}
	err := p.parse(func(section, name, key, value string) {
		if section != "submodule" || name == "" {
			return
		}
		m := byName[name]
		m.name = name
		switch key {
		case "path":
			m.path = value
		case "url":
			m.url = value
		}
		byName[name] = m
	})
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", p.line, err)
	}
	byPath := map[string]moduleEntry{}
	for name, m := range byName {
		if m.path = strings.TrimSuffix(m.path, "/"); m.path == "" {
			continue
		}
		if !safeModuleName(name) {
			return nil, fmt.Errorf("the name %s is not allowed", quote(name))
		}
		if _, twice := byPath[m.path]; twice {
			return nil, fmt.Errorf("the path %s is there twice", quote(m.path))
		}
		byPath[m.path] = m
	}
	return byPath, nil
}

// safeModuleName keeps .git/modules/<name> where it belongs.
func safeModuleName(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.ContainsFunc(name, unicode.IsControl) && !strings.ContainsAny(name, `\:`)
}

// configParser reads git's configuration syntax.
type configParser struct {
	text string
	line int
}

// next takes one character, or gives 0 at the end.
func (p *configParser) next() byte {
	if p.text == "" {
		return 0
	}
	c := p.text[0]
	p.text = p.text[1:]
	if c == '\n' {
		p.line++
	}
	return c
}

func (p *configParser) peek() byte {
	if p.text == "" {
		return 0
	}
	return p.text[0]
}

func (p *configParser) parse(set func(section, name, key, value string)) error {
	var section, name string
	for {
		switch c := p.peek(); {
		case c == 0:
			return nil
		case c == ' ' || c == '\t' || c == '\n':
			p.next()
		case c == '#' || c == ';':
			p.skipLine()
		case c == '[':
			p.next()
			var err error
			if section, name, err = p.section(); err != nil {
				return err
			}
		case isLetter(c):
			if section == "" {
				return errors.New("a key stands before the first section")
			}
			key := strings.ToLower(p.word())
			value, err := p.value()
			if err != nil {
				return err
			}
			set(section, name, key, value)
		default:
			return fmt.Errorf("%s does not belong there", quote(string(rune(c))))
		}
	}
}

func (p *configParser) skipLine() {
	for c := p.next(); c != '\n' && c != 0; c = p.next() {
	}
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// word takes letters, digits, dashes and dots.
func (p *configParser) word() string {
	n := 0
	for n < len(p.text) && (isLetter(p.text[n]) || p.text[n] >= '0' && p.text[n] <= '9' || p.text[n] == '-' || p.text[n] == '.') {
		n++
	}
	w := p.text[:n]
	p.text = p.text[n:]
	return w
}

// section reads what follows the bracket: a name, and perhaps a quoted second one.
func (p *configParser) section() (section, name string, err error) {
	section = strings.ToLower(p.word())
	p.blanks()
	if p.peek() == '"' {
		p.next()
		if name, err = p.quotedName(); err != nil {
			return "", "", err
		}
	}
	if section == "" || p.next() != ']' {
		return "", "", errors.New("a section's name is malformed")
	}
	return section, name, nil
}

func (p *configParser) quotedName() (string, error) {
	var b strings.Builder
	for {
		switch c := p.next(); c {
		case 0, '\n':
			return "", errors.New("a section's name is not closed")
		case '"':
			return b.String(), nil
		case '\\':
			if c = p.next(); c == 0 || c == '\n' {
				return "", errors.New("a section's name is not closed")
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
}

func (p *configParser) blanks() {
	for p.peek() == ' ' || p.peek() == '\t' {
		p.next()
	}
}

// value reads what follows a key to the end of its line.
func (p *configParser) value() (string, error) {
	p.blanks()
	if p.peek() != '=' { // a key alone means true
		if c := p.peek(); c != 0 && c != '\n' && c != '#' && c != ';' {
			return "", errors.New("a key is malformed")
		}
		p.skipLine()
		return "true", nil
	}
	p.next()
	p.blanks()
	var b strings.Builder
	quoted, end := false, 0 // end: what stands behind it is blanks outside of quotes
	for {
		c := p.next()
		switch {
		case c == 0 || c == '\n':
			if quoted {
				return "", errors.New("a value's quotes are not closed")
			}
			return b.String()[:end], nil
		case c == '"':
			quoted = !quoted
			end = b.Len()
			continue
		case !quoted && (c == '#' || c == ';'):
			p.skipLine()
			return b.String()[:end], nil
		case c == '\\':
			escaped, skip, err := p.escape()
			if err != nil {
				return "", err
			}
			if skip {
				continue
			}
			b.WriteByte(escaped)
			end = b.Len()
			continue
		}
		b.WriteByte(c)
		if quoted || c != ' ' && c != '\t' {
			end = b.Len()
		}
	}
}

// escape reads what follows a backslash in a value; a line's end continues the value.
func (p *configParser) escape() (c byte, skip bool, err error) {
	switch c = p.next(); c {
	case '\n':
		return 0, true, nil
	case 'n':
		return '\n', false, nil
	case 't':
		return '\t', false, nil
	case 'b':
		return '\b', false, nil
	case '"', '\\':
		return c, false, nil
	}
	return 0, false, errors.New("a value has an unknown escape")
}
