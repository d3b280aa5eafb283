//go:build unix

package store

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

const openNonblock = unix.O_NONBLOCK

func isNoSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

func isReadOnly(err error) bool { return errors.Is(err, unix.EROFS) }

func isNotDir(err error) bool { return errors.Is(err, unix.ENOTDIR) }

// syncFolder makes new names in dir durable. File systems that cannot sync a folder say EINVAL.
func syncFolder(root *os.Root, dir string) error {
	f, err := root.Open(path.Join(".", dir))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
