package ui

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/flow"
)

// vt is as much of a terminal as the tree needs: it scrolls, wraps, and wraps again what it shows when it is resized.
type vt struct {
	width, height int
	rows          []string // from the beginning of the scrollback
	wrapped       []bool   // by row: it goes on in the next
	row, col      int
	hidden        bool
	writes        int
	unknown       []string
}

func newVT(width, height int) *vt {
	return &vt{width: width, height: height, rows: []string{""}, wrapped: []bool{false}}
}

func (v *vt) Write(p []byte) (int, error) {
	v.writes++
	s := string(p)
	for s != "" {
		if strings.HasPrefix(s, "\x1b[") {
			end := strings.IndexFunc(s[2:], func(r rune) bool { return r >= '@' && r <= '~' }) + 3
			v.escape(s[2:end])
			s = s[end:]
			continue
		}
		r := []rune(s[:min(len(s), 4)])[0]
		s = s[len(string(r)):]
		v.put(r)
	}
	return len(p), nil
}

func (v *vt) put(r rune) {
	switch r {
	case '\r':
		v.col = 0
		return
	case '\n':
		v.down()
		return
	}
	if v.col == v.width {
		v.wrapped[v.row] = true
		v.down()
		v.col = 0
	}
	line := []rune(v.rows[v.row])
	for len(line) <= v.col {
		line = append(line, ' ')
	}
	line[v.col] = r
	v.rows[v.row] = string(line)
	v.col++
}

func (v *vt) down() {
	v.row++
	if v.row == len(v.rows) {
		v.rows, v.wrapped = append(v.rows, ""), append(v.wrapped, false)
	}
}

// top is the first row on the screen.
func (v *vt) top() int { return max(len(v.rows)-v.height, 0) }

func (v *vt) escape(code string) {
	n, _ := strconv.Atoi(code[:len(code)-1])
	switch {
	case code == "?25l":
		v.hidden = true
	case code == "?25h":
		v.hidden = false
	case strings.HasSuffix(code, "A"):
		v.row = max(v.row-max(n, 1), v.top())
	case code == "J":
		v.rows, v.wrapped = v.rows[:v.row+1], v.wrapped[:v.row+1]
		v.rows[v.row] = string([]rune(v.rows[v.row])[:min(v.col, len([]rune(v.rows[v.row])))])
	case code == "K":
		v.rows[v.row], v.wrapped[v.row] = string([]rune(v.rows[v.row])[:min(v.col, len([]rune(v.rows[v.row])))]), false
	case strings.HasSuffix(code, "m"):
	default:
		v.unknown = append(v.unknown, code)
	}
}

// resize wraps everything anew, as terminals do. The cursor stands on an empty last line.
func (v *vt) resize(width, height int) {
	var logical []string
	joined := ""
	for i, row := range v.rows[:v.row] {
		joined += row
		if !v.wrapped[i] {
			logical = append(logical, joined)
			joined = ""
		}
	}
	v.width, v.height, v.rows, v.wrapped = width, height, nil, nil
	for _, line := range logical {
		r := []rune(line)
		for len(r) > width {
			v.rows, v.wrapped = append(v.rows, string(r[:width])), append(v.wrapped, true)
			r = r[width:]
		}
		v.rows, v.wrapped = append(v.rows, string(r)), append(v.wrapped, false)
	}
	v.rows, v.wrapped = append(v.rows, ""), append(v.wrapped, false)
	v.row, v.col = len(v.rows)-1, 0
}

func (v *vt) text() string { return strings.TrimRight(strings.Join(v.rows, "\n"), "\n") + "\n" }

func manual(v *vt, c *clock) *live {
	return newLive(v, screen{style: style{unicode: true, colour: true}, size: func() (int, int) { return v.width, v.height }, now: c.now})
}

func (l *live) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == 0 {
		l.draw(false)
	}
}

