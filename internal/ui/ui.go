// Package ui shows what happens: one stream of events as a live tree on a terminal, as plain lines
// when piped, or as JSON lines; refusals with their fields below each other; tables of checks.
//
// Text that comes from outside (paths, compilers, bundles) is shown with its control
// characters escaped, so that nothing can steer the terminal. Colour only on a terminal, and
// not with NO_COLOR or TERM=dumb; ASCII where the locale is not UTF-8.
package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/sello-release/sello/internal/flow"
)

// Renderer shows events. Close restores the terminal; it may be called more than once.
type Renderer interface {
	flow.Sink
	Close()
}

// New gives the renderer for a mode: auto, tty, plain or json.
func New(mode string, out io.Writer) (Renderer, error) {
	switch mode {
	case "auto":
		if isTerminal(out) && os.Getenv("TERM") != "dumb" {
			return newTree(out), nil
		}
		return &plain{out: out}, nil
	case "tty":
		return newTree(out), nil
	case "plain":
		return &plain{out: out}, nil
	case "json":
		return &jsonLines{enc: json.NewEncoder(out)}, nil
	}
	return nil, fmt.Errorf("unknown progress mode %q", mode)
}

// jsonLines writes each event as one line of JSON.
type jsonLines struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (j *jsonLines) Event(e flow.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.enc.Encode(e) // a reader that went away must not stop a release
}

func (j *jsonLines) Close() {}

// plain writes a line when a step ends, and for notes.
type plain struct {
	mu  sync.Mutex
	out io.Writer
}

func (p *plain) Event(e flow.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if line := endLine(e, marks{}); line != "" {
		fmt.Fprintln(p.out, line)
	}
}

func (p *plain) Close() {}

// marks are the symbols of a rendering.
type marks struct{ colour, unicode bool }

func marksFor(out io.Writer) marks {
	return marks{colour: isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", unicode: utf8Locale()}
}

func (m marks) paint(code, text string) string {
	if !m.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// status gives the mark for a kind of end.
func (m marks) status(kind flow.Kind) string {
	switch kind {
	case flow.Finished:
		return m.paint("32", m.pick("✓", "ok"))
	case flow.Cached:
		return m.paint("36", m.pick("≡", "=="))
	case flow.Failed:
		return m.paint("31", m.pick("✗", "FAILED"))
	}
	return m.paint("33", m.pick("∅", "--"))
}

func (m marks) pick(unicode, ascii string) string {
	if m.unicode {
		return unicode
	}
	return ascii
}

// endLine gives the line that stays after an event, or "".
func endLine(e flow.Event, m marks) string {
	name := Escape(e.Step)
	switch e.Kind {
	case flow.Finished:
		return strings.TrimRight(fmt.Sprintf("%s %s%s", m.status(e.Kind), name, took(e.Duration)), " ")
	case flow.Cached:
		return fmt.Sprintf("%s %s (done before)", m.status(e.Kind), name)
	case flow.Failed:
		return fmt.Sprintf("%s %s%s", m.status(e.Kind), name, took(e.Duration))
	case flow.Cancelled:
		return fmt.Sprintf("%s %s (not done)", m.status(e.Kind), name)
	case flow.Note:
		return "   " + Escape(strings.TrimSpace(e.Step+" "+e.Text))
	}
	return ""
}

// took gives a duration worth telling.
func took(d time.Duration) string {
	if d < 100*time.Millisecond {
		return ""
	}
	return fmt.Sprintf("  %.1fs", d.Seconds())
}

// Escape makes text from outside safe to show on one line: control and other invisible characters become \u escapes.
func Escape(s string) string {
	return escape(s, false)
}

// EscapeLines is Escape for text of several lines.
func EscapeLines(s string) string { return escape(s, true) }

func escape(s string, lines bool) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t', lines && r == '\n':
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func utf8Locale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}
