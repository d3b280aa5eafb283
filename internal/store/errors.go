package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// explain turns an error of the file system into a refusal where a user can do
// something about it, and wraps it otherwise. where is the path or name it is about.
func explain(verb, where string, err error) error {
	var r *gate.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return err
	case isNoSpace(err):
		return &gate.Refusal{
			Code: "store-no-space", Class: gate.Failed, What: "there is no space left to " + verb + " this", Where: where,
			Fix: "free space (or raise the quota) where the bucket is, then run the same command again", Cause: err,
		}
	case errors.Is(err, fs.ErrPermission) || isReadOnly(err):
		return &gate.Refusal{
			Code: "store-permission", Class: gate.Failed, What: "permission denied to " + verb + " this", Where: where,
			Fix: "give this user the right to " + verb + " there, then run the same command again", Cause: err,
		}
	case strings.Contains(err.Error(), "path escapes from parent"):
		return &gate.Refusal{
			Code: "store-escape", What: "a symbolic link leads out of the folder", Where: where,
			Expected: "a path that stays inside", Fix: "remove the link; to keep a bucket elsewhere, give its place as file:///absolute/path", Cause: err,
		}
	}
	return fmt.Errorf("%s %s: %w", verb, where, err)
}

// notAFile refuses what is in a bucket but is neither a regular file nor a folder.
func notAFile(where string, mode fs.FileMode) error {
	return &gate.Refusal{
		Code: "store-not-a-file", What: "a bucket holds regular files and nothing else", Where: where,
		Expected: "a regular file", Actual: kindOf(mode), Fix: "find out who put it there, and remove it",
	}
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "an irregular file"
}
