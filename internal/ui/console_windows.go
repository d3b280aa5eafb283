package ui

import (
	"io"

	"golang.org/x/sys/windows"
)

// enableEscapes asks the console to understand escape sequences, which old ones do not.
func enableEscapes(out io.Writer) bool {
	f, ok := fileOf(out)
	if !ok {
		return false
	}
	var mode uint32
	h := windows.Handle(f.Fd())
	if err := windows.GetConsoleMode(h, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
