package store

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

const openNonblock = 0

func isNoSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

func isNotDir(err error) bool { return errors.Is(err, windows.ERROR_PATH_NOT_FOUND) }

// syncFolder does nothing: Windows makes names durable with the file.
func syncFolder(*os.Root, string) error { return nil }
