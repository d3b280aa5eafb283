package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// A document's commands stand in fenced blocks. In a console block they begin with "$ ", and what is below one is its
// output; a line that ends in a backslash goes on in the next. In an sh block each line is a command, and its output is not shown.
//
// A command's comment may say "exit code 4"; without one it has to succeed. In shown output a line … stands for any
// lines, and a … that ends a line for its rest.
//
// Comments in front of a block, or between blocks, speak to the test alone:
//
//	<!-- test: setup        commands to run here, in lines of their own, up to -->
//	<!-- test: skip WHY --> the next block is not run
//	<!-- test: needs X -->  the next block is run where the program X is there; X is SELLO_VECTORS for the published cases
type document struct {
	lines    []string
	commands []*command
	skipped  []string // why, for each block that is not run
}

// command is one command as it is typed, and what came of it.
type command struct {
	text     string
	line     int // where it begins, from 0
	from, to int // lines of the shown output
	shows    bool
	wantExit int

	ran  bool
	exit int
	out  []string
}

const ellipsis = "…"

var exitComment = regexp.MustCompile(`#.*\bexit code (\d+)`)

// parseDocument finds the commands. has says which programs are there.
func parseDocument(text string, has func(program string) bool) (*document, error) {
	d := &document{lines: strings.Split(text, "\n")}
	skip := ""
	for i := 0; i < len(d.lines); i++ {
		line := d.lines[i]
		if directive, ok := strings.CutPrefix(line, "<!-- test: "); ok {
			var err error
			if i, skip, err = d.directive(directive, i, has); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			continue
		}
		kind, ok := strings.CutPrefix(line, "```")
		if !ok {
			continue
		}
		end := i + 1
		for end < len(d.lines) && d.lines[end] != "```" {
			end++
		}
		if end == len(d.lines) {
			return nil, fmt.Errorf("line %d: the block does not end", i+1)
		}
		if kind == "console" || kind == "sh" {
			if skip != "" {
				d.skipped = append(d.skipped, fmt.Sprintf("line %d: %s", i+1, skip))
			} else if err := d.block(kind == "console", i+1, end); err != nil {
				return nil, err
			}
			skip = ""
		}
		i = end
	}
	return d, nil
}

// directive reads a comment for the test: it gives the line on which it ends, and why the next block is skipped, if it is.
func (d *document) directive(text string, i int, has func(string) bool) (end int, skip string, err error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(strings.TrimSuffix(text, "-->")), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case word == "setup":
		for end = i + 1; end < len(d.lines) && d.lines[end] != "-->"; end++ {
			d.commands = append(d.commands, &command{text: d.lines[end], line: end})
		}
		if end == len(d.lines) {
			return i, "", errors.New("the setup does not end")
		}
		return end, "", nil
	case word == "skip" && rest != "":
		return i, rest, nil
	case word == "needs" && rest != "" && has(rest):
		return i, "", nil
	case word == "needs" && rest != "":
		return i, rest + " is not installed here", nil
	}
	return i, "", fmt.Errorf("unknown or empty directive %q", text)
}

