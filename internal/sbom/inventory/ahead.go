package inventory

import (
	"io"
	"sync"
)

// ahead reads a stream in a goroutine of its own, a little ahead of whoever uses it.
type ahead struct {
	full, free chan []byte
	err        error // valid once full is closed
	current    []byte
	buffer     []byte
	stop       chan struct{}
	close      func()
}

func readAhead(r io.Reader) *ahead {
	const buffers = 4
	a := &ahead{full: make(chan []byte, buffers), free: make(chan []byte, buffers), stop: make(chan struct{})}
	for range buffers {
		a.free <- make([]byte, chunk)
	}
	ended := make(chan struct{})
	a.close = sync.OnceFunc(func() { close(a.stop); <-ended })
	go func() {
		defer close(ended)
		defer close(a.full)
		for {
			var b []byte
			select {
			case b = <-a.free:
			case <-a.stop:
				return
			}
			n, err := 0, error(nil)
			for n < chunk && err == nil {
				var m int
				m, err = r.Read(b[n:chunk])
				n += m
			}
			if n > 0 {
				a.full <- b[:n] // there is room for every buffer
			}
			if err != nil {
				a.err = err
				return
			}
		}
	}()
	return a
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.current) == 0 {
		if a.buffer != nil {
			a.free <- a.buffer[:chunk]
			a.buffer = nil
		}
		b, ok := <-a.full
		if !ok {
			return 0, a.err
		}
		a.current, a.buffer = b, b
	}
	n := copy(p, a.current)
	a.current = a.current[n:]
	return n, nil
}

// Close stops reading. It waits until nobody uses the stream any more.
func (a *ahead) Close() { a.close() }
