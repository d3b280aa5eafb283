package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

// keyFormat is in every key, so that a change of how keys are made outdates old records.
const keyFormat = "sello flow key v1"

// step computes the step's key, takes over a recorded result or runs it, and records how it ended.
func (r *runner) step(ctx context.Context, n *node) outcome {
	err := guard(func() error { return n.computeKey() })
	if err != nil {
		return r.fail(ctx, n, nil, 0, fmt.Errorf("compute key: %w", err))
	}
	if cached, err := r.recorded(n); cached || err != nil {
		return outcome{n: n, cached: cached, err: err}
	}
	log := newStepLog(r.o.LogDir, n.name, func(line string) { r.events.emit(Event{Step: n.name, Kind: Log, Text: line}) })
	run := &Run{step: n.name, emit: r.emitFiltered, log: log, out: log, interrupted: r.o.Journal.interrupted(n.name), noRetry: new(atomic.Bool), shown: new(atomic.Int64)}
	if r.filter != nil {
		run.out = r.filter(log)
	}
	if err := r.o.Journal.append(Record{Time: now(), Run: r.id, Step: n.name, Event: RecordStart, Key: n.key}, false); err != nil {
		return outcome{n: n, err: err}
	}
	r.events.emit(Event{Step: n.name, Kind: Started})
	start := time.Now()
	result, err := r.attempts(ctx, n, run)
	var p *PanicError
	if errors.As(err, &p) {
		_, _ = io.WriteString(run.out, p.Stack)
	}
	Finish(run.out)
	log.close()
	took := time.Since(start)
	if err != nil {
		return r.fail(ctx, n, log, took, err)
	}
	n.result = result
	done := Record{Time: now(), Run: r.id, Step: n.name, Event: RecordDone, Key: n.key, Result: result, Duration: seconds(took)}
	if err := r.o.Journal.append(done, true); err != nil {
		return outcome{n: n, err: err}
	}
	r.events.emit(Event{Step: n.name, Kind: Finished, Duration: took})
	return outcome{n: n}
}

// computeKey digests the step's name, its configuration, and the keys and results of what it needs.
func (n *node) computeKey() error {
	parts := []string{keyFormat, n.name, strconv.FormatBool(n.config != nil)}
	if n.config != nil {
		config, err := n.config()
		if err != nil {
			return err
		}
		parts = append(parts, config)
	}
	for _, need := range n.needs {
		parts = append(parts, need.name, need.key, digest.Bytes(need.result))
	}
	data, err := json.Marshal(parts)
	if err != nil {
		return err
	}
	n.key = digest.Bytes(data)
	return nil
}

// recorded takes over the result of an earlier run, if there is one and it still holds.
func (r *runner) recorded(n *node) (bool, error) {
	if n.config == nil {
		return false, nil
	}
	record, ok := r.o.Journal.finished(n.key)
	if !ok {
		return false, nil
	}
	if err := guard(func() error { return n.load(record.Result) }); err != nil {
		r.emitFiltered(Event{Step: n.name, Kind: Note, Text: "runs again: what an earlier run left no longer holds: " + err.Error()})
		return false, nil
	}
	n.result = record.Result
	if err := r.o.Journal.append(Record{Time: now(), Run: r.id, Step: n.name, Event: RecordCached, Key: n.key}, false); err != nil {
		return false, err
	}
	r.events.emit(Event{Step: n.name, Kind: Cached})
	return true, nil
}

// attempts runs the step until it is done or may not be tried again.
func (r *runner) attempts(ctx context.Context, n *node, run *Run) (json.RawMessage, error) {
	for {
		run.attempt++
		attempt := *run // a goroutine that a failed attempt left behind does not see the next one
		var result json.RawMessage
		err := guard(func() (err error) {
			result, err = n.exec(ctx, &attempt)
			return err
		})
		if err == nil || run.attempt > n.retries || run.noRetry.Load() || ctx.Err() != nil || !retryable(err) {
			return result, err
		}
		pause := r.o.Backoff(run.attempt)
		r.emitFiltered(Event{
			Step: n.name, Kind: Note, Text: fmt.Sprintf("attempt %d failed, trying again in %v: %v", run.attempt, pause, err),
			Attrs: map[string]string{"attempt": strconv.Itoa(run.attempt)},
		})
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// retryable reports whether trying again could help: not after a gate said no, and not after a bug.
func retryable(err error) bool {
	var p *PanicError
	var r *gate.Refusal
	return !errors.As(err, &p) && (!errors.As(err, &r) || r.Class == gate.Failed)
}

// fail records the failure of a step. log is nil when it had not started.
func (r *runner) fail(ctx context.Context, n *node, log *stepLog, took time.Duration, err error) outcome {
	err = r.filter.Error(err)
	// A step that was told to stop may say so in any way: its command was killed, its connection closed.
	o := outcome{n: n, cancelled: ctx.Err() != nil}
	failure := &StepError{Step: n.name, Err: err, Duration: took}
	e := Event{Step: n.name, Kind: Failed, Err: err, Duration: took}
	if log != nil {
		failure.Log, failure.Tail = log.kept(), log.lastLines()
	}
	if failure.Log != "" {
		e.Attrs = map[string]string{"log": failure.Log}
	}
	o.err = failure
	record := Record{Time: now(), Run: r.id, Step: n.name, Event: RecordFailed, Key: n.key, Error: err.Error(), Code: gate.Code(err), Duration: seconds(took)}
	if o.cancelled {
		e.Kind, e.Text, record.Error = Cancelled, "interrupted", "interrupted: "+err.Error()
	}
	if werr := r.o.Journal.append(record, true); werr != nil {
		o.err = errors.Join(werr, o.err)
	}
	r.events.emit(e)
	return o
}

// emitFiltered sends what a step says, without secrets.
func (r *runner) emitFiltered(e Event) {
	e.Text = r.filter.Text(e.Text)
	e.Err = r.filter.Error(e.Err)
	r.events.emit(e)
}
