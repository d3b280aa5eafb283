// Package ui shows what happens: one stream of events as a live tree on a terminal, as plain lines
// when piped, or as JSON lines; refusals with their fields below each other; tables of checks.
//
// # What it promises
//
//   - Text that comes from outside (paths, compilers, bundles) is shown with its control and
//     invisible characters escaped, so that nothing can steer the terminal or forge a line.
//   - The live tree fits the terminal: what is finished is collapsed before what runs. It is drawn
//     at most ten times a second, each time in one write that leaves the cursor visible and below the tree, so
//     that whatever ends the process leaves a usable terminal.
//   - Colour only on a terminal, and not with NO_COLOR or TERM=dumb; ASCII where the locale is not UTF-8.
//   - JSON lines are [flow.Event]s in their stable form.
//   - A reader that went away does not stop a release: errors of writing are dropped.
//
// # What it does not do
//
// It does not read keys, catch signals, or decide what is an error. Whoever else
// wants the terminal while a tree is drawn calls [Pause] first.
package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
)

// Renderer shows events. Close shows the end state and leaves the terminal to others; it may be called more than once.
type Renderer interface {
	flow.Sink
	Close()
}

// New gives the renderer for a mode: tty draws a live tree, plain writes a line for each step that ended, json
// writes a line for each event, auto is tty on a terminal that can move its cursor and plain elsewhere.
// Another mode is refused with code progress-mode.
func New(mode string, out io.Writer) (Renderer, error) {
	switch mode {
	case "auto":
		if canMoveCursor(out) {
			return newLive(out, terminal(out)), nil
		}
		return newPlain(out, heartbeat), nil
	case "tty":
		_ = enableEscapes(out)
		return newLive(out, terminal(out)), nil
	case "plain":
		return newPlain(out, heartbeat), nil
	case "json":
		return &jsonLines{enc: json.NewEncoder(out)}, nil
	}
	return nil, &gate.Refusal{
		Code: "progress-mode", Class: gate.Usage, What: "there is no such way to show progress", Expected: "auto, tty, plain or json",
		Actual: fmt.Sprintf("%q", mode), Fix: "leave the choice to sello, or name one of these",
	}
}

// Pause keeps the renderer from drawing until resume is called, so that somebody else
// can write to the terminal or ask a question there. Renderers that do not draw do nothing.
func Pause(s flow.Sink) (resume func()) {
	if p, ok := s.(interface{ pause() func() }); ok {
		return p.pause()
	}
	return func() {}
}

// jsonLines writes each event as one line of JSON.
type jsonLines struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// Event implements flow.Sink.
func (j *jsonLines) Event(e flow.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.enc.Encode(e)
}

// Close implements Renderer.
func (j *jsonLines) Close() {}

// elapsed gives a duration worth telling, "" below a tenth of a second.
func elapsed(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// bytesText gives an amount as people say it: 999 B, 1.0 kB, 12.3 MB.
func bytesText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		if value /= 1000; value < 999.95 {
			return fmt.Sprintf("%.1f %s", value, unit)
		}
	}
	return fmt.Sprintf("%.1f TB", value/1000)
}
