package source

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkRefName holds what follows refs/heads/ or refs/tags/ to the rules of
// git-check-ref-format(1), and a little more: UTF-8 without control characters, no
// leading dash, at most 200 bytes.
func checkRefName(name string) error {
	switch {
	case name == "" || len(name) > 200:
		return errors.New("it is empty or longer than 200 bytes")
	case name == "@" || strings.Contains(name, "@{"):
		return errors.New("it contains @{ or is @")
	case strings.HasPrefix(name, "-"):
		return errors.New("it begins with a dash")
	case strings.HasSuffix(name, "."):
		return errors.New("it ends with a dot")
	case strings.Contains(name, ".."):
		return errors.New("it contains two dots in a row")
	case strings.ContainsAny(name, " ~^:?*[\\"):
		return errors.New("it contains a space or one of ~^:?*[\\")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("it contains control characters or bytes that are not UTF-8")
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return errors.New("it begins or ends with a slash, or has two in a row")
		case strings.HasPrefix(part, "."):
			return errors.New("a part of it begins with a dot")
		case strings.HasSuffix(part, ".lock"):
			return errors.New("a part of it ends with .lock")
		}
	}
	return nil
}
