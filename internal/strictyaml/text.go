package strictyaml

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/sello-release/sello/internal/gate"
)

// checkText refuses bytes that no reviewed file needs, before any parsing.
func checkText(name string, data []byte, limit int) *gate.Refusal {
	if len(data) > limit {
		return &gate.Refusal{Code: "yaml-size", Class: gate.Usage, Where: name, What: "the file is too large",
			Expected: fmt.Sprintf("at most %d bytes", limit), Actual: fmt.Sprintf("%d bytes", len(data))}
	}
	p := position{1, 1}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if bad := badRune(data, i, r, size); bad != "" {
			return &gate.Refusal{Code: "yaml-encoding", Class: gate.Usage, Where: where(name, p),
				What: "the file has a character that does not belong in it", Expected: "printable UTF-8 text", Actual: bad,
				Fix: "remove the character; write it as an escape in a quoted string if it is meant"}
		}
		i += size
		if r == '\n' {
			p = position{p.line + 1, 1}
		} else {
			p.column++
		}
	}
	return nil
}

// badRune names the character at data[i] if it must not be there.
func badRune(data []byte, i int, r rune, size int) string {
	switch {
	case r == utf8.RuneError && size <= 1:
		return fmt.Sprintf("byte 0x%02x, which is not UTF-8", data[i])
	case r == '\r' && (i+1 == len(data) || data[i+1] != '\n'):
		return "a carriage return without a line feed"
	case r == '\n' || r == '\t' || r == '\r':
		return ""
	case r == '\uFEFF' && i == 0: // a byte order mark
		return ""
	case deceptive(r) && !invisible(r): // joiners have their use in the text of comments
		return fmt.Sprintf("%U", r)
	}
	return ""
}

// deceptive reports whether r is invisible, breaks lines for a parser but not for an editor, or
// changes the order in which text is shown.
func deceptive(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\uFEFF', r == '\u2028', r == '\u2029':
		return true
	case r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069', r == '\u200E', r == '\u200F', r == '\u061C':
		return true
	case invisible(r):
		return true
	case r >= 0xFFFE && r <= 0xFFFF, r == utf8.RuneError:
		return true
	}
	return false
}

// invisible reports whether r has no width: allowed in comments, never in a value.
func invisible(r rune) bool {
	return r >= '\u200B' && r <= '\u200D' || r == '\u2060' || r == '\u00AD' || r >= 0xE0000 && r <= 0xE007F
}

// checkValue refuses characters that came into a value through escapes.
func checkValue(s string) string {
	for _, r := range s {
		if r != '\n' && r != '\t' && deceptive(r) {
			return fmt.Sprintf("%U", r)
		}
	}
	return ""
}
