package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Limits of a journal, in bytes.
const (
	maxResult  = 8 << 20   // one step's result
	maxLine    = 12 << 20  // one record
	maxJournal = 512 << 20 // the file
	maxError   = 64 << 10  // the text of one error
)

// codeJournalWrite is the code of the one failure that stops running steps too.
const codeJournalWrite = "journal-write"

// Events in a journal.
const (
	RecordBegin   = "begin"   // a run begins: Verb, Host, User
	RecordEnd     = "end"     // it ended: Error when it failed
	RecordStart   = "start"   // a step starts
	RecordDone    = "done"    // it is done: Key, Result, Duration
	RecordCached  = "cached"  // it was done before: Key
	RecordFailed  = "failed"  // it failed: Error, Code
	RecordSkipped = "skipped" // it was not started: Error says why
)

// Record is one line of a journal. Fields are added, never removed or renamed.
type Record struct {
	Time     time.Time       `json:"time"`
	Run      string          `json:"run"`
	Step     string          `json:"step,omitempty"`
	Event    string          `json:"event"`
	Key      string          `json:"key,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Duration float64         `json:"duration,omitempty"` // seconds
	Error    string          `json:"error,omitempty"`
	Code     string          `json:"code,omitempty"` // of the refusal in the error
	Verb     string          `json:"verb,omitempty"`
	Host     string          `json:"host,omitempty"`
	User     string          `json:"user,omitempty"`
}

// Journal is an append-only file of records, one JSON object a line. One process at a time may have it open.
type Journal struct {
	path string

	mu   sync.Mutex
	f    *os.File
	err  error             // the first failure to write; sticks
	done map[string]Record // by key: the latest finished record
	open map[string]bool   // steps with a start and no end in the latest run
}

// OpenJournal opens or makes the journal at path and reads what is in it. A torn
// last line, from a process that was killed while writing it, is cut off. Earlier
// corruption is refused with code journal-corrupt.
func OpenJournal(path string) (*Journal, error) {
	records, size, err := readJournal(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err != nil && !isNew {
		return nil, err
	}
	if !isNew {
		if err := cutTorn(path, size); err != nil {
			return nil, fmt.Errorf("cut torn line off journal: %w", err)
		}
	}
	f, err := openBeside(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if isNew {
		if err := syncDir(filepath.Dir(path)); err != nil {
			f.Close()
			return nil, fmt.Errorf("make journal: %w", err)
		}
	}
	j := &Journal{path: path, f: f, done: map[string]Record{}, open: map[string]bool{}}
	for _, r := range records {
		j.index(r)
	}
	return j, nil
}

func (j *Journal) index(r Record) {
	switch r.Event {
	case RecordDone:
		if r.Key != "" {
			j.done[r.Key] = r
		}
		delete(j.open, r.Step)
	case RecordStart:
		j.open[r.Step] = true
	case RecordFailed, RecordCached:
		delete(j.open, r.Step)
	}
}

// Close closes the file.
func (j *Journal) Close() error { return j.f.Close() }

// finished gives the latest finished record with this key.
func (j *Journal) finished(key string) (Record, bool) {
	if j == nil {
		return Record{}, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r, ok := j.done[key]
	return r, ok
}

// interrupted reports whether a step was started and neither finished nor failed: its process was killed.
func (j *Journal) interrupted(step string) bool {
	if j == nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.open[step]
}

// append writes one record, whole, and makes it durable if asked to. After the first failure nothing more is written.
func (j *Journal) append(r Record, durable bool) error {
	if j == nil {
		return nil
	}
	r.Error = clipError(r.Error)
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	_, err = j.f.Write(append(line, '\n'))
	if err == nil && durable {
		err = j.f.Sync()
	}
	if err != nil {
		j.err = &gate.Refusal{
			Code: codeJournalWrite, Class: gate.Failed, What: "the journal cannot be written, so nothing more is done", Where: j.path,
			Fix: "free space there or give this user the right to write it, then run the same command again", Cause: err,
		}
		return j.err
	}
	j.index(r)
	return nil
}

func clipError(s string) string {
	if len(s) > maxError {
		return strings.ToValidUTF8(s[:maxError], "") + "…"
	}
	return s
}
