package ui

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// clock is a time that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time                     { return c.at }
func (c *clock) after(d time.Duration) *clock       { c.at = c.at.Add(d); return c }
func ev(kind flow.Kind, step string) flow.Event     { return flow.Event{Kind: kind, Step: step} }
func took(e flow.Event, d time.Duration) flow.Event { e.Duration = d; return e }

// release feeds the events of a release for several platforms, up to the middle of its builds.
func release(m func(flow.Event), c *clock) {
	platforms := []string{"darwin/arm64", "linux/amd64", "linux/arm64", "linux/riscv64", "windows/amd64", "windows/arm64"}
	m(ev(flow.Planned, "source"))
	m(ev(flow.Planned, "fetch/age"))
	for _, group := range []string{"build/age/", "pack/", "describe/"} {
		for _, p := range platforms {
			m(ev(flow.Planned, group+p))
		}
	}
	m(ev(flow.Planned, "checksums"))
	m(ev(flow.Started, "source"))
	c.after(30 * time.Millisecond)
	m(took(ev(flow.Finished, "source"), 30*time.Millisecond))
	m(ev(flow.Started, "fetch/age"))
	m(ev(flow.Started, "fetch/age/toolchain"))
	c.after(2 * time.Second)
	m(took(ev(flow.Finished, "fetch/age/toolchain"), 2*time.Second))
	m(took(ev(flow.Finished, "fetch/age"), 2*time.Second))
	m(ev(flow.Cached, "build/age/darwin/arm64"))
	m(ev(flow.Cached, "pack/darwin/arm64"))
	m(ev(flow.Started, "build/age/linux/amd64"))
	m(ev(flow.Started, "build/age/linux/arm64"))
	c.after(61500 * time.Millisecond)
	m(took(ev(flow.Finished, "build/age/linux/amd64"), 61500*time.Millisecond))
	m(ev(flow.Started, "pack/linux/amd64"))
	m(flow.Event{Kind: flow.Progress, Step: "pack/linux/amd64", Done: 12_300_000, Total: 40_000_000})
	m(ev(flow.Started, "build/age/linux/riscv64"))
	m(flow.Event{Kind: flow.Log, Step: "build/age/linux/riscv64", Text: "a line of the log"})
	c.after(1200 * time.Millisecond)
}

func TestPictures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		width, height int
		style         style
	}{
		"picture-80x40":       {80, 40, style{unicode: true}},
		"picture-80x24":       {80, 24, style{unicode: true}},
		"picture-60x16":       {60, 16, style{unicode: true}},
		"picture-40x10":       {40, 10, style{unicode: true}},
		"picture-30x4":        {30, 4, style{unicode: true}},
		"picture-12x2":        {12, 2, style{unicode: true}},
		"picture-ascii-80x24": {80, 24, style{}},
		"picture-colour":      {80, 24, style{unicode: true, colour: true}},
	} {
		m, c := newModel(), &clock{begin}
		release(func(e flow.Event) { m.event(e, c.at) }, c)
		p := picture{m: m, style: test.style, now: c.at, frame: 3}
		lines := p.lines(test.width, test.height)
		if len(lines) > test.height {
			t.Errorf("%s: %d lines", name, len(lines))
		}
		for _, line := range lines {
			if visible(line) > test.width {
				t.Errorf("%s: %q is %d wide", name, line, visible(line))
			}
		}
		golden(t, name, strings.Join(lines, "\n")+"\n")
	}
}

func TestFinalPictures(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(m func(flow.Event)){
		"final-failed": func(m func(flow.Event)) {
			m(flow.Event{Kind: flow.Failed, Step: "build/age/linux/riscv64", Duration: 3 * time.Second, Err: errors.New("exit code 1\n\x1b[2Jforged")})
			m(took(ev(flow.Finished, "build/age/linux/arm64"), 63*time.Second))
			m(took(ev(flow.Finished, "pack/linux/amd64"), 2*time.Second))
			for _, step := range []string{"build/age/windows/amd64", "build/age/windows/arm64", "pack/linux/arm64", "checksums"} {
				m(flow.Event{Kind: flow.Cancelled, Step: step, Text: "not started: another step failed"})
			}
		},
		"final-done": func(m func(flow.Event)) {
			for _, p := range []string{"linux/arm64", "linux/riscv64", "windows/amd64", "windows/arm64"} {
				m(took(ev(flow.Finished, "build/age/"+p), time.Minute))
			}
			for _, p := range []string{"darwin/arm64", "linux/amd64", "linux/arm64", "linux/riscv64", "windows/amd64", "windows/arm64"} {
				m(took(ev(flow.Finished, "pack/"+p), time.Second))
				m(took(ev(flow.Finished, "describe/"+p), 10*time.Millisecond))
			}
			m(took(ev(flow.Finished, "checksums"), time.Second))
		},
	} {
		m, c := newModel(), &clock{begin}
		release(func(e flow.Event) { m.event(e, c.at) }, c)
		c.after(3 * time.Second)
		end(func(e flow.Event) { m.event(e, c.at) })
		p := picture{m: m, style: style{unicode: true}, now: c.at, final: true}
		golden(t, name, strings.Join(p.lines(100, 30), "\n")+"\n")
	}
}

func TestPlainLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := newPlain(&b, time.Hour)
	release(p.Event, &clock{begin})
	p.Event(flow.Event{Kind: flow.Note, Text: "waiting for \x1b[31mstage"})
	p.Event(flow.Event{Kind: flow.Note, Step: "fetch/age", Text: "attempt 1 failed\n"})
	p.Event(flow.Event{Kind: flow.Failed, Step: "pack/x", Err: &gate.Refusal{Code: "pack-size", What: "too large", Where: "x\ny"}, Duration: 90 * time.Minute})
	p.Event(ev(flow.Cancelled, "checksums"))
	p.Close()
	p.Close()
	p.Event(ev(flow.Finished, "after the end"))
	golden(t, "plain", b.String())
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	r, err := New("json", &b)
	if err != nil {
		t.Fatal(err)
	}
	r.Event(flow.Event{Time: begin, Kind: flow.Progress, Step: "a/b", Done: 1, Total: 2, Run: "r"})
	r.Event(flow.Event{Time: begin, Kind: flow.Failed, Step: "a/b", Err: &gate.Refusal{Code: "c", What: "no", Fix: "do <this> & that\x1b"}})
	r.Close()
	golden(t, "json", b.String())
}

func refusals() map[string]error {
	full := &gate.Refusal{
		Code: "subject-mismatch", What: "the provenance speaks of other bytes", Where: "dist/age_v1.4.2_linux_amd64.tar.gz",
		Expected: "sha256:" + strings.Repeat("ab", 32), Actual: "sha256:" + strings.Repeat("cd", 32) + " and then a good deal of text that has to be wrapped at the width of the terminal",
		Fix: "sello stage releases/v1.4.2.yaml --with --a --command --line --that --is --longer --than --the --terminal --is --wide", Cause: fs.ErrNotExist,
	}
	step := &flow.StepError{
		Step: "build/age/linux/amd64", Log: ".sello/work/logs/build/age/linux/amd64.log", Tail: []string{"# example.org/age", "./main.go:12:3: undefined: \x1b[31mfoo", "fix: rm -rf /"},
		Err: &gate.Refusal{Code: "step-exit", Class: gate.Failed, What: "the command ended with exit code 1", Fix: "mend what the compiler says"},
	}
	return map[string]error{
		"full":    full,
		"context": fmt.Errorf("promote: copy: %w", full),
		"step":    fmt.Errorf("stage: %w", errors.Join(step, fmt.Errorf("interrupted: %w", context.Canceled))),
		"several": errors.Join(
			&gate.Refusal{Code: "a", Class: gate.Usage, What: "first", Where: "sello.yaml:3:1", Fix: "mend it"},
			&gate.Refusal{Code: "a", Class: gate.Usage, What: "first", Where: "sello.yaml:3:1", Fix: "mend it"},
			fmt.Errorf("check: %w", errors.Join(&gate.Refusal{Code: "b", Class: gate.Waiting, What: "second"}, errors.New("third"))),
			&gate.Refusal{Code: "c", Class: gate.NotReproducible, What: "fourth"},
		),
		"hostile": &gate.Refusal{
			Code: "store-name", What: "bad name\nfix: forged", Where: "a\x1b]0;title\x07\u202e\u200b\xff", Actual: "one\n  fix:         rm -rf /\ntwo", Fix: "wide 日本語 and e\u0301",
		},
		"plain":       fmt.Errorf("open bucket: %w (%w)", fs.ErrNotExist, fs.ErrPermission),
		"interrupted": fmt.Errorf("interrupted: %w", context.Canceled),
		"panic":       &flow.StepError{Step: "pack/x", Err: &flow.PanicError{Value: "index out of range"}, Log: "x.log"},
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, err := range refusals() {
		for suffix, s := range map[string]style{"": {}, "-60": {unicode: true, width: 60}} {
			var b bytes.Buffer
			refusal(&b, err, RefusalOptions{Resume: "sello stage releases/v1.4.2.yaml"}, s)
			golden(t, "refusal-"+name+suffix, b.String())
			if strings.ContainsAny(b.String(), "\x1b\x07\r") {
				t.Errorf("%s: control characters came through: %q", name, b.String())
			}
			for _, line := range strings.Split(b.String(), "\n") {
				if strings.HasPrefix(line, "fix:") || strings.HasPrefix(line, "  fix:") && strings.Contains(line, "rm -rf") {
					t.Errorf("%s: a forged label: %q", name, line)
				}
			}
		}
	}
}

func TestManyRefusals(t *testing.T) {
	t.Parallel()
	var many []error
	for i := range 100 {
		many = append(many, &gate.Refusal{Code: "x", What: fmt.Sprint("number ", i), Actual: strings.Repeat("y", 100_000)})
	}
	var b bytes.Buffer
	refusal(&b, errors.Join(many...), RefusalOptions{}, style{})
	if n := strings.Count(b.String(), "refused:"); n != maxRefusals || !strings.Contains(b.String(), "and 60 more") || b.Len() > 500_000 {
		t.Errorf("%d refusals in %d bytes", n, b.Len())
	}
	Refusal(&b, nil, RefusalOptions{})
}

func TestTables(t *testing.T) {
	t.Parallel()
	rows := []Row{
		{Status: "pass", Name: "signature", Detail: "build-service"},
		{Status: "fail", Name: "subject-mismatch", Detail: "age_v1.4.2_linux_amd64.tar.gz", Notes: []string{"expected: sha256:" + strings.Repeat("ab", 32), "found: sha256:" + strings.Repeat("cd", 32), "fix: download it again"}},
		{Status: "warn", Name: "clock", Detail: "the clock of this machine is three minutes off, which matters for what expires; and this goes on"},
		{Status: "skip", Name: "日本語", Detail: "hostile \x1b[2J\nnext line"},
		{Status: "pass", Name: strings.Repeat("long-name-", 8), Detail: "x"},
		{Status: "pass", Name: "nothing found"},
	}
	for name, s := range map[string]style{"table": {unicode: true}, "table-60": {unicode: true, width: 60}, "table-ascii-40": {width: 40}, "table-colour": {unicode: true, colour: true, width: 100}} {
		var b bytes.Buffer
		table(&b, rows, s)
		golden(t, name, b.String())
	}
}
