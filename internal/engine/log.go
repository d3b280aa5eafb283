package engine

import (
	"fmt"
	"io"
)

// Log receives a step's output: it passes on at most a limit of bytes, marks the
// place where it stopped, and keeps the end. It never makes the step fail: an error of the
// writer behind it is kept for Err. It is not safe for concurrent use.
type Log struct {
	w       io.Writer
	left    int64
	limit   int64
	dropped bool
	err     error
	tail    []byte // the last bytes, at most 2*TailSize
}

// NewLog passes up to limit bytes on to w; nil discards.
func NewLog(w io.Writer, limit int64) *Log {
	if w == nil {
		w = io.Discard
	}
	return &Log{w: w, left: limit, limit: limit}
}

// Write takes all of p and never fails.
func (l *Log) Write(p []byte) (int, error) {
	l.keep(p)
	pass := p
	if int64(len(pass)) > l.left {
		pass = pass[:l.left]
	}
	l.left -= int64(len(pass))
	l.pass(pass)
	if len(pass) < len(p) && !l.dropped {
		l.dropped = true
		l.pass(fmt.Appendf(nil, "\n[log limit of %s reached: the rest was not kept]\n", Bytes(l.limit)))
	}
	return len(p), nil
}

func (l *Log) pass(p []byte) {
	if l.err == nil && len(p) > 0 {
		_, l.err = l.w.Write(p)
	}
}

func (l *Log) keep(p []byte) {
	if len(p) > TailSize {
		p = p[len(p)-TailSize:]
	}
	l.tail = append(l.tail, p...)
	if n := len(l.tail) - TailSize; n > TailSize {
		l.tail = append(l.tail[:0], l.tail[n:]...)
	}
}

// Tail is the end of everything that was written, at most TailSize bytes.
func (l *Log) Tail() []byte {
	return append([]byte(nil), l.tail[max(0, len(l.tail)-TailSize):]...)
}

// Dropped reports whether output was not passed on because of the limit.
func (l *Log) Dropped() bool { return l.dropped }

// Err is the first error of the writer behind.
func (l *Log) Err() error {
	if l.err != nil {
		return fmt.Errorf("write log: %w", l.err)
	}
	return nil
}
