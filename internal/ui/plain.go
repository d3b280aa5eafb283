package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/flow"
)

// heartbeat is how long the plain rendering stays silent while something runs: services
// that run builds end those that say nothing for some minutes.
const heartbeat = 30 * time.Second

// plain writes a line when a step ends, for notes, and now and then for what runs long.
type plain struct {
	style style

	mu      sync.Mutex
	out     io.Writer
	running map[string]time.Time
	order   []string // running steps, oldest first
	spoke   time.Time
	closed  bool
	stop    chan struct{}
}

func newPlain(out io.Writer, every time.Duration) *plain {
	p := &plain{out: out, running: map[string]time.Time{}, spoke: time.Now(), stop: make(chan struct{})}
	go func() {
		tick := time.NewTicker(every / 4)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case now := <-tick.C:
				p.beat(now, every)
			}
		}
	}()
	return p
}

// beat names the step that runs longest, after a silence.
func (p *plain) beat(now time.Time, every time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.order) == 0 || now.Sub(p.spoke) < every {
		return
	}
	text := fmt.Sprintf("   %s: running for %s", Escape(p.order[0]), elapsed(now.Sub(p.running[p.order[0]])))
	if n := len(p.order) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	p.say(text)
}

func (p *plain) say(line string) {
	fmt.Fprintln(p.out, line)
	p.spoke = time.Now()
}

// Event implements flow.Sink.
func (p *plain) Event(e flow.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	switch e.Kind {
	case flow.Started:
		if _, ok := p.running[e.Step]; !ok {
			p.order = append(p.order, e.Step)
		}
		p.running[e.Step] = time.Now()
	case flow.Finished, flow.Failed, flow.Cancelled:
		delete(p.running, e.Step)
		for i, step := range p.order {
			if step == e.Step {
				p.order = append(p.order[:i], p.order[i+1:]...)
				break
			}
		}
	}
	if line := endLine(e, p.style); line != "" {
		p.say(line)
	}
}

// Close implements Renderer.
func (p *plain) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.stop)
	}
}

// endLine gives the line that stays after an event, or "".
func endLine(e flow.Event, s style) string {
	mark, colour := s.mark(e.Kind)
	line := s.paint(colour, mark) + " " + Escape(e.Step)
	switch e.Kind {
	case flow.Finished, flow.Failed:
		if took := elapsed(e.Duration); took != "" {
			line += "  " + took
		}
		if e.Err != nil {
			line += ": " + Escape(oneLine(e.Err))
		}
		return line
	case flow.Cached:
		return line + " (done before)"
	case flow.Cancelled:
		return line + " (not done)"
	case flow.Note:
		return noteLine(e)
	}
	return ""
}

func noteLine(e flow.Event) string {
	if e.Step == "" {
		return "   " + Escape(e.Text)
	}
	return "   " + Escape(e.Step) + ": " + Escape(strings.TrimSpace(e.Text))
}