func (d *document) block(console bool, from, to int) error {
	for i := from; i < to; i++ {
		text := d.lines[i]
		if console {
			var ok bool
			if text, ok = strings.CutPrefix(text, "$ "); !ok {
				return fmt.Errorf("line %d: a console block begins with a command: $ …", i+1)
			}
		} else if strings.TrimSpace(text) == "" {
			continue
		}
		c := &command{text: text, line: i, shows: console}
		for strings.HasSuffix(d.lines[i], `\`) && i+1 < to {
			i++
			c.text += "\n" + d.lines[i]
		}
		if m := exitComment.FindStringSubmatch(c.text); m != nil {
			c.wantExit, _ = strconv.Atoi(m[1])
		}
		c.from, c.to = i+1, i+1
		for console && c.to < to && !strings.HasPrefix(d.lines[c.to], "$ ") {
			c.to++
		}
		if console {
			i = c.to - 1
		}
		d.commands = append(d.commands, c)
	}
	return nil
}

// run types all commands into one shell.
func (d *document) run(ctx context.Context, dir string, env []string) error {
	const mark = "\x1etranscript"
	var script strings.Builder
	for i, c := range d.commands {
		fmt.Fprintf(&script, "printf '%s begin %d\\n'\n%s\nprintf '\\n%s end %d %%d\\n' $?\n", mark, i, c.text, mark, i)
	}
	shell := exec.CommandContext(ctx, "bash", "-c", script.String())
	shell.Dir, shell.Env = dir, env
	out, err := shell.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	text := string(out)
	for i, c := range d.commands {
		_, rest, ok := strings.Cut(text, fmt.Sprintf("%s begin %d\n", mark, i))
		if !ok {
			continue
		}
		said, code, ok := strings.Cut(rest, fmt.Sprintf("\n%s end %d ", mark, i))
		if !ok {
			c.out = strings.Split(said, "\n")
			continue
		}
		code, _, _ = strings.Cut(code, "\n")
		if c.exit, err = strconv.Atoi(code); err != nil {
			return err
		}
		c.ran = true
		if said = strings.TrimSuffix(said, "\n"); said != "" {
			c.out = strings.Split(said, "\n")
		}
	}
	return ctx.Err()
}

// problems says what came otherwise than the document says.
func (d *document) problems() []string {
	var all []string
	for _, c := range d.commands {
		add := func(format string, args ...any) {
			all = append(all, fmt.Sprintf("line %d: $ %s\n%s", c.line+1, c.text, fmt.Sprintf(format, args...)))
		}
		switch shown := d.lines[c.from:c.to]; {
		case !c.ran:
			add("did not come to its end, or was not reached; it said:\n%s", strings.Join(c.out, "\n"))
			return all // what follows was not run
		case c.exit != c.wantExit:
			add("exit code %d, expected %d; it said:\n%s", c.exit, c.wantExit, strings.Join(c.out, "\n"))
		case c.shows && !matches(normal(shown), normal(c.out)):
			add("shown:\n%s\n\ncame:\n%s", strings.Join(shown, "\n"), strings.Join(c.out, "\n"))
		}
	}
	return all
}

// updated gives the document with the output that came, where it differs. Output that was trimmed in the middle stays so,
// with as many lines at both ends.
func (d *document) updated() (string, error) {
	lines := d.lines
	for i := len(d.commands) - 1; i >= 0; i-- { // from the end, so that numbers of lines before stay right
		c := d.commands[i]
		shown := lines[c.from:c.to]
		if !c.shows || !c.ran || matches(normal(shown), normal(c.out)) {
			continue
		}
		out, cuts := c.out, 0
		for at, line := range shown {
			if line != ellipsis {
				continue
			}
			if cuts++; cuts > 1 {
				return "", fmt.Errorf("line %d: the output is trimmed in several places: update it by hand", c.line+1)
			}
			if tail := len(shown) - at - 1; len(c.out) > at+tail {
				out = append(append(append([]string{}, c.out[:at]...), ellipsis), c.out[len(c.out)-tail:]...)
			}
		}
		lines = append(append(append([]string{}, lines[:c.from]...), out...), lines[c.to:]...)
	}
	return strings.Join(lines, "\n"), nil
}

// matches compares lines; … in what is shown stands for any.
func matches(shown, got []string) bool {
	if len(shown) == 0 {
		return len(got) == 0
	}
	if shown[0] == ellipsis {
		for i := 0; i <= len(got); i++ {
			if matches(shown[1:], got[i:]) {
				return true
			}
		}
		return false
	}
	if len(got) == 0 {
		return false
	}
	start, cut := strings.CutSuffix(shown[0], ellipsis)
	return (shown[0] == got[0] || cut && strings.HasPrefix(got[0], start)) && matches(shown[1:], got[1:])
}

// changing is what differs from run to run and from machine to machine.
var changing = []struct {
	form *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\bsha(256|512):[0-9a-f]{64,128}`), "sha$1:<digest>"},
	{regexp.MustCompile(`\b[0-9a-f]{40,128}\b`), "<digest>"},
	{regexp.MustCompile(`\+[0-9a-f]{8}\+[0-9A-Za-z+/=]{44}`), "+<key>"}, // C2SP signed-note
	{regexp.MustCompile(` [0-9A-Za-z+/]{43}=$`), " <root>"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "<id>"},
	{regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`), "SHA256:<key>"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d([ T]\d\d:\d\d:\d\dZ?)?`), "<time>"},
	{regexp.MustCompile(`\s+([0-9]+h)?([0-9]+m)?[0-9]+(\.[0-9]+)?m?s$`), ""}, // a duration; none is shown when it is short
	{regexp.MustCompile(`^(FAILED .*?)  ([0-9]+m)?[0-9]+(\.[0-9]+)?s: `), "$1: "},
	{regexp.MustCompile(`\b\d+(\.\d+)? ([KMGT]i)?B\b`), "<size>"},
	{regexp.MustCompile(`\b(git version |bubblewrap |go)\d+(\.\d+)+\S*`), "$1<version>"},
	{regexp.MustCompile(`\s+`), " "},
}

// normal replaces what changes by placeholders.
func normal(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		for _, c := range changing {
			line = c.form.ReplaceAllString(line, c.name)
		}
		out[i] = strings.TrimSpace(line)
	}
	return out
}
