package flow_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
)

// written makes a journal with one run of the pipeline and gives its bytes.
func written(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := journal(t, path)
	p := &pipeline{input: "v1"}
	if _, err := p.graph().Run(context.Background(), flow.Options{Journal: j, Verb: "stage v1.0.0"}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	if _, err := flow.ReadJournal(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent journal: %v", err)
	}
	if err := os.WriteFile(path, written(t), 0o644); err != nil {
		t.Fatal(err)
	}
	records, err := flow.ReadJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		got = append(got, strings.TrimSpace(r.Event+" "+r.Step))
		if r.Run != records[0].Run || r.Time.IsZero() {
			t.Errorf("record %+v", r)
		}
	}
	want := []string{"begin", "start source", "done source", "start compile", "done compile", "start pack", "done pack", "end"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if records[0].Verb != "stage v1.0.0" || records[0].Host == "" || string(records[4].Result) != `"compiled v1"` || len(records[4].Key) != 64 {
		t.Errorf("records %+v", records)
	}
}

// A process can be killed in the middle of any write: every prefix of a journal is one.
func TestEveryTornJournalIsGoneOnWith(t *testing.T) {
	t.Parallel()
	whole := written(t)
	dir := t.TempDir()
	for cut := 0; cut <= len(whole); cut += 17 {
		path := filepath.Join(dir, "journal.jsonl")
		if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		records, err := flow.ReadJournal(path)
		if err != nil || len(records) != bytes.Count(whole[:cut], []byte("\n")) {
			t.Fatalf("cut at %d: %d records, %v", cut, len(records), err)
		}
		j := journal(t, path)
		p := &pipeline{input: "v1"}
		if _, err := p.graph().Run(context.Background(), flow.Options{Journal: j}); err != nil || p.last.Value() != "packed compiled v1" {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		_ = j.Close()
		again, err := flow.ReadJournal(path)
		if err != nil || len(again) <= len(records) {
			t.Fatalf("cut at %d, then run: %d records, %v", cut, len(again), err)
		}
	}
}

func TestCorruptJournal(t *testing.T) {
	t.Parallel()
	whole := written(t)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	replace := func(i int, with string) []byte {
		changed := append([][]byte(nil), lines...)
		changed[i] = []byte(with)
		return bytes.Join(changed, nil)
	}
	for name, test := range map[string]struct {
		content []byte
		line    string
	}{
		"no JSON":          {replace(2, "garbage\n"), ":3"},
		"an empty line":    {replace(0, "\n"), ":1"},
		"two on a line":    {replace(3, `{"time":"2026-01-01T00:00:00Z","run":"r","event":"x"} {}`+"\n"), ":4"},
		"not an object":    {replace(1, "[]\n"), ":2"},
		"without an event": {replace(1, `{"time":"2026-01-01T00:00:00Z","run":"r"}`+"\n"), ":2"},
		"zeros":            {replace(1, strings.Repeat("\x00", 50)+"\n"), ":2"},
		"an endless line":  {bytes.Repeat([]byte("x"), 13<<20), ":1"},
	} {
		path := filepath.Join(t.TempDir(), "journal.jsonl")
		if err := os.WriteFile(path, test.content, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := flow.ReadJournal(path)
		if gate.Code(err) != "journal-corrupt" || !strings.Contains(err.Error(), path+test.line+":") {
			t.Errorf("%s: ReadJournal: %v", name, err)
		}
		if _, err := flow.OpenJournal(path); gate.Code(err) != "journal-corrupt" {
			t.Errorf("%s: OpenJournal: %v", name, err)
		}
		if data, _ := os.ReadFile(path); !bytes.Equal(data, test.content) {
			t.Errorf("%s: the journal was changed", name)
		}
	}
	if _, err := flow.OpenJournal(t.TempDir()); gate.Code(err) != "journal-corrupt" {
		t.Errorf("a folder: %v", err)
	}
}

func TestJournalIsNotWrittenThroughALink(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "precious")
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	if err := os.Symlink(outside, path); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if _, err := flow.OpenJournal(path); err == nil {
		t.Error("OpenJournal went through")
	}
	if _, err := os.Stat(outside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file outside: %v", err)
	}
}

func TestJournalThatCannotBeWrittenStopsTheRun(t *testing.T) {
	t.Parallel()
	j := journal(t, filepath.Join(t.TempDir(), "journal.jsonl"))
	g := flow.New()
	second := false
	first := flow.Add(g, flow.Step[int]{Name: "first", Run: func(context.Context, *flow.Run) (int, error) { return 1, j.Close() }})
	flow.Add(g, flow.Step[int]{Name: "second", Needs: flow.Needs(first), Run: func(context.Context, *flow.Run) (int, error) { second = true; return 1, nil }})
	summary, err := g.Run(context.Background(), flow.Options{Journal: j})
	if gate.Code(err) != "journal-write" || errors.Is(err, context.Canceled) || second || summary.Done != 0 {
		t.Errorf("Run = %+v, %v; second ran: %v", summary, err, second)
	}
}

func FuzzReadJournal(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-01T00:00:00Z","run":"r","event":"done","step":"a","key":"k","result":1}` + "\n"))
	f.Add([]byte("{}\n"))
	f.Add([]byte("torn"))
	path := filepath.Join(f.TempDir(), "journal.jsonl")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		records, err := flow.ReadJournal(path)
		if err != nil {
			if gate.Code(err) != "journal-corrupt" {
				t.Errorf("%v", err)
			}
			return
		}
		if len(records) != bytes.Count(data, []byte("\n")) {
			t.Errorf("%d records in %q", len(records), data)
		}
	})
}
