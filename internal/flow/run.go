package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Run is what a step is given while it runs. Its methods may be called from many goroutines.
type Run struct {
	step        string
	emit        func(Event)
	log         *stepLog
	out         io.Writer // log behind the filter
	attempt     int
	interrupted bool
	noRetry     *atomic.Bool
	shown       *atomic.Int64 // when progress was last sent, Unix milliseconds
}

// Step is the step's name.
func (r *Run) Step() string { return r.step }

// Attempt counts from 1.
func (r *Run) Attempt() int { return r.attempt }

// Interrupted reports whether an earlier run was killed in the middle of this
// step: part of its effects may be there.
func (r *Run) Interrupted() bool { return r.interrupted }

// DisableRetries is called right before an effect that must not be tried twice
// without somebody looking. The step then fails at its first error.
func (r *Run) DisableRetries() { r.noRetry.Store(true) }

// Log takes the step's output: kept in its log file, sent as events a line each, and its tail shown when the step fails.
func (r *Run) Log() io.Writer { return r.out }

// LogPath is where the whole log is kept, "" when it is not.
func (r *Run) LogPath() string { return r.log.where() }

// progressPause is the least time between two progress events of a step.
const progressPause = 100 * time.Millisecond

// Progress says how far the step is, in bytes; total 0 is unknown. It may be
// called for every block: most calls are dropped, but not the one that reaches total.
func (r *Run) Progress(done, total int64) {
	t, last := time.Now().UnixMilli(), r.shown.Load()
	if done != total && (t-last < progressPause.Milliseconds() || !r.shown.CompareAndSwap(last, t)) {
		return
	}
	r.emit(Event{Step: r.step, Kind: Progress, Done: done, Total: total})
}

// Note tells the user something.
func (r *Run) Note(text string) { r.emit(Event{Step: r.step, Kind: Note, Text: text}) }

// Part runs f as a named part of the step: it is shown as a step of its own below this
// one, but is not in the journal and not resumed on its own.
func (r *Run) Part(name string, f func(*Run) error) error {
	part := *r
	part.step = r.step + "/" + name
	part.shown = new(atomic.Int64)
	if why := badStepName(part.step); why != "" {
		return fmt.Errorf("part %q: %s", name, why)
	}
	start := time.Now()
	r.emit(Event{Step: part.step, Kind: Started})
	err := f(&part)
	e := Event{Step: part.step, Kind: Finished, Duration: time.Since(start)}
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind, e.Err = Cancelled, err
	case err != nil:
		e.Kind, e.Err = Failed, err
	}
	r.emit(e)
	return err
}

// StepError is the failure of one step.
type StepError struct {
	Step     string
	Err      error
	Log      string   // path of the whole log, "" when there is none
	Tail     []string // the last lines of the log, oldest first
	Duration time.Duration
}

func (e *StepError) Error() string { return e.Step + ": " + e.Err.Error() }

// Unwrap gives the step's own error.
func (e *StepError) Unwrap() error { return e.Err }

// PanicError is a step that panicked.
type PanicError struct {
	Value any
	Stack string
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap gives the error that was panicked with, if it was one.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// guard turns a panic of f into a *PanicError.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: string(debug.Stack())}
		}
	}()
	return f()
}

// events sends one event at a time.
type events struct {
	mu   sync.Mutex
	sink Sink
	run  string
}

func (e *events) emit(event Event) {
	if e.sink == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	event.Run = e.run
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	e.sink.Event(event)
}
