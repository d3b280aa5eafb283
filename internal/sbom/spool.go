package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxInMemory is up to which size a spool stays in memory, in bytes.
const maxInMemory = 4 << 20

// errSpoolFull says that a file is larger than a spool may be.
var errSpoolFull = errors.New("file is too large")

// spool is a copy of a stream that can be read at any place: in memory, or in a temporary file when it is large.
type spool struct {
	io.ReaderAt
	size   int64
	sha256 string // lower-case hex
	file   *os.File
}

// newSpool copies r. The error is errSpoolFull when there are more than limit bytes in it.
func newSpool(r io.Reader, limit int64) (*spool, error) {
	h := sha256.New()
	in := io.TeeReader(io.LimitReader(r, limit+1), h)
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
	s.sha256 = hex.EncodeToString(h.Sum(nil))
	return s, nil
}

func (s *spool) toFile(r io.Reader) error {
	f, err := os.CreateTemp("", "sello-base-*")
	if err != nil {
		return fmt.Errorf("keep file of base image: %w", err)
	}
	s.ReaderAt, s.file = f, f
	if s.size, err = io.Copy(f, r); err != nil {
		s.Close()
		return fmt.Errorf("keep file of base image: %w", err)
	}
	return nil
}

// Close removes the copy.
func (s *spool) Close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}
