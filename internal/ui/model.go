package ui

import (
	"strings"
	"time"

	"github.com/sello-release/sello/internal/flow"
)

// item is a step, or a folder of steps, in the tree.
type item struct {
	label     string // its part of the name
	step      bool   // it has events of its own
	announced bool   // it was planned as a step of its own
	children  []*item

	kind        flow.Kind // Planned, Started (running) or how it ended
	began       bool
	start, end  time.Time
	took        time.Duration
	done, total int64
	text        string // why it failed, or was not done
}

// model is what the events said so far.
type model struct {
	root  item
	start time.Time
	index map[string]*item
}

func newModel() *model { return &model{index: map[string]*item{}} }

// find gives the item for a step, and makes it and the folders above it if need be.
func (m *model) find(step string) *item {
	if it, ok := m.index[step]; ok {
		return it
	}
	parent := &m.root
	label := step
	if i := strings.LastIndexByte(step, '/'); i >= 0 {
		parent, label = m.find(step[:i]), step[i+1:]
	}
	it := &item{label: Escape(label), kind: flow.Planned}
	parent.children = append(parent.children, it)
	m.index[step] = it
	return it
}

// event takes one event in. Times are of this process: now.
func (m *model) event(e flow.Event, now time.Time) {
	if e.Step == "" || e.Kind == flow.Log || e.Kind == flow.Note {
		return
	}
	if m.start.IsZero() {
		m.start = now
	}
	it := m.find(e.Step)
	it.step = true
	switch e.Kind {
	case flow.Planned:
		*it = item{label: it.label, step: true, announced: true, children: it.children, kind: flow.Planned}
	case flow.Started:
		it.kind, it.start, it.began, it.text = flow.Started, now, true, ""
	case flow.Progress:
		it.done, it.total = e.Done, e.Total
	default:
		it.kind, it.end, it.took, it.text = e.Kind, now, e.Duration, Escape(e.Text)
		if e.Err != nil {
			it.text = Escape(oneLine(e.Err))
		}
	}
}

// tally counts the steps of a part of the tree.
type tally struct {
	steps, done, cached, failed, running, cancelled int
	first, last                                     time.Time // of those that began
}

// ended is how many are over, in whatever way.
func (t tally) ended() int { return t.done + t.cached + t.failed + t.cancelled }

// kind is the state of a folder, by what is in it.
func (t tally) kind() flow.Kind {
	switch {
	case t.failed > 0:
		return flow.Failed
	case t.running > 0, t.ended() > 0 && t.ended() < t.steps:
		return flow.Started
	case t.ended() == 0:
		return flow.Planned
	case t.cancelled > 0:
		return flow.Cancelled
	case t.cached == t.steps:
		return flow.Cached
	}
	return flow.Finished
}

// count adds up it and what is below; the parts of a step are not counted.
func (it *item) count(t *tally) {
	if !it.step {
		for _, c := range it.children {
			c.count(t)
		}
		return
	}
	t.steps++
	switch it.kind {
	case flow.Started:
		t.running++
	case flow.Finished:
		t.done++
	case flow.Cached:
		t.cached++
	case flow.Failed:
		t.failed++
	case flow.Cancelled:
		t.cancelled++
	}
	if it.began {
		if t.first.IsZero() || it.start.Before(t.first) {
			t.first = it.start
		}
		if it.end.After(t.last) {
			t.last = it.end
		}
	}
	for _, c := range it.children {
		if c.announced { // a step of its own, and not a part of this one
			c.count(t)
		}
	}
}
