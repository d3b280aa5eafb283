package ui

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/sello-release/sello/internal/flow"
)

// style is what an output can show.
type style struct {
	colour  bool
	unicode bool
	width   int // columns; 0: lines are not broken
}

// styleFor looks at the output and the environment.
func styleFor(out io.Writer) style {
	s := style{unicode: utf8Locale(os.Getenv, runtime.GOOS)}
	if !isTerminal(out) {
		return s
	}
	s.colour = os.Getenv("NO_COLOR") == "" && canMoveCursor(out)
	s.width, _ = sizeOf(out)
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := fileOf(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// canMoveCursor reports whether out is a terminal that understands escape sequences.
func canMoveCursor(out io.Writer) bool {
	name := os.Getenv("TERM")
	if name == "dumb" || name == "" && runtime.GOOS != "windows" {
		return false
	}
	return isTerminal(out) && enableEscapes(out)
}

// sizeOf gives the terminal's size, 80 by 24 when nobody knows.
func sizeOf(out io.Writer) (width, height int) {
	if f, ok := fileOf(out); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			return w, h
		}
	}
	return 80, 24
}

// utf8Locale reports whether the locale's encoding is UTF-8, by the variables in the order in which they count.
func utf8Locale(getenv func(string) string, goos string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return goos == "darwin" || goos == "windows" // there it is UTF-8 without being said
}

// Colours, as parameters of the SGR escape sequence.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s style) paint(code, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) pick(unicode, ascii string) string {
	if s.unicode {
		return unicode
	}
	return ascii
}

func (s style) ellipsis() string { return s.pick("…", "...") }

// mark gives the symbol and colour for how a step ended.
func (s style) mark(kind flow.Kind) (symbol, colour string) {
	switch kind {
	case flow.Finished:
		return s.pick("✓", "ok"), green
	case flow.Cached:
		return s.pick("≡", "=="), cyan
	case flow.Failed:
		return s.pick("✗", "FAILED"), red
	case flow.Cancelled:
		return s.pick("∅", "--"), yellow
	}
	return s.pick("·", ".."), dim
}

var (
	spinnerUnicode = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}
	spinnerASCII   = []string{"|", "/", "-", `\`}
)

// spinner gives the picture for a moment, counted in redraws.
func (s style) spinner(frame int64) string {
	if s.unicode {
		return spinnerUnicode[frame%int64(len(spinnerUnicode))]
	}
	return spinnerASCII[frame%int64(len(spinnerASCII))]
}
