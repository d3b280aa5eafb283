package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/flow"
)

// redraw is the pause between two pictures: ten a second.
const redraw = 100 * time.Millisecond

// screen is the terminal that a tree is drawn on.
type screen struct {
	style style
	size  func() (width, height int)
	now   func() time.Time
	every time.Duration // between pictures; 0: only when asked to
}

func terminal(out io.Writer) screen {
	s := styleFor(out)
	return screen{style: s, size: func() (int, int) { return sizeOf(out) }, now: time.Now, every: redraw}
}

// live draws the tree again and again in place. Between two pictures the cursor is
// visible, at the start of the line below the tree.
type live struct {
	out    io.Writer
	screen screen

	mu     sync.Mutex
	model  *model
	drawn  []int // columns of each line that stands on the screen
	notes  []string
	frames int64
	dirty  bool // something happened since the last picture
	paused int
	closed bool
	stop   chan struct{}
}

func newLive(out io.Writer, s screen) *live {
	l := &live{out: out, screen: s, model: newModel(), stop: make(chan struct{})}
	if s.every > 0 {
		go l.animate()
	}
	return l
}

func (l *live) animate() {
	tick := time.NewTicker(l.screen.every)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.mu.Lock()
			if !l.closed && l.paused == 0 && (l.dirty || len(l.drawn) > 0) {
				l.draw(false)
			}
			l.mu.Unlock()
		}
	}
}

// Event implements flow.Sink. It only notes what happened: drawing has its own pace.
func (l *live) Event(e flow.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if e.Kind == flow.Note {
		l.notes = append(l.notes, noteLine(e))
	}
	l.model.event(e, l.screen.now())
	l.dirty = true
}

// Close draws the end state, which stays.
func (l *live) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	close(l.stop)
	l.draw(true)
}

func (l *live) pause() (resume func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused++; l.paused == 1 && !l.closed {
		var b strings.Builder
		width, _ := l.screen.size()
		if l.rewind(&b, width); b.Len() > 0 {
			l.write(b.String() + "\x1b[J")
		}
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.paused--
			l.dirty = true
		})
	}
}

// draw replaces the picture by a new one: notes first, which scroll away, then the tree. One write, so
// that nothing comes between.
func (l *live) draw(final bool) {
	width, height := l.screen.size()
	// One column stays free, so that no line ends in the last one, where terminals differ in when they
	// wrap; one line stays free for the cursor.
	p := picture{m: l.model, style: l.screen.style, now: l.screen.now(), frame: l.frames, final: final}
	lines := p.lines(max(width-1, 1), max(height-1, 1))
	var b strings.Builder
	l.rewind(&b, width)
	for _, note := range l.notes {
		for _, part := range wrap(note, width-1) {
			b.WriteString("\x1b[K" + part + "\r\n")
		}
	}
	for _, text := range lines {
		b.WriteString("\x1b[K" + text + "\r\n")
		l.drawn = append(l.drawn, visible(text))
	}
	if b.Len() > 0 {
		b.WriteString("\x1b[J")
	}
	l.notes, l.dirty = nil, false
	l.frames++
	l.write(b.String())
}

// rewind goes back to the first line of the picture, for the next to be written over it line by line: some
// terminals keep in their history what is cleared from their first line on. A terminal
// that was made narrower has wrapped lines of the picture by now, so that it has more rows.
func (l *live) rewind(b *strings.Builder, width int) {
	rows := 0
	for _, n := range l.drawn {
		rows += max(1, (n+width-1)/width)
	}
	if rows > 0 {
		fmt.Fprintf(b, "\r\x1b[%dA", rows)
	}
	l.drawn = l.drawn[:0]
}

// write hides the cursor while the terminal works through one picture, in the same write that shows it again.
func (l *live) write(s string) {
	if s != "" {
		_, _ = io.WriteString(l.out, "\x1b[?25l"+s+"\x1b[?25h")
	}
}

// visible counts the columns of a rendered line: without its colours.
func visible(s string) int {
	n := 0
	for len(s) > 0 {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return n + cells(s)
		}
		n += cells(s[:i])
		s = s[i:]
		end := strings.IndexByte(s, 'm')
		if end < 0 {
			return n
		}
		s = s[end+1:]
	}
	return n
}
