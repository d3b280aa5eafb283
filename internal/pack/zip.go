package pack

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"time"
)

// The times that both of a zip's fields hold: the DOS date begins in 1980, in
// even seconds, and the extended timestamp ends with 32 bits of seconds.
var (
	firstZip = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	lastZip  = time.Unix(math.MaxUint32-1, 0).UTC()
)

// writeZip writes every file deflated, with UTC both in the DOS field and in the extended timestamp.
func writeZip(ctx context.Context, w io.Writer, nodes []node, o Options) error {
	zw := zip.NewWriter(w)
	d := newDeflater(nil)
	zw.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		d.reset(w)
		return d, nil
	})
	modified := clampTime(o.Time, firstZip, lastZip)
	buf := make([]byte, copyBuffer)
	for _, n := range nodes {
		h := &zip.FileHeader{Name: n.name, Modified: modified, Method: zip.Deflate}
		h.SetMode(n.fileMode())
		f, err := zw.CreateHeader(h)
		if err != nil {
			return fmt.Errorf("pack %q: %w", n.name, err)
		}
		switch {
		case n.folder:
		case n.entry.Link != "":
			_, err = io.WriteString(f, n.entry.Link)
		default:
			err = n.copyTo(ctx, f, o, buf)
		}
		if err != nil {
			return err
		}
	}
	return zw.Close()
}

func (n node) fileMode() fs.FileMode {
	m := fs.FileMode(n.mode())
	switch {
	case n.folder:
		m |= fs.ModeDir
	case n.entry.Link != "":
		m |= fs.ModeSymlink
	}
	return m
}
