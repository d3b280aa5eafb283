package pack

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sello-release/sello/internal/gate"
)

// copyBuffer is the size of one read, in bytes.
const copyBuffer = 256 << 10

// copyTo writes the node's content to w, and holds it to its size.
func (n node) copyTo(ctx context.Context, w io.Writer, o Options, buf []byte) (err error) {
	r, err := n.entry.Open()
	if err != nil {
		return fmt.Errorf("open %q: %w", n.entry.Name, err)
	}
	defer func() {
		if cerr := r.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close %q: %w", n.entry.Name, cerr)
		}
	}()
	if o.Tap != nil {
		if tap := o.Tap(n.name); tap != nil {
			w = io.MultiWriter(w, tap)
		}
	}
	var size int64
	for idle := 0; idle < 100; {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, rerr := r.Read(buf)
		size += int64(k)
		if size > n.entry.Size {
			return wrongSize(n.entry, fmt.Sprintf("at least %d bytes", size))
		}
		if _, err := w.Write(buf[:k]); err != nil {
			return fmt.Errorf("pack %q: %w", n.entry.Name, err)
		}
		switch {
		case errors.Is(rerr, io.EOF) && size < n.entry.Size:
			return wrongSize(n.entry, fmt.Sprintf("%d bytes", size))
		case errors.Is(rerr, io.EOF):
			return nil
		case rerr != nil:
			return fmt.Errorf("read %q: %w", n.entry.Name, rerr)
		case k == 0:
			idle++
		default:
			idle = 0
		}
	}
	return fmt.Errorf("read %q: %w", n.entry.Name, io.ErrNoProgress)
}

func wrongSize(e Entry, actual string) error {
	return &gate.Refusal{Code: CodeSize, What: "a file changed while it was packed", Where: fmt.Sprintf("%q", e.Name),
		Expected: fmt.Sprintf("%d bytes", e.Size), Actual: actual, Fix: "let nothing write to the files, and pack them again"}
}
