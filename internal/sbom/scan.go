package sbom

import (
	"io"
)

// Scan finds the packages and the Go programs of a base image in its files.
type Scan struct{}

// NewScan starts without any.
func NewScan() *Scan { return &Scan{} }

// Visit looks at one file.
func (s *Scan) Visit(path string, size int64, open func() (io.ReadCloser, error)) error { return nil }

// Result gives what was found.
func (s *Scan) Result() ([]OSPackage, []Binary, error) { return nil, nil, nil }
