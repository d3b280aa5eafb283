// Testsum reads `go test -json` and prints a line a package, the whole output of
// what failed, the reason of each skip, and the counts as its last line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func main() {
	output := map[string][]string{}
	counts := map[string]int{}
	var failures, skips, broken []string
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text())
			continue
		}
		id := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			output[id] = append(output[id], e.Output)
		case "build-output":
			output[e.ImportPath] = append(output[e.ImportPath], e.Output)
		case "build-fail":
			broken = append(broken, strings.Join(output[e.ImportPath], ""))
		case "pass", "fail", "skip":
			if e.Test == "" {
				fmt.Printf("%-5s %6.1fs %s\n", e.Action, e.Elapsed, e.Package)
				if e.Action == "fail" {
					broken = append(broken, strings.Join(output[id], ""))
				}
				continue
			}
			counts[e.Action]++
			switch e.Action {
			case "fail":
				failures = append(failures, id)
			case "skip":
				skips = append(skips, id)
			}
			if e.Action != "fail" && e.Action != "skip" {
				delete(output, id)
			}
		}
	}
	report(output, failures, skips, broken)
	fmt.Printf("%d passed, %d failed, %d skipped\n", counts["pass"], counts["fail"], counts["skip"])
	if counts["fail"] > 0 || len(broken) > 0 || counts["pass"] == 0 {
		os.Exit(1)
	}
}

func report(output map[string][]string, failures, skips, broken []string) {
	sort.Strings(skips)
	for _, id := range skips {
		fmt.Printf("skipped %s: %s\n", id, reason(output[id]))
	}
	for _, text := range broken {
		fmt.Print(text)
	}
	for _, id := range failures {
		fmt.Printf("\n--- failed: %s\n%s", id, strings.Join(output[id], ""))
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
