package flow_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
)

// starred replaces a secret.
type starred struct{ w io.Writer }

func (s starred) Write(p []byte) (int, error) {
	_, err := io.WriteString(s.w, strings.ReplaceAll(string(p), "hunter2", "***"))
	return len(p), err
}

func TestFilterKeepsSecretsOutOfEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.jsonl")
	g := flow.New()
	flow.Add(g, flow.Step[int]{Name: "s", Run: func(_ context.Context, r *flow.Run) (int, error) {
		fmt.Fprintln(r.Log(), "token hunter2")
		r.Note("note hunter2")
		_ = r.Part("p", func(*flow.Run) error { return errors.New("part hunter2") })
		return 0, &gate.Refusal{Code: "denied", What: "no", Actual: "hunter2"}
	}})
	rec := &recorder{}
	_, err := g.Run(context.Background(), flow.Options{
		Journal: journal(t, path), Sink: rec, LogDir: dir, Filter: func(w io.Writer) io.Writer { return starred{w} },
	})
	var step *flow.StepError
	if !errors.As(err, &step) || gate.Code(err) != "denied" {
		t.Fatal(err)
	}
	log, _ := os.ReadFile(step.Log)
	lines, _ := os.ReadFile(path)
	seen := fmt.Sprintf("%v %q %s %s %+v", err, step.Tail, log, lines, rec.events)
	if strings.Contains(seen, "hunter2") || strings.Count(seen, "***") < 6 {
		t.Errorf("seen: %s", seen)
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	g := flow.New()
	flow.Add(g, flow.Step[int]{Name: "upload", Run: func(_ context.Context, r *flow.Run) (int, error) {
		if err := r.Part("../x", func(*flow.Run) error { return nil }); err == nil {
			t.Error("a part's name climbs")
		}
		return 1, r.Part("file", func(r *flow.Run) error {
			for i := range int64(1000) {
				r.Progress(i+1, 1000)
			}
			return nil
		})
	}})
	rec := &recorder{}
	if _, err := g.Run(context.Background(), flow.Options{Sink: rec}); err != nil {
		t.Fatal(err)
	}
	want := []string{"started upload", "started upload/file", "finished upload/file", "finished upload"}
	if diff := cmp.Diff(want, rec.kinds(flow.Started, flow.Finished)); diff != "" {
		t.Error(diff)
	}
	var last flow.Event
	for _, e := range rec.events {
		if e.Kind == flow.Progress {
			last = e
		}
	}
	if n := len(rec.kinds(flow.Progress)); n < 2 || n > 20 || last.Done != 1000 || last.Step != "upload/file" {
		t.Errorf("%d progress events, the last %+v", n, last)
	}
}

func TestLogsAreConfinedAndKeptApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(outside, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "s.log")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	g := flow.New()
	for _, name := range []string{"s", "away/precious", "a b", "a%20b", "long"} {
		flow.Add(g, flow.Step[int]{Name: name, Run: func(_ context.Context, r *flow.Run) (int, error) {
			fmt.Fprintln(r.Log(), name)
			if name == "long" {
				fmt.Fprintln(r.Log(), strings.Repeat("x", 100_000))
			}
			return 1, nil
		}})
	}
	rec := &recorder{}
	if _, err := g.Run(context.Background(), flow.Options{LogDir: dir, Sink: rec}); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(outside)); len(entries) != 1 {
		t.Errorf("written outside: %v", entries)
	}
	for path, want := range map[string]string{outside: "precious", filepath.Join(dir, "s.log"): "s\n", filepath.Join(dir, "a%20b.log"): "a b\n", filepath.Join(dir, "a%2520b.log"): "a%20b\n"} {
		if data, err := os.ReadFile(path); string(data) != want {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	for _, e := range rec.events {
		if len(e.Text) > 5000 {
			t.Errorf("an event has a text of %d bytes", len(e.Text))
		}
	}
}

func TestEventJSONIsStable(t *testing.T) {
	t.Parallel()
	e := flow.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("x", 3600)), Run: "r", Step: "a/b", Kind: flow.Failed, Duration: 1234567 * time.Microsecond,
		Err: fmt.Errorf("wrapped: %w", &gate.Refusal{Code: "c", What: "w", Where: "h", Expected: "e", Actual: "a", Fix: "f"}), Attrs: map[string]string{"log": "l"},
	}
	got, err := e.MarshalJSON()
	want := `{"time":"2026-01-02T02:04:05Z","run":"r","step":"a/b","kind":"failed","seconds":1.234,"error":"wrapped: h: w: expected e, found a [c]","code":"c","where":"h","expected":"e","actual":"a","fix":"f","attrs":{"log":"l"}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}
