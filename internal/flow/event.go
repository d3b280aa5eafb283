package flow

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Kind says what an event is about.
type Kind string

// Kinds of events, in the order in which a step can have them.
const (
	Planned   Kind = "planned"   // the step is part of the run that begins
	Started   Kind = "started"   // it runs now
	Log       Kind = "log"       // Text is one line of its output
	Progress  Kind = "progress"  // Done of Total (0: unknown) units, bytes if not said otherwise in Text
	Note      Kind = "note"      // Text is for the user; Step may be empty
	Finished  Kind = "finished"  // it is done
	Cached    Kind = "cached"    // it was done in an earlier run
	Failed    Kind = "failed"    // Err says why
	Cancelled Kind = "cancelled" // it was interrupted, or not started because another step failed
)

// Event is one thing that happened. Step is a path like build/age/linux/amd64, from
// which a tree can be drawn.
type Event struct {
	Time     time.Time
	Run      string
	Step     string
	Kind     Kind
	Text     string
	Done     int64
	Total    int64
	Err      error
	Duration time.Duration
	Attrs    map[string]string // log: path of the step's whole log; attempt: which one fails and is tried again
}

// Sink receives events. A graph calls Event from one goroutine at a time; it must not block for long.
type Sink interface{ Event(Event) }

// eventJSON is the shape of an event on the wire. Fields are added, never removed or renamed.
type eventJSON struct {
	Time     time.Time         `json:"time"`
	Run      string            `json:"run,omitempty"`
	Step     string            `json:"step,omitempty"`
	Kind     Kind              `json:"kind"`
	Text     string            `json:"text,omitempty"`
	Done     int64             `json:"done,omitempty"`
	Total    int64             `json:"total,omitempty"`
	Seconds  float64           `json:"seconds,omitempty"`
	Error    string            `json:"error,omitempty"`
	Code     string            `json:"code,omitempty"`
	Where    string            `json:"where,omitempty"`
	Expected string            `json:"expected,omitempty"`
	Actual   string            `json:"actual,omitempty"`
	Fix      string            `json:"fix,omitempty"`
	Attrs    map[string]string `json:"attrs,omitempty"`
}

// MarshalJSON gives the event's stable form: times in UTC, durations in seconds,
// an error's text with the fields of the refusal in it.
func (e Event) MarshalJSON() ([]byte, error) {
	j := eventJSON{
		Time: e.Time.UTC(), Run: e.Run, Step: e.Step, Kind: e.Kind, Text: e.Text, Done: e.Done, Total: e.Total,
		Seconds: seconds(e.Duration), Attrs: e.Attrs,
	}
	if e.Err != nil {
		j.Error = e.Err.Error()
		var r *gate.Refusal
		if errors.As(e.Err, &r) {
			j.Code, j.Where, j.Expected, j.Actual, j.Fix = r.Code, r.Where, r.Expected, r.Actual, r.Fix
		}
	}
	return json.Marshal(j)
}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
