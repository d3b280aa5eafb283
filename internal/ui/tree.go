package ui

import (
	"bufio"
	"fmt"
	"io"
)

// Branch is a line of a tree, with those below it.
type Branch struct {
	Text   string // what it is
	Detail string // said behind it, fainter
	Below  []*Branch
}

// Tree prints branches below each other, each with what is below it. Text from outside is escaped, and cut at the width of a terminal.
func Tree(w io.Writer, roots []*Branch) error { return tree(w, roots, styleFor(w)) }

func tree(w io.Writer, roots []*Branch, s style) error {
	out := bufio.NewWriter(w)
	t := &treeWriter{out: out, s: s, fork: s.pick("├─ ", "|- "), last: s.pick("└─ ", "`- "), bar: s.pick("│  ", "|  ")}
	for _, b := range roots {
		t.branch(b, "", "")
	}
	return out.Flush()
}

type treeWriter struct {
	out             *bufio.Writer
	s               style
	fork, last, bar string
}

// branch prints one branch: first stands before its own line, rest before those of what is below it.
func (t *treeWriter) branch(b *Branch, first, rest string) {
	text, detail := Escape(b.Text), Escape(b.Detail)
	if t.s.width > 0 {
		room := t.s.width - cells(first) - 1
		text = cut(text, max(room, 20), t.s.ellipsis())
		if room -= cells(text) + 2; room < 8 {
			detail = ""
		}
		detail = cut(detail, max(room, 0), t.s.ellipsis())
	}
	fmt.Fprint(t.out, first+text)
	if detail != "" {
		fmt.Fprint(t.out, "  "+t.s.paint(dim, detail))
	}
	fmt.Fprintln(t.out)
	for i, c := range b.Below {
		if i == len(b.Below)-1 {
			t.branch(c, rest+t.last, rest+"   ")
		} else {
			t.branch(c, rest+t.fork, rest+t.bar)
		}
	}
}
