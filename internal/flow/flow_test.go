package flow_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
)

// recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	events []flow.Event
}

func (r *recorder) Event(e flow.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// kinds gives "kind step" for each event of these kinds.
func (r *recorder) kinds(kinds ...flow.Kind) []string {
	var out []string
	for _, e := range r.events {
		for _, k := range kinds {
			if e.Kind == k {
				out = append(out, string(k)+" "+e.Step)
			}
		}
	}
	return out
}

func journal(t *testing.T, path string) *flow.Journal {
	t.Helper()
	j, err := flow.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func constant(s string) func() (string, error) { return func() (string, error) { return s, nil } }

func give[T any](v T) func(context.Context, *flow.Run) (T, error) {
	return func(context.Context, *flow.Run) (T, error) { return v, nil }
}

func noPause(int) time.Duration { return 0 }

func TestValuesFlow(t *testing.T) {
	t.Parallel()
	g := flow.New()
	a := flow.Add(g, flow.Step[int]{Name: "a", Run: give(20)})
	b := flow.Add(g, flow.Step[int]{Name: "b", Run: give(22)})
	sum := flow.Add(g, flow.Step[string]{Name: "sum", Needs: flow.Needs(a, b), Run: func(context.Context, *flow.Run) (string, error) {
		return fmt.Sprint(a.Value() + b.Value()), nil
	}})
	r := &recorder{}
	summary, err := g.Run(context.Background(), flow.Options{Sink: r})
	if err != nil || sum.Value() != "42" || summary.Done != 3 || summary.Steps != 3 {
		t.Errorf("Run = %+v, %v", summary, err)
	}
	if diff := cmp.Diff([]string{"planned a", "planned b", "planned sum"}, r.kinds(flow.Planned)); diff != "" {
		t.Error(diff)
	}
	if n := len(r.kinds(flow.Started, flow.Finished)); n != 6 {
		t.Errorf("%d events of start and finish", n)
	}
	if _, err := g.Run(context.Background(), flow.Options{}); err == nil {
		t.Error("a graph ran twice")
	}
}

func TestProgrammingErrorsPanic(t *testing.T) {
	t.Parallel()
	type hidden struct{ x int }
	type left struct {
		X int `json:"-"`
	}
	other := flow.Add(flow.New(), flow.Step[int]{Name: "other", Run: give(1)})
	for name, f := range map[string]func(){
		"the same name twice": func() {
			g := flow.New()
			flow.Add(g, flow.Step[int]{Name: "a", Run: give(1)})
			flow.Add(g, flow.Step[int]{Name: "a", Run: give(1)})
		},
		"a need of another graph": func() {
			flow.Add(flow.New(), flow.Step[int]{Name: "a", Needs: flow.Needs(other), Run: give(1)})
		},
		"an empty name":         func() { flow.Add(flow.New(), flow.Step[int]{Run: give(1)}) },
		"a name that climbs":    func() { flow.Add(flow.New(), flow.Step[int]{Name: "a/../b", Run: give(1)}) },
		"no Run":                func() { flow.Add(flow.New(), flow.Step[int]{Name: "a"}) },
		"a hidden field":        func() { flow.Add(flow.New(), flow.Step[hidden]{Name: "a", Run: give(hidden{1})}) },
		"a field left out":      func() { flow.Add(flow.New(), flow.Step[[]left]{Name: "a", Run: give([]left{})}) },
		"an interface":          func() { flow.Add(flow.New(), flow.Step[any]{Name: "a", Run: give[any](1)}) },
		"a function":            func() { flow.Add(flow.New(), flow.Step[map[string]func()]{Name: "a", Run: give(map[string]func(){})}) },
		"a value before it ran": func() { other.Value() },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	flow.Add(flow.New(), flow.Step[struct {
		T time.Time
		M map[string][]*int
	}]{Name: "times are fine", Run: func(context.Context, *flow.Run) (v struct {
		T time.Time
		M map[string][]*int
	}, err error) {
		return v, nil
	}})
}

// lopsided does not come back as it went.
type lopsided struct{ N int }

func (l lopsided) MarshalJSON() ([]byte, error)  { return fmt.Appendf(nil, "%d", l.N), nil }
func (l *lopsided) UnmarshalJSON(b []byte) error { l.N = len(b) + 1; return nil }

func TestResultThatChangesInTheJournalFails(t *testing.T) {
	t.Parallel()
	g := flow.New()
	flow.Add(g, flow.Step[lopsided]{Name: "a", Run: give(lopsided{77})})
	if _, err := g.Run(context.Background(), flow.Options{}); err == nil || !strings.Contains(err.Error(), "changes") {
		t.Errorf("Run: %v", err)
	}
}

func TestHugeResultFails(t *testing.T) {
	t.Parallel()
	g := flow.New()
	flow.Add(g, flow.Step[string]{Name: "a", Run: give(strings.Repeat("x", 9<<20))})
	if _, err := g.Run(context.Background(), flow.Options{}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("Run: %v", err)
	}
}

// pipeline is a graph of three steps that counts what runs.
type pipeline struct {
	runs  []string
	input string
	valid error
	last  *flow.Task[string]
}

func (p *pipeline) graph() *flow.Graph {
	var mu sync.Mutex
	ran := func(name string) {
		mu.Lock()
		defer mu.Unlock()
		p.runs = append(p.runs, name)
	}
	p.runs = nil
	g := flow.New()
	source := flow.Add(g, flow.Step[string]{Name: "source", Run: func(context.Context, *flow.Run) (string, error) {
		ran("source")
		return p.input, nil
	}})
	compile := flow.Add(g, flow.Step[string]{Name: "compile", Needs: flow.Needs(source), Key: constant("flags"),
		Valid: func(string) error { return p.valid },
		Run: func(context.Context, *flow.Run) (string, error) {
			ran("compile")
			return "compiled " + source.Value(), nil
		}})
	p.last = flow.Add(g, flow.Step[string]{Name: "pack", Needs: flow.Needs(compile), Key: constant("tar"),
		Run: func(context.Context, *flow.Run) (string, error) {
			ran("pack")
			return "packed " + compile.Value(), nil
		}})
	return g
}

func TestCaching(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	p := &pipeline{input: "v1"}
	for _, test := range []struct {
		name, input string
		valid       error
		want        []string
	}{
		{"cold", "v1", nil, []string{"source", "compile", "pack"}},
		{"nothing changed", "v1", nil, []string{"source"}},
		{"other input", "v2", nil, []string{"source", "compile", "pack"}},
		{"the first input again", "v1", nil, []string{"source"}},
		{"an output is gone, and comes out the same", "v1", errors.New("gone"), []string{"source", "compile"}},
	} {
		p.input, p.valid = test.input, test.valid
		j := journal(t, path)
		rec := &recorder{}
		summary, err := p.graph().Run(context.Background(), flow.Options{Journal: j, Sink: rec})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, p.runs); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		if p.last.Value() != "packed compiled "+test.input {
			t.Errorf("%s: result is %q", test.name, p.last.Value())
		}
		if summary.Done != len(test.want) || summary.Cached != 3-len(test.want) || len(rec.kinds(flow.Cached)) != summary.Cached {
			t.Errorf("%s: %+v", test.name, summary)
		}
		_ = j.Close()
	}
}

func TestFailureLetsOthersFinishAndStartsNoMore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	g := flow.New()
	running, failed := make(chan struct{}), make(chan struct{})
	slow := flow.Add(g, flow.Step[int]{Name: "slow", Run: func(ctx context.Context, _ *flow.Run) (int, error) {
		close(running)
		<-failed
		time.Sleep(20 * time.Millisecond)
		return 1, ctx.Err()
	}})
	bad := flow.Add(g, flow.Step[int]{Name: "bad", Run: func(_ context.Context, r *flow.Run) (int, error) {
		<-running
		for i := range 30 {
			fmt.Fprintf(r.Log(), "line %d\n", i)
		}
		fmt.Fprint(r.Log(), "progress 1%\rprogress 2%")
		defer close(failed)
		return 0, &gate.Refusal{Code: "bad-thing", What: "it is bad"}
	}})
	flow.Add(g, flow.Step[int]{Name: "after slow", Needs: flow.Needs(slow), Run: give(1)})
	flow.Add(g, flow.Step[int]{Name: "after bad", Needs: flow.Needs(bad), Run: give(1)})
	logs := filepath.Join(t.TempDir(), "logs")
	rec := &recorder{}
	summary, err := g.Run(context.Background(), flow.Options{Journal: journal(t, path), Sink: rec, Workers: 4, LogDir: logs})
	var step *flow.StepError
	if !errors.As(err, &step) || step.Step != "bad" || gate.Code(err) != "bad-thing" || len(step.Tail) != 20 || step.Tail[19] != "progress 2%" || step.Tail[0] != "line 11" {
		t.Fatalf("Run: %v, %+v", err, step)
	}
	if data, err := os.ReadFile(step.Log); err != nil || !strings.HasPrefix(string(data), "line 0\nline 1\n") || step.Log != filepath.Join(logs, "bad.log") {
		t.Errorf("log %s: %q, %v", step.Log, data, err)
	}
	if summary.Done != 1 || summary.Failed != 1 || summary.Skipped != 2 {
		t.Errorf("%+v", summary)
	}
	if diff := cmp.Diff([]string{"cancelled after slow", "cancelled after bad"}, rec.kinds(flow.Cancelled)); diff != "" {
		t.Error(diff)
	}
	records, err := flow.ReadJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range records {
		got[r.Step] = r.Event + " " + r.Code
	}
	want := map[string]string{"": "end bad-thing", "slow": "done ", "bad": "failed bad-thing", "after slow": "skipped ", "after bad": "skipped "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAllFailuresAreReported(t *testing.T) {
	t.Parallel()
	g := flow.New()
	var barrier sync.WaitGroup
	barrier.Add(3)
	for i := range 3 {
		flow.Add(g, flow.Step[int]{Name: fmt.Sprintf("s%d", i), Run: func(context.Context, *flow.Run) (int, error) {
			barrier.Done()
			barrier.Wait()
			return 0, fmt.Errorf("error %d", i)
		}})
	}
	_, err := g.Run(context.Background(), flow.Options{Workers: 3})
	for i := range 3 {
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("s%d: error %d", i, i)) {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestPanicIsAFailure(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, step := range map[string]flow.Step[int]{
		"run":   {Name: "s", Retries: 3, Run: func(context.Context, *flow.Run) (int, error) { panic(boom) }},
		"key":   {Name: "s", Key: func() (string, error) { panic(boom) }, Run: give(1)},
		"error": {Name: "s", Key: func() (string, error) { return "", boom }, Run: give(1)},
	} {
		g := flow.New()
		flow.Add(g, step)
		summary, err := g.Run(context.Background(), flow.Options{})
		if !errors.Is(err, boom) || summary.Failed != 1 {
			t.Errorf("%s: %+v, %v", name, summary, err)
		}
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		err     error
		disable bool
		want    int32
	}{
		{"an ordinary error", errors.New("proxy down"), false, 3},
		{"an outside failure", &gate.Refusal{Code: "x", Class: gate.Failed}, false, 3},
		{"a refusal", &gate.Refusal{Code: "x"}, false, 1},
		{"retries disabled", errors.New("proxy down"), true, 1},
	} {
		var n atomic.Int32
		g := flow.New()
		flow.Add(g, flow.Step[int]{Name: "s", Retries: 2, Run: func(_ context.Context, r *flow.Run) (int, error) {
			if int(n.Add(1)) != r.Attempt() {
				t.Errorf("%s: attempt %d", test.name, r.Attempt())
			}
			if test.disable {
				r.DisableRetries()
			}
			return 0, test.err
		}})
		_, err := g.Run(context.Background(), flow.Options{Backoff: noPause})
		if !errors.Is(err, test.err) || n.Load() != test.want {
			t.Errorf("%s: %d attempts, %v", test.name, n.Load(), err)
		}
	}
	g := flow.New()
	s := flow.Add(g, flow.Step[int]{Name: "s", Retries: 2, Run: func(_ context.Context, r *flow.Run) (int, error) {
		if r.Attempt() < 3 {
			return 0, errors.New("not yet")
		}
		return r.Attempt(), nil
	}})
	if _, err := g.Run(context.Background(), flow.Options{Backoff: noPause}); err != nil || s.Value() != 3 {
		t.Errorf("the third attempt: %v", err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	var all, builds, maxAll, maxBuilds atomic.Int32
	enter := func(n, most *atomic.Int32) {
		now := n.Add(1)
		for {
			m := most.Load()
			if now <= m || most.CompareAndSwap(m, now) {
				return
			}
		}
	}
	g := flow.New()
	for i := range 24 {
		group := ""
		if i%2 == 0 {
			group = "build"
		}
		flow.Add(g, flow.Step[int]{Name: fmt.Sprint(i), Group: group, Run: func(context.Context, *flow.Run) (int, error) {
			enter(&all, &maxAll)
			defer all.Add(-1)
			if group != "" {
				enter(&builds, &maxBuilds)
				defer builds.Add(-1)
			}
			time.Sleep(3 * time.Millisecond)
			return i, nil
		}})
	}
	if _, err := g.Run(context.Background(), flow.Options{Workers: 5, Limits: map[string]int{"build": 2}}); err != nil {
		t.Fatal(err)
	}
	if maxAll.Load() != 5 || maxBuilds.Load() != 2 {
		t.Errorf("%d steps and %d builds at once", maxAll.Load(), maxBuilds.Load())
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	ctx, cancel := context.WithCancel(context.Background())
	g := flow.New()
	first := flow.Add(g, flow.Step[int]{Name: "first", Retries: 5, Run: func(ctx context.Context, _ *flow.Run) (int, error) {
		cancel()
		<-ctx.Done()
		return 0, errors.New("signal: killed")
	}})
	flow.Add(g, flow.Step[int]{Name: "second", Needs: flow.Needs(first), Run: give(1)})
	rec := &recorder{}
	summary, err := g.Run(ctx, flow.Options{Journal: journal(t, path), Sink: rec})
	if !errors.Is(err, context.Canceled) || summary.Skipped != 2 || summary.Failed != 0 {
		t.Errorf("Run = %+v, %v", summary, err)
	}
	if diff := cmp.Diff([]string{"cancelled first", "cancelled second"}, rec.kinds(flow.Cancelled, flow.Failed)); diff != "" {
		t.Error(diff)
	}
}

func TestInterruptAfterTheLastStepIsNone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	g := flow.New()
	flow.Add(g, flow.Step[int]{Name: "only", Run: func(context.Context, *flow.Run) (int, error) { cancel(); return 1, nil }})
	if _, err := g.Run(ctx, flow.Options{}); err != nil {
		t.Errorf("Run: %v", err)
	}
}
