// Testsum reads `go test -json` and prints a line a package, the whole output of
// what failed, the reason of each skip, and the counts as its last line.
//
// With -complete, a test that was skipped for want of a program is a failure: one that is not installed, or a judge that
// SELLO_JUDGES=1 builds. What this machine or system cannot do, and published cases that are not there, are no failures.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func main() {
	complete := flag.Bool("complete", false, "fail when a test was skipped for want of a program")
	flag.Parse()
	if !sum(os.Stdin, os.Stdout, *complete) {
		os.Exit(1)
	}
}

// tests is what was read of them; ids are package and test.
type tests struct {
	output                  map[string][]string
	counts                  map[string]int
	failures, skips, broken []string
}

// sum prints what in says to out, and reports whether all is well.
func sum(from io.Reader, out io.Writer, complete bool) bool {
	t := &tests{output: map[string][]string{}, counts: map[string]int{}}
	in := bufio.NewScanner(from)
	in.Buffer(make([]byte, 1<<20), 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Fprintln(out, in.Text())
			continue
		}
		t.add(e, out)
	}
	t.report(out)
	lacking := t.lacking()
	for _, id := range lacking {
		fmt.Fprintf(out, "must not be skipped here: %s: %s\n", id, reason(t.output[id]))
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", t.counts["pass"], t.counts["fail"], t.counts["skip"])
	return t.counts["fail"] == 0 && len(t.broken) == 0 && t.counts["pass"] > 0 && (!complete || len(lacking) == 0) && in.Err() == nil
}

func (t *tests) add(e event, out io.Writer) {
	id := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		t.output[id] = append(t.output[id], e.Output)
	case "build-output":
		t.output[e.ImportPath] = append(t.output[e.ImportPath], e.Output)
	case "build-fail":
		t.broken = append(t.broken, strings.Join(t.output[e.ImportPath], ""))
	case "pass", "fail", "skip":
		t.end(e, id, out)
	}
}

func (t *tests) end(e event, id string, out io.Writer) {
	if e.Test == "" {
		fmt.Fprintf(out, "%-5s %6.1fs %s\n", e.Action, e.Elapsed, e.Package)
		if e.Action == "fail" {
			t.broken = append(t.broken, strings.Join(t.output[id], ""))
		}
		return
	}
	t.counts[e.Action]++
	switch e.Action {
	case "fail":
		t.failures = append(t.failures, id)
	case "skip":
		t.skips = append(t.skips, id)
	default:
		delete(t.output, id)
	}
}

// wants are what reasons say of a program that scripts/deps or SELLO_JUDGES=1 would have brought.
var wants = []string{"not installed", "is missing: apt-get", "set SELLO_JUDGES"}

// lacking gives the tests that were skipped for want of a program.
func (t *tests) lacking() (out []string) {
	for _, id := range t.skips {
		for _, want := range wants {
			if strings.Contains(reason(t.output[id]), want) {
				out = append(out, id)
				break
			}
		}
	}
	return out
}

func (t *tests) report(out io.Writer) {
	sort.Strings(t.skips)
	for _, id := range t.skips {
		fmt.Fprintf(out, "skipped %s: %s\n", id, reason(t.output[id]))
	}
	for _, text := range t.broken {
		fmt.Fprint(out, text)
	}
	for _, id := range t.failures {
		fmt.Fprintf(out, "\n--- failed: %s\n%s", id, strings.Join(t.output[id], ""))
	}
}

// reason picks the text that t.Skip was given.
func reason(lines []string) string {
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "=== ") && !strings.HasPrefix(l, "--- ") {
			return l
		}
	}
	return "no reason given"
}
