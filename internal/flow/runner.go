package flow

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Options say how a graph is run.
type Options struct {
	Journal *Journal       // nil: nothing is recorded, and nothing cached
	Sink    Sink           // receives what happens; nil for nobody
	Verb    string         // what the run is for, for the history: "stage v1.4.2"
	Workers int            // steps at once; 0: one more than there are cores, and one to wait for disks
	Limits  map[string]int // steps of a group at once
	LogDir  string         // folder for the steps' logs; "" keeps none
	// Filter wraps every writer that output and messages of steps go through, to keep secrets
	// out; what it gives is flushed (or closed) at the end. nil: none.
	Filter Filter
	// Backoff is the pause after the given attempt (from 1) failed. nil: 1 s, 2 s, 4 s, … up to 30 s.
	Backoff func(attempt int) time.Duration
}

// Summary counts what became of the steps.
type Summary struct {
	Run      string // the run's id in the journal
	Steps    int
	Done     int // ran to their end
	Cached   int // had been done by an earlier run
	Failed   int
	Skipped  int // not started
	Duration time.Duration
}

// runner is one run of a graph.
type runner struct {
	g       *Graph
	o       Options
	id      string
	events  events
	filter  Filter
	summary Summary
	failed  []error
}

// outcome is how a step ended.
type outcome struct {
	n         *node
	cached    bool
	cancelled bool
	err       error
}

// Run runs the graph to its end. The error joins a *StepError for every step
// that failed; it wraps ctx's error when the run was interrupted. A graph runs once.
func (g *Graph) Run(ctx context.Context, o Options) (Summary, error) {
	if g.ran.Swap(true) {
		return Summary{}, errors.New("run graph: it has been run before")
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0) + 2
	}
	if o.Backoff == nil {
		o.Backoff = func(attempt int) time.Duration { return min(time.Second<<min(attempt-1, 5), 30*time.Second) }
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return Summary{}, fmt.Errorf("run graph: %w", err)
	}
	r := &runner{g: g, o: o, id: hex.EncodeToString(id[:]), filter: o.Filter}
	r.events = events{sink: o.Sink, run: r.id}
	r.summary = Summary{Run: r.id, Steps: len(g.nodes)}
	start := time.Now()
	err := r.begin()
	if err == nil {
		err = r.loop(ctx)
	}
	r.summary.Duration = time.Since(start)
	end := Record{Time: now(), Run: r.id, Event: RecordEnd, Duration: seconds(r.summary.Duration)}
	if err != nil {
		end.Error, end.Code = r.filter.Text(err.Error()), gate.Code(err)
	}
	if werr := o.Journal.append(end, true); werr != nil && !errors.Is(err, werr) {
		err = errors.Join(err, werr)
	}
	return r.summary, err
}

func now() time.Time { return time.Now().UTC().Round(time.Millisecond) }

func (r *runner) begin() error {
	if r.o.Journal != nil {
		record := Record{Time: now(), Run: r.id, Event: RecordBegin, Verb: r.o.Verb}
		record.Host, _ = os.Hostname()
		if u, err := user.Current(); err == nil {
			record.User = u.Username
		}
		if err := r.o.Journal.append(record, false); err != nil {
			return err
		}
	}
	for _, n := range r.g.nodes {
		r.events.emit(Event{Step: n.name, Kind: Planned})
	}
	return nil
}

// loop starts steps as what they need is done, within the limits, and ends when nothing runs any more.
func (r *runner) loop(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	s := newSchedule(r.g.nodes, r.o.Workers, r.o.Limits)
	results := make(chan outcome)
	var broken error // the journal cannot be written
	for {
		for len(r.failed) == 0 && broken == nil && ctx.Err() == nil {
			n := s.next()
			if n == nil {
				break
			}
			go func() { results <- r.step(ctx, n) }()
		}
		if s.running == 0 {
			break
		}
		o := <-results
		s.end(o.n, o.err == nil)
		switch {
		case o.err == nil && o.cached:
			r.summary.Cached++
		case o.err == nil:
			r.summary.Done++
		case gate.Code(o.err) == codeJournalWrite:
			broken = o.err
			cancel() // what is done from here on could not be recorded
		case o.cancelled:
			r.summary.Skipped++
		default:
			r.summary.Failed++
			r.failed = append(r.failed, o.err)
		}
	}
	return r.conclude(parent, broken, s)
}

// conclude reports the steps that were not started, and joins the errors.
func (r *runner) conclude(parent context.Context, broken error, s *schedule) error {
	errs := r.failed
	why := "another step failed"
	if broken != nil {
		errs = append([]error{broken}, errs...)
		why = "the journal cannot be written"
	}
	rest := s.unstarted()
	if err := parent.Err(); err != nil && r.summary.Done+r.summary.Cached < len(r.g.nodes) {
		errs = append([]error{fmt.Errorf("interrupted: %w", err)}, errs...)
		why = "interrupted"
	}
	for _, n := range rest {
		r.summary.Skipped++
		_ = r.o.Journal.append(Record{Time: now(), Run: r.id, Step: n.name, Event: RecordSkipped, Error: why}, false) // a sticky error is in errs
		r.events.emit(Event{Step: n.name, Kind: Cancelled, Text: "not started: " + why})
	}
	return errors.Join(errs...)
}
