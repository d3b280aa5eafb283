package source

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// checkName says why a name in a folder is not safe everywhere, or "".
func checkName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxName:
		return fmt.Sprintf("it is longer than %d bytes", maxName)
	case name == "." || name == "..":
		return "it means another folder"
	case !utf8.ValidString(name):
		return "it is not UTF-8"
	case strings.Contains(name, "/"):
		return "it contains a slash"
	case strings.Contains(name, `\`):
		return "it contains a backslash"
	case strings.ContainsFunc(name, breaksLines):
		return "it contains a control character"
	case isDotGit(name):
		return "git directories cannot be part of a tree"
	}
	return ""
}

func breaksLines(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// isDotGit reports whether some file system takes name for .git: by case, by its NTFS
// short name, by trailing dots, spaces or streams on NTFS, by characters that HFS+ ignores.
func isDotGit(name string) bool {
	name = strings.Map(func(r rune) rune {
		if ignoredByHFS(r) {
			return -1
		}
		return r
	}, name)
	name, _, _ = strings.Cut(name, ":")
	name = strings.ToLower(strings.TrimRight(name, ". "))
	return name == ".git" || name == "git~1"
}

// ignoredByHFS follows the list in Apple's Technical Note TN1150, as git does.
func ignoredByHFS(r rune) bool {
	return r >= 0x200c && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x206a && r <= 0x206f || r == 0xfeff
}

// fold gives the same text for names that some file system takes for one: full case folding and
// canonical equivalence.
func fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return norm.NFC.String(cases.Fold().String(norm.NFD.String(name)))
		}
	}
	return strings.ToLower(name)
}

// checkFolder refuses a folder whose entries cannot be unpacked safely and alike everywhere. at is its path, "" for the root.
func checkFolder(at string, entries []entry) error {
	folded := make(map[string]string, len(entries))
	for _, e := range entries {
		where := path.Join(at, e.name)
		if why := checkName(e.name); why != "" {
			return refusal{
				code: "source-bad-name", where: quoteShort(at + "/" + e.name), what: "name is not safe: " + why,
				fix: "rename it in a new commit",
			}.err()
		}
		if !e.mode.known() {
			return refusal{
				code: "source-unknown-mode", where: quote(where), what: "entry is neither a file, a folder, a symbolic link nor a submodule",
				actual: fmt.Sprintf("mode %o", uint32(e.mode)), fix: "git rm it and add it again",
			}.err()
		}
		key := fold(e.name)
		if other, ok := folded[key]; ok {
			return collision(at, other, e.name)
		}
		folded[key] = e.name
	}
	return nil
}

func collision(at, a, b string) error {
	if a == b {
		return refusal{
			code: "source-duplicate-entry", where: quote(path.Join(at, a)), what: "folder has this name twice",
			fix: "git itself never writes this: find out who committed it",
		}.err()
	}
	return refusal{
		code: "source-case-collision", where: quote(path.Join(at, b)),
		what:     "two names differ only by case or Unicode normalisation, and are one file on some systems",
		expected: "one of them", actual: quote(a) + " and " + quote(b), fix: "git mv one of them to another name",
	}.err()
}

func quoteShort(p string) string { return quote(shorten(strings.TrimPrefix(p, "/"))) }
