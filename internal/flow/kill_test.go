package flow_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/flow"
)

// helper is the environment variable with the folder in which the test binary runs the graph, instead of the tests.
const helper = "SELLO_FLOW_TEST_HELPER"

func TestMain(m *testing.M) {
	dir := os.Getenv(helper)
	if dir == "" {
		os.Exit(m.Run())
	}
	result, err := runEffects(dir, 8*time.Millisecond)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(result)
}

// effect writes a file in two halves and then gives it its name, as a step should: done already is done.
// What runs is counted in a file of its own, which is only ever appended to.
func effect(dir, name, content string, pause time.Duration) error {
	count, err := os.OpenFile(filepath.Join(dir, name+".runs"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.WriteString(count, "x")
	if err = errors.Join(err, count.Close()); err != nil {
		return err
	}
	path := filepath.Join(dir, name+".out")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	half := len(content) / 2
	if err := os.WriteFile(path+".tmp", []byte(content[:half]), 0o644); err != nil {
		return err
	}
	time.Sleep(pause)
	if err := os.WriteFile(path+".tmp", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// effectsGraph has 21 steps in layers; each one's content depends on all results of the layer before.
func effectsGraph(dir string, pause time.Duration) (*flow.Graph, *flow.Task[string]) {
	g := flow.New()
	var before []flow.Node
	var values []*flow.Task[string]
	add := func(name string) *flow.Task[string] {
		needs, inputs := before, values
		return flow.Add(g, flow.Step[string]{
			Name: name, Needs: needs, Key: constant("v1"),
			Run: func(context.Context, *flow.Run) (string, error) {
				var all []string
				for _, v := range inputs {
					all = append(all, v.Value())
				}
				content := name + "(" + digest.Bytes([]byte(strings.Join(all, ",")))[:8] + ")"
				return content, effect(dir, name, content, pause)
			},
			Valid: func(content string) error {
				data, err := os.ReadFile(filepath.Join(dir, name+".out"))
				if err == nil && string(data) != content {
					err = errors.New("another content")
				}
				return err
			},
		})
	}
	for layer := range 5 {
		var nodes []flow.Node
		var tasks []*flow.Task[string]
		for i := range 4 {
			t := add(fmt.Sprintf("s%d-%d", layer, i))
			nodes, tasks = append(nodes, t), append(tasks, t)
		}
		before, values = nodes, tasks
	}
	return g, add("last")
}

func runEffects(dir string, pause time.Duration) (string, error) {
	j, err := flow.OpenJournal(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		return "", err
	}
	defer j.Close()
	g, last := effectsGraph(dir, pause)
	if _, err := g.Run(context.Background(), flow.Options{Journal: j, Workers: 3}); err != nil {
		return "", err
	}
	return last.Value(), nil
}

// Killed at random moments and run again until it ends, the graph ends with the result of a run that was
// left alone; and a step that the journal called done was never run again.
func TestKilledAnywhereItEndsTheSame(t *testing.T) {
	t.Parallel()
	want, err := runEffects(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	kills := 0
	for range 3 {
		dir := t.TempDir()
		result := ""
		for attempt := 0; result == "" && attempt < 100; attempt++ {
			var killed bool
			if result, killed = runAndKill(t, dir, time.Duration(5+rng.IntN(50))*time.Millisecond, attempt < 60); killed {
				kills++
			}
		}
		if result != want {
			t.Errorf("result %q, want %q", result, want)
		}
		checkEffects(t, dir)
	}
	t.Logf("killed %d times", kills)
	if kills == 0 {
		t.Error("nothing was killed: the test shows nothing")
	}
}

func runAndKill(t *testing.T, dir string, after time.Duration, kill bool) (result string, killed bool) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helper+"="+dir)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if kill {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	if errs.Len() > 0 {
		t.Fatalf("helper: %s", errs.String())
	}
	return out.String(), err != nil
}

func checkEffects(t *testing.T, dir string) {
	t.Helper()
	records, err := flow.ReadJournal(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	starts, done := map[string]int{}, map[string]int{}
	for _, r := range records {
		switch r.Event {
		case flow.RecordStart:
			starts[r.Step]++
			if done[r.Step] > 0 {
				t.Errorf("%s was started again after it was done", r.Step)
			}
		case flow.RecordDone:
			done[r.Step]++
		}
	}
	if len(done) != 21 {
		t.Errorf("%d steps are done", len(done))
	}
	for step := range starts {
		runs, err := os.ReadFile(filepath.Join(dir, step+".runs"))
		if err != nil || len(runs) > starts[step] || done[step] != 1 {
			t.Errorf("%s: %d runs, %d starts, %d done, %v", step, len(runs), starts[step], done[step], err)
		}
		if _, err := os.Stat(filepath.Join(dir, step+".out")); err != nil {
			t.Error(err)
		}
	}
}

func TestInterruptedIsKnown(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	line := `{"time":"2026-01-01T00:00:00Z","run":"r","event":"start","step":"a"}` + "\n"
	if err := os.WriteFile(path, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	g := flow.New()
	a := flow.Add(g, flow.Step[bool]{Name: "a", Run: func(_ context.Context, r *flow.Run) (bool, error) { return r.Interrupted(), nil }})
	b := flow.Add(g, flow.Step[bool]{Name: "b", Run: func(_ context.Context, r *flow.Run) (bool, error) { return r.Interrupted(), nil }})
	if _, err := g.Run(context.Background(), flow.Options{Journal: journal(t, path)}); err != nil || !a.Value() || b.Value() {
		t.Errorf("interrupted: %v, %v; %v", a.Value(), b.Value(), err)
	}
}
