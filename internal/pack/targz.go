package pack

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"time"
)

// The times that a USTAR header holds: eleven octal digits.
var firstTar, lastTar = time.Unix(0, 0).UTC(), time.Unix(1<<33-1, 0).UTC()

// writeTarGz writes USTAR headers, and PAX records only for names that are too
// long or not ASCII and for sizes above 8 GiB.
func writeTarGz(ctx context.Context, w io.Writer, nodes []node, o Options) error {
	z, err := newGzipper(w)
	if err != nil {
		return err
	}
	if err := writeTar(ctx, z, nodes, o); err != nil {
		return err
	}
	return z.Close()
}

func writeTar(ctx context.Context, w io.Writer, nodes []node, o Options) error {
	tw := tar.NewWriter(w)
	modified := clampTime(o.Time, firstTar, lastTar)
	buf := make([]byte, copyBuffer)
	for _, n := range nodes {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: n.name, Mode: n.mode(), ModTime: modified}
		switch {
		case n.folder:
			h.Typeflag = tar.TypeDir
		case n.entry.Link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, n.entry.Link
		default:
			h.Size = n.entry.Size
		}
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("pack %q: %w", n.name, err)
		}
		if h.Typeflag == tar.TypeReg {
			if err := n.copyTo(ctx, tw, o, buf); err != nil {
				return err
			}
		}
	}
	return tw.Close()
}
