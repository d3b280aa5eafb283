package pack

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sello-release/sello/internal/gate"
)

// maxName bounds a name and a link's target, in bytes; it is Linux's PATH_MAX.
const maxName = 4096

// CheckName refuses a name that is not a clean relative path with slashes, or
// that some system would read in another way.
func CheckName(name string) error {
	if why := badName(name); why != "" {
		return &gate.Refusal{Code: CodeBadName, What: "name in an archive " + why, Where: fmt.Sprintf("%q", short(name)),
			Expected: "a clean relative path with slashes", Fix: "rename the file"}
	}
	return nil
}

func badName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxName:
		return fmt.Sprintf("is longer than %d bytes", maxName)
	case path.IsAbs(name) || isDrive(name):
		return "is absolute"
	case leaves(path.Clean(name)):
		return "leaves the archive"
	case name == "." || path.Clean(name) != name:
		return "is not clean"
	}
	return badRunes(name)
}

// badRunes explains what no name and no link's target may contain.
func badRunes(s string) string {
	switch {
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case strings.ContainsRune(s, '\\'):
		return "contains a backslash"
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return "contains a control character"
	}
	return ""
}

// leaves reports whether a clean relative path goes above where it starts.
func leaves(clean string) bool { return clean == ".." || strings.HasPrefix(clean, "../") }

// isDrive reports whether Windows would take the name as one on a drive: "C:x".
func isDrive(name string) bool {
	return len(name) > 1 && name[1] == ':' && (name[0]|0x20) >= 'a' && (name[0]|0x20) <= 'z'
}

// checkLink refuses a symlink whose target, seen from its own folder, is not below top.
func checkLink(name, target, top string) error {
	why := badRunes(target)
	switch {
	case why != "":
	case target == "":
		why = "is empty"
	case len(target) > maxName:
		why = fmt.Sprintf("is longer than %d bytes", maxName)
	case path.IsAbs(target) || isDrive(target):
		why = "is absolute"
	default:
		to := path.Join(path.Dir(name), target)
		if leaves(to) || top != "" && to != top && !strings.HasPrefix(to, top+"/") {
			why = "leaves the archive"
		}
	}
	if why == "" {
		return nil
	}
	return &gate.Refusal{Code: CodeBadLink, What: "target of a symlink " + why, Where: fmt.Sprintf("%q", short(name)),
		Expected: "a relative path below the archive's root", Actual: fmt.Sprintf("%q", short(target)), Fix: "remove the symlink, or let it point into the same tree"}
}

// short keeps hostile names from filling a message.
func short(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// names knows the names of an archive, as a system without case sees them.
type names map[string]known

type known struct {
	name   string // as first written
	folder bool
	listed bool // has an entry of its own
}

// add takes up a file or folder and its parents. It refuses what would fall
// together with an earlier name on some system, and gives the parents that were new, outermost first.
func (s names) add(name string, folder bool) (parents []string, err error) {
	for i := 0; i < len(name); i++ {
		if name[i] != '/' {
			continue
		}
		parent, key := name[:i], fold(name[:i])
		old, ok := s[key]
		if ok && (!old.folder || old.name != parent) {
			return nil, duplicate(name, old.name)
		}
		if !ok {
			s[key] = known{name: parent, folder: true}
			parents = append(parents, parent)
		}
	}
	key := fold(name)
	old, ok := s[key]
	if ok && (!folder || !old.folder || old.listed || old.name != name) {
		return nil, duplicate(name, old.name)
	}
	s[key] = known{name: name, folder: folder, listed: true}
	return parents, nil
}

func duplicate(name, other string) error {
	return &gate.Refusal{Code: CodeDuplicate, What: "two entries of an archive fall together", Where: fmt.Sprintf("%q", short(name)),
		Expected: "names that differ by more than case, each once", Actual: fmt.Sprintf("also %q", short(other)), Fix: "rename or leave out one of them"}
}

// fold maps names that differ only in case to one key, by simple case folding.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		if r < utf8.RuneSelf && r != 'k' && r != 's' {
			return r
		}
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			if o < least {
				least = o
			}
		}
		if 'A' <= least && least <= 'Z' {
			least += 'a' - 'A'
		}
		return least
	}, s)
}
