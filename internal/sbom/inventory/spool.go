package inventory

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
)

// maxInMemory is up to which size a spool stays in memory, in bytes.
const maxInMemory = 4 << 20

// errSpoolFull says that a file is larger than a spool may be.
var errSpoolFull = errors.New("file is too large")

// spool is a copy of a stream that can be read at any place: in memory, or in a temporary file when it is large.
type spool struct {
	io.ReaderAt
	size int64
	file *os.File
}

// machineError is an error of this machine's, not of a file that is looked at.
type machineError struct{ error }

func (e machineError) Unwrap() error { return e.error }

// isMachine tells whether an error is one of the disk.
func isMachine(err error) bool {
	var m machineError
	var p *fs.PathError
	return errors.As(err, &m) || errors.As(err, &p)
}

func newSpool(r io.Reader, limit int64) (*spool, error) {
	in := io.LimitReader(r, limit+1)
	var small bytes.Buffer
	n, err := io.CopyN(&small, in, maxInMemory+1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	s := &spool{ReaderAt: bytes.NewReader(small.Bytes()), size: n}
	if n > maxInMemory {
		if err := s.toFile(io.MultiReader(&small, in)); err != nil {
			return nil, err
		}
	}
	if s.size > limit {
		s.Close()
		return nil, errSpoolFull
	}
	return s, nil
}

func (s *spool) toFile(r io.Reader) error {
	f, err := os.CreateTemp("", "sello-sbom-*")
	if err != nil {
		return machineError{err}
	}
	s.ReaderAt, s.file = f, f
	if s.size, err = io.Copy(f, r); err != nil {
		s.Close()
	}
	return err
}

// Close removes the copy.
func (s *spool) Close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}
