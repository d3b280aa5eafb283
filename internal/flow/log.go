package flow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sello-release/sello/internal/gate"
)

// Limits of a step's log.
const (
	maxLog     = 64 << 20 // bytes kept in the file
	maxLogLine = 4 << 10  // bytes of a line in events and in the tail
	tailLines  = 20
)

// stepLog keeps a step's output in a file, sends it as events a line each, and
// remembers the tail. The file is made with the first byte.
type stepLog struct {
	dir  string // "" keeps no file
	name string // below dir
	emit func(line string)

	mu      sync.Mutex
	file    *os.File
	failed  bool // the file could not be made or written; the events go on
	written int64
	line    []byte
	tail    []string
}

func newStepLog(dir, step string, emit func(string)) *stepLog {
	return &stepLog{dir: dir, name: logName(step), emit: emit}
}

// logName gives a path below the log folder that keeps different steps apart.
func logName(step string) string {
	var b strings.Builder
	for _, r := range step {
		if r == '/' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._@+-", r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "%%%02X", r)
		}
	}
	return b.String() + ".log"
}

// where is the log's path, once there is one.
func (l *stepLog) where() string {
	if l.dir == "" {
		return ""
	}
	return filepath.Join(l.dir, filepath.FromSlash(l.name))
}

// kept is the log's path if something was written to it.
func (l *stepLog) kept() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return ""
	}
	return l.where()
}

// Write never fails: a step does not end because its log cannot be kept.
func (l *stepLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(p)
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			l.grow(rest)
			break
		}
		l.grow(rest[:i])
		l.endLine()
		rest = rest[i+1:]
	}
	return len(p), nil
}

func (l *stepLog) grow(part []byte) {
	if room := maxLogLine + 1 - len(l.line); room < len(part) {
		part = part[:max(room, 0)]
	}
	l.line = append(l.line, part...)
}

func (l *stepLog) endLine() {
	text := strings.TrimRight(string(l.line), "\r")
	if i := strings.LastIndexByte(text, '\r'); i >= 0 {
		text = text[i+1:] // what a terminal would show of a progress line
	}
	if len(l.line) > maxLogLine {
		text += "…"
	}
	l.line = l.line[:0]
	if len(l.tail) == tailLines {
		l.tail = append(l.tail[:0], l.tail[1:]...)
	}
	l.tail = append(l.tail, text)
	l.emit(text)
}

// keep writes to the file, up to the limit.
func (l *stepLog) keep(p []byte) {
	if l.dir == "" || l.failed || len(p) == 0 || l.written > maxLog {
		return
	}
	if l.file == nil {
		f, err := createBelow(l.dir, l.name)
		if err != nil {
			l.failed = true
			l.emit("the log is not kept: " + err.Error())
			return
		}
		l.file = f
	}
	if l.written += int64(len(p)); l.written > maxLog {
		p = fmt.Appendf(nil, "\n[the rest is left out: the log is longer than %d bytes]\n", maxLog)
	}
	if _, err := l.file.Write(p); err != nil {
		l.failed = true
		l.emit("the log is not kept: " + err.Error())
	}
}

// close ends a last line without newline, and the file.
func (l *stepLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.line) > 0 {
		l.endLine()
	}
	if l.file != nil {
		_ = l.file.Close() // a log is not worth failing a step that is done
	}
}

func (l *stepLog) lastLines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.tail...)
}

// createBelow makes a file anew below dir, never through a link that leads out of it.
func createBelow(dir, name string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(name)), 0o755); err != nil {
		return nil, err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

// Filter is how secrets are kept out of everything that leaves a step: it wraps a writer. Nil lets everything through.
type Filter func(io.Writer) io.Writer

// Text passes a string through the filter.
func (f Filter) Text(s string) string {
	if f == nil || s == "" {
		return s
	}
	var b strings.Builder
	w := f(&b)
	_, _ = io.WriteString(w, s)
	Finish(w)
	return b.String()
}

// Error gives err as it is when the filter finds nothing in it; otherwise an error with the
// same code and the filtered text.
func (f Filter) Error(err error) error {
	if f == nil || err == nil || f.Text(err.Error()) == err.Error() {
		return err
	}
	var r *gate.Refusal
	if errors.As(err, &r) {
		return &gate.Refusal{
			Code: r.Code, Class: r.Class, What: f.Text(r.What), Where: f.Text(r.Where),
			Expected: f.Text(r.Expected), Actual: f.Text(r.Actual), Fix: f.Text(r.Fix),
		}
	}
	return errors.New(f.Text(err.Error()))
}

// Finish lets a filter write what it held back.
func Finish(w io.Writer) {
	switch w := w.(type) {
	case *stepLog:
	case interface{ Flush() error }:
		_ = w.Flush() // writes to a log never fail
	case io.Closer:
		_ = w.Close()
	}
}
