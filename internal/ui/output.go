package ui

import (
	"io"
	"os"
)

// Output is a writer that remembers the first error, so that a result which did not reach its reader can be
// told from one that did. It is as much of a terminal as what it writes to.
type Output struct {
	to  io.Writer
	err error
}

// NewOutput gives an Output that writes to w.
func NewOutput(w io.Writer) *Output { return &Output{to: w} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// Err is the first error of writing.
func (o *Output) Err() error { return o.err }

// fileOf gives the file behind a writer.
func fileOf(w io.Writer) (*os.File, bool) {
	if r, ok := w.(*Redactor); ok {
		w = r.w
	}
	if o, ok := w.(*Output); ok {
		w = o.to
	}
	f, ok := w.(*os.File)
	return f, ok
}
