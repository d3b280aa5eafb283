package ui

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/sello-release/sello/internal/flow"
)

// redraw is the pause between two pictures of the tree.
const redraw = 120 * time.Millisecond

// tree keeps finished steps as lines that scroll away, and the running ones below them as a
// picture that is drawn again and again.
type tree struct {
	out   io.Writer
	marks marks

	mu      sync.Mutex
	running []running
	planned int
	ended   int
	drawn   int // lines of the picture that stand on the screen
	frame   int
	closed  bool
	stop    chan struct{}
}

type running struct {
	step        string
	since       time.Time
	done, total int64
}

func newTree(out io.Writer) *tree {
	t := &tree{out: out, marks: marksFor(out), stop: make(chan struct{})}
	go t.animate()
	return t
}

func (t *tree) animate() {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			t.mu.Lock()
			if !t.closed {
				t.frame++
				t.draw()
			}
			t.mu.Unlock()
		}
	}
}

func (t *tree) Event(e flow.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	switch e.Kind {
	case flow.Planned:
		t.planned++
	case flow.Started:
		t.running = append(t.running, running{step: e.Step, since: time.Now()})
	case flow.Progress:
		for i := range t.running {
			if t.running[i].step == e.Step {
				t.running[i].done, t.running[i].total = e.Done, e.Total
			}
		}
	case flow.Finished, flow.Cached, flow.Failed, flow.Cancelled:
		t.ended++
		t.running = slices.DeleteFunc(t.running, func(r running) bool { return r.step == e.Step })
	}
	if line := endLine(e, t.marks); line != "" {
		t.erase()
		fmt.Fprintln(t.out, line)
		t.draw()
	}
}

// Close leaves the finished lines and nothing else.
func (t *tree) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	close(t.stop)
	t.erase()
}

// erase removes the picture: up to its first line, then everything below.
func (t *tree) erase() {
	if t.drawn > 0 {
		fmt.Fprintf(t.out, "\r\x1b[%dA\x1b[J", t.drawn)
		t.drawn = 0
	}
}

// draw draws the running steps, as many as fit.
func (t *tree) draw() {
	width, height := t.size()
	lines := make([]string, 0, len(t.running)+1)
	for _, r := range t.running {
		lines = append(lines, clipTo(t.line(r), width-1))
	}
	if more := len(lines) - (height - 3); more > 0 && height > 4 {
		lines = append(lines[:height-4], fmt.Sprintf("  and %d more", more+1))
	}
	t.erase()
	if len(lines) == 0 {
		return
	}
	fmt.Fprint(t.out, strings.Join(lines, "\n")+"\n")
	t.drawn = len(lines)
}

func (t *tree) line(r running) string {
	frames := []string{"|", "/", "-", `\`}
	if t.marks.unicode {
		frames = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧"}
	}
	text := fmt.Sprintf("%s %s  %.1fs", frames[t.frame%len(frames)], Escape(r.step), time.Since(r.since).Seconds())
	if r.total > 0 {
		text += fmt.Sprintf("  %d%%", 100*r.done/r.total)
	}
	return text
}

func (t *tree) size() (width, height int) {
	if f, ok := t.out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w, h
		}
	}
	return 80, 24
}

// clipTo cuts a line without escape sequences to a width in characters.
func clipTo(s string, width int) string {
	if r := []rune(s); len(r) > width && width > 0 {
		return string(r[:width])
	}
	return s
}