// What was on the screen before stays, and whatever was drawn in between, only notes and the end state are left.
func TestLiveTreeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	v, c := newVT(70, 12), &clock{begin}
	fmt.Fprint(v, "$ sello stage\r\n")
	l := manual(v, c)
	release(func(e flow.Event) {
		l.Event(e)
		l.tick()
		if v.hidden || v.row != len(v.rows)-1 || v.col != 0 {
			t.Fatalf("the cursor is at %d,%d of %d rows, hidden: %v", v.row, v.col, len(v.rows), v.hidden)
		}
		if len(v.rows) > v.height+1 { // the line of the prompt
			t.Fatalf("the picture has %d rows:\n%s", len(v.rows), v.text())
		}
	}, c)
	golden(t, "live-middle", v.text())
	l.Event(flow.Event{Kind: flow.Note, Text: "a note"})
	l.tick()
	for _, size := range [][2]int{{30, 12}, {100, 20}, {20, 6}, {70, 12}} {
		v.resize(size[0], size[1])
		l.tick()
		if strings.Count(v.text(), "steps done") > 1 && size[1] >= 12 {
			t.Errorf("at %v a picture was left behind:\n%s", size, v.text())
		}
	}
	for _, step := range []string{"build/age/linux/arm64", "build/age/linux/riscv64", "pack/linux/amd64"} {
		l.Event(flow.Event{Kind: flow.Cancelled, Step: step, Text: "interrupted"})
	}
	l.Close()
	l.Close()
	l.Event(ev(flow.Started, "after the end"))
	golden(t, "live-end", v.text())
	if v.hidden || len(v.unknown) > 0 {
		t.Errorf("cursor hidden: %v; unknown sequences %q", v.hidden, v.unknown)
	}
}

func TestPauseGivesTheTerminalAway(t *testing.T) {
	t.Parallel()
	v, c := newVT(60, 20), &clock{begin}
	l := manual(v, c)
	l.Event(ev(flow.Started, "attest"))
	l.tick()
	resume := Pause(l)
	if got := v.text(); got != "\n" {
		t.Errorf("while paused: %q", got)
	}
	fmt.Fprint(v, "passphrase: \r\n")
	l.Event(took(ev(flow.Finished, "attest"), time.Second))
	l.tick()
	resume()
	resume()
	l.tick()
	l.Close()
	if diff := cmp.Diff("passphrase: \n✓ attest  1.0s\n1 of 1 steps done\n", v.text()); diff != "" {
		t.Error(diff)
	}
	Pause(nobody{})()
}

// nobody receives events and does nothing.
type nobody struct{}

func (nobody) Event(flow.Event) {}

func TestNothingIsDrawnForNothing(t *testing.T) {
	t.Parallel()
	v := newVT(60, 20)
	l := manual(v, &clock{begin})
	l.Close()
	if v.text() != "\n" || v.writes != 0 {
		t.Errorf("%d writes: %q", v.writes, v.text())
	}
}

// lockedBuffer is a buffer for a renderer with a goroutine of its own.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	n  int
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestLiveTreeDrawsAtItsOwnPace(t *testing.T) {
	t.Parallel()
	var b lockedBuffer
	l := newLive(&b, screen{size: func() (int, int) { return 80, 24 }, now: time.Now, every: 20 * time.Millisecond})
	start := time.Now()
	events := 0
	for ; strings.Count(b.String(), "steps done") < 3 && time.Since(start) < 10*time.Second; events++ {
		l.Event(flow.Event{Kind: flow.Progress, Step: "s", Done: int64(events)})
		time.Sleep(100 * time.Microsecond)
	}
	l.Close()
	most := int(time.Since(start)/l.screen.every) + 2
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n < 4 || b.n > most || b.n >= events {
		t.Errorf("%d pictures of %d events, at most %d", b.n, events, most)
	}
}

func TestPlainSaysWhatRunsLong(t *testing.T) {
	t.Parallel()
	var b lockedBuffer
	p := newPlain(&b, 20*time.Millisecond)
	defer p.Close()
	p.Event(ev(flow.Started, "build/x"))
	p.Event(ev(flow.Started, "build/y"))
	for end := time.Now().Add(10 * time.Second); !strings.Contains(b.String(), "build/x: running for") && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	if !strings.Contains(b.String(), "and 1 more") {
		t.Errorf("said %q", b.String())
	}
}
