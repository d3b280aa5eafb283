package pack

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/gzip"
)

func (w *walker) tarGz(r io.Reader) error {
	in := bufio.NewReaderSize(r, copyBuffer) // the gzip reader then takes no byte beyond its member
	z, err := gzip.NewReader(in)
	if err != nil {
		return malformed("", err)
	}
	z.Multistream(false)
	unpacked := &budgetReader{r: z, left: w.limits.Total}
	tr := tar.NewReader(unpacked)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return malformed("", err)
		}
		if err := w.tarMember(h, tr); err != nil {
			return err
		}
	}
	if err := onlyZeros(unpacked); err != nil {
		return err
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return malformed("", errors.Join(errors.New("bytes after the end"), err))
	}
	return nil
}

func (w *walker) tarMember(h *tar.Header, content io.Reader) error {
	m := Member{Name: h.Name, Mode: fs.FileMode(h.Mode) & fs.ModePerm}
	switch h.Typeflag {
	case tar.TypeXGlobalHeader: // git archive writes the commit into one
		return nil
	case tar.TypeReg:
		m.Size = h.Size
	case tar.TypeDir:
		m.Mode |= fs.ModeDir
		m.Name = strings.TrimSuffix(m.Name, "/")
	case tar.TypeSymlink:
		m.Mode |= fs.ModeSymlink
		m.Link = h.Linkname
	default:
		return badFile(h.Name, fmt.Sprintf("tar entry of type %q", h.Typeflag))
	}
	return w.visit(m, content)
}

// onlyZeros reads to the end, which verifies gzip's checksum, and refuses content
// that stands behind the archive's end.
func onlyZeros(r io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return malformed("", errors.New("bytes after the end of the tar archive"))
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return malformed("", err)
		}
	}
}

// budgetReader refuses to unpack more than left bytes.
type budgetReader struct {
	r    io.Reader
	left int64
}

func (b *budgetReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, tooLarge("", "less when unpacked")
	}
	return n, err
}
