//go:build !windows

package ui

import "io"

// enableEscapes is true where terminals understand escape sequences without being asked.
func enableEscapes(io.Writer) bool { return true }
