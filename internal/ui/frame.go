package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/flow"
)

// line is one line of a picture of the tree, before it is cut to the terminal's width.
type line struct {
	depth  int
	mark   string
	colour string
	label  string
	detail string
}

// render gives the line with colours, at most width columns wide.
func (l line) render(s style, width int) string {
	indent := strings.Repeat("  ", l.depth)
	room := max(width-cells(indent)-cells(l.mark)-1, 0)
	label := cut(l.label, room, s.ellipsis())
	room -= cells(label) + 2
	out := indent + s.paint(l.colour, l.mark) + " " + label
	if detail := cut(l.detail, room, s.ellipsis()); detail != "" {
		if l.colour == red {
			return out + "  " + detail
		}
		return out + "  " + s.paint(dim, detail)
	}
	return strings.TrimRight(out, " ")
}

// How much of the tree a picture leaves out, one after the other until it fits.
const (
	showAll      = iota
	foldDone     // folders in which everything is done are one line
	hideWaiting  // steps that have not started are only counted
	hideDone     // so are steps that are done, in folders where something runs
	onlyRunning  // no folders: what runs and what failed, by its whole name
	levels       = onlyRunning + 1
	parts        = 4 // running parts of one step that are shown
	summaryLines = 1
)

// picture draws a model for one moment.
type picture struct {
	m     *model
	style style
	now   time.Time
	frame int64 // counts redraws, for the spinner
	final bool  // nothing runs any more
}

// lines gives the picture at the first level at which it has at most height lines; the last level is cut. A
// final picture is never cut: it may scroll.
func (p picture) lines(width, height int) []string {
	if len(p.m.root.children) == 0 {
		return nil
	}
	height = max(height-summaryLines, 1)
	var all []line
	for level := showAll; level < levels; level++ {
		if p.final && level < foldDone {
			continue
		}
		all = p.tree(level)
		if len(all) <= height || p.final && level == hideDone {
			break
		}
	}
	if more := len(all) - height; more > 0 && !p.final {
		keep := max(height-1, 0)
		all = append(all[:keep:keep], line{mark: " ", label: fmt.Sprintf("and %d more", len(all)-keep)})
	}
	out := make([]string, 0, len(all)+summaryLines)
	for _, l := range all {
		out = append(out, l.render(p.style, width))
	}
	return append(out, cut(p.summary(), width, p.style.ellipsis()))
}

func (p picture) tree(level int) []line {
	var out []line
	for _, c := range p.m.root.children {
		if level == onlyRunning {
			p.flat(c, "", &out)
		} else {
			p.add(c, 0, level, &out)
		}
	}
	return out
}

// add draws one item and what is below it.
func (p picture) add(it *item, depth, level int, out *[]line) {
	label := it.label
	for !it.step && len(it.children) == 1 { // a folder with one thing in it is no line of its own
		it = it.children[0]
		label += "/" + it.label
	}
	if it.step {
		p.addStep(it, label, depth, level, out)
		return
	}
	var t tally
	it.count(&t)
	kind := t.kind()
	if level >= hideWaiting && kind == flow.Planned {
		return
	}
	mark, colour := p.markFor(kind)
	*out = append(*out, line{depth: depth, mark: mark, colour: colour, label: label, detail: p.folderDetail(t, kind)})
	folded := kind == flow.Finished || kind == flow.Cached || p.final && kind != flow.Failed
	if level >= foldDone && folded {
		return
	}
	for _, c := range it.children {
		p.add(c, depth+1, level, out)
	}
}

func (p picture) addStep(it *item, label string, depth, level int, out *[]line) {
	over := it.kind == flow.Finished || it.kind == flow.Cached || it.kind == flow.Cancelled
	if level >= hideWaiting && it.kind == flow.Planned || level >= hideDone && over && (depth > 0 || !p.final) {
		return
	}
	mark, colour := p.markFor(it.kind)
	*out = append(*out, line{depth: depth, mark: mark, colour: colour, label: label, detail: p.stepDetail(it)})
	shown := 0
	for _, c := range it.children {
		if c.announced {
			p.add(c, depth+1, level, out)
			continue
		}
		// Parts are of interest while they run; of those that are over, only failed ones.
		var t tally
		c.count(&t)
		if k := t.kind(); it.kind != flow.Finished && (k == flow.Started || k == flow.Failed) && shown < parts {
			p.add(c, depth+1, hideDone, out)
			shown++
		}
	}
}

// flat draws what runs and what failed, by whole names.
func (p picture) flat(it *item, prefix string, out *[]line) {
	name := prefix + it.label
	if it.step && (it.kind == flow.Started || it.kind == flow.Failed) {
		mark, colour := p.markFor(it.kind)
		*out = append(*out, line{mark: mark, colour: colour, label: name, detail: p.stepDetail(it)})
	}
	for _, c := range it.children {
		if !it.step || c.announced {
			p.flat(c, name+"/", out)
		}
	}
}

func (p picture) markFor(kind flow.Kind) (mark, colour string) {
	switch {
	case kind != flow.Started:
		return p.style.mark(kind)
	case p.final: // it began and did not end
		return p.style.mark(flow.Cancelled)
	}
	return p.style.spinner(p.frame), cyan
}

func (p picture) stepDetail(it *item) string {
	switch it.kind {
	case flow.Started:
		return join("  ", elapsed(p.now.Sub(it.start)), progress(it.done, it.total))
	case flow.Cached:
		return "done before"
	case flow.Failed:
		return join("  ", elapsed(it.took), it.text)
	case flow.Cancelled:
		return it.text
	case flow.Finished:
		return elapsed(it.took)
	}
	return ""
}

// progress gives amounts: "1.2 MB of 4.0 MB, 30%".
func progress(done, total int64) string {
	switch {
	case total > 0:
		return fmt.Sprintf("%s of %s, %d%%", bytesText(done), bytesText(total), 100*min(done, total)/total)
	case done > 0:
		return bytesText(done)
	}
	return ""
}

func (p picture) folderDetail(t tally, kind flow.Kind) string {
	count := fmt.Sprintf("%d/%d", t.done+t.cached, t.steps)
	if kind == flow.Finished || kind == flow.Cached {
		count = fmt.Sprintf("%d steps", t.steps)
	}
	cached := ""
	if t.cached > 0 {
		cached = fmt.Sprintf("%d done before", t.cached)
	}
	took := ""
	if !t.first.IsZero() && t.last.After(t.first) && t.running == 0 {
		took = elapsed(t.last.Sub(t.first))
	}
	return join("  ", count, took, cached)
}

// summary is the line below the tree.
func (p picture) summary() string {
	var t tally
	p.m.root.count(&t)
	words := []string{fmt.Sprintf("%d of %d steps done", t.done+t.cached, t.steps)}
	add := func(n int, word string) {
		if n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, word))
		}
	}
	if !p.final {
		add(t.running, "running")
	}
	add(t.cached, "done before")
	add(t.failed, "failed")
	add(t.cancelled, "not done")
	if took := elapsed(p.now.Sub(p.m.start)); took != "" {
		words = append(words, took)
	}
	return strings.Join(words, ", ")
}

// join joins what is not empty.
func join(sep string, parts ...string) string {
	var some []string
	for _, s := range parts {
		if s != "" {
			some = append(some, s)
		}
	}
	return strings.Join(some, sep)
}
