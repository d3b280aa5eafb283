package source

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sello-release/sello/internal/gate"
)

// refusal is a gate.Refusal with short names; fields stay empty where there is nothing to say.
type refusal struct {
	code, where, what, expected, actual, fix string
	class                                    gate.Class
	cause                                    error
}

func (r refusal) err() error {
	return &gate.Refusal{
		Code: r.code, Class: r.class, What: r.what, Where: r.where,
		Expected: r.expected, Actual: r.actual, Fix: r.fix, Cause: r.cause,
	}
}

// quote makes text of a repository safe to print: as it is where that is harmless, else as an ASCII Go string.
func quote(s string) string {
	if s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == '"' || r == '\\' }) {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// plain removes what does not belong in a line of text for people: control characters and broken UTF-8.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
