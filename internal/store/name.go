package store

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sello-release/sello/internal/gate"
)

// Limits of names.
const (
	maxName    = 1024 // bytes, as in common object stores
	maxElement = 255  // bytes between slashes, as in common file systems
)

// tempFolder at a bucket's root holds files that are still being written.
// Its name is no valid name of an object.
const tempFolder = ".sello-tmp"

// CheckName refuses, with code store-name, a name that is not slash-separated,
// relative and clean UTF-8: no empty, "." or ".." element, no backslash, colon or
// other character that some file system reserves, no control or invisible character.
func CheckName(name string) error {
	why := badName(name)
	if why == "" {
		return nil
	}
	return &gate.Refusal{
		Code: "store-name", What: "this is no name for an object: " + why,
		Where: fmt.Sprintf("%q", clip(name)), Expected: "a relative, clean, slash-separated path",
		Fix: "rename what the name is made from",
	}
}

func badName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxName:
		return fmt.Sprintf("it is longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return "it is not UTF-8"
	}
	for i, e := range strings.Split(name, "/") {
		if why := badElement(e); why != "" {
			return why
		}
		if i == 0 && e == tempFolder {
			return "the folder is reserved for files being written"
		}
	}
	return ""
}

func badElement(e string) string {
	switch {
	case e == "":
		return "a part of it is empty"
	case e == "." || e == "..":
		return "it has " + e + " as a part"
	case len(e) > maxElement:
		return fmt.Sprintf("a part of it is longer than %d bytes", maxElement)
	case strings.HasSuffix(e, ".") || strings.HasSuffix(e, " ") || strings.HasPrefix(e, " "):
		return "a part of it starts or ends with a space, or ends with a dot"
	}
	for _, r := range e {
		switch {
		case strings.ContainsRune(`\:*?"<>|`, r):
			return fmt.Sprintf("it contains %q", r)
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return fmt.Sprintf("it contains %U, which cannot be seen", r)
		}
	}
	return ""
}

// checkPrefix accepts "" and valid names that end in a slash.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	trimmed, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("list %q: a prefix ends in a slash", clip(prefix))
	}
	return CheckName(trimmed)
}

// clip keeps hostile names from flooding a message.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// escapeElement makes one valid element of any string, and different ones of
// different strings: bytes other than letters, digits and ._@+- become %XX.
func escapeElement(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._@+-", c) >= 0
		if c == '.' && (i == 0 || i == len(s)-1) {
			plain = false
		}
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
