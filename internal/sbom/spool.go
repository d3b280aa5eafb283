package sbom

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// maxInMemory is up to which size a spool stays in memory, in bytes.
const maxInMemory = 4 << 20

// ErrSpoolFull says that a stream is longer than a spool may be.
var ErrSpoolFull = errors.New("file is too large")

// Spool is a copy of a stream that can be read at any place: in memory, or in a temporary file when it is large.
type Spool struct {
	io.ReaderAt
	Size int64 // bytes
	file *os.File
}

// NewSpool copies r. The error is ErrSpoolFull when there are more than limit bytes in it, an *fs.PathError when the disk cannot hold
// the copy, and otherwise r's.
func NewSpool(r io.Reader, limit int64) (*Spool, error) {
	in := io.LimitReader(r, limit+1)
	var small bytes.Buffer
	n, err := io.CopyN(&small, in, maxInMemory+1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	s := &Spool{ReaderAt: bytes.NewReader(small.Bytes()), Size: n}
	if n > maxInMemory {
		if err := s.toFile(io.MultiReader(&small, in)); err != nil {
			return nil, err
		}
	}
	if s.Size > limit {
		s.Close()
		return nil, ErrSpoolFull
	}
	return s, nil
}

func (s *Spool) toFile(r io.Reader) error {
	f, err := os.CreateTemp("", "sello-sbom-*")
	if err != nil {
		return err
	}
	s.ReaderAt, s.file = f, f
	if s.Size, err = io.Copy(f, r); err != nil {
		s.Close()
	}
	return err
}

// Close removes the copy.
func (s *Spool) Close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}
