//go:build linux || darwin

package source

import (
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// setLinkTime sets a symbolic link's own time.
func setLinkTime(root *os.Root, p string, t time.Time) error {
	dir, err := root.Open(path.Dir(p))
	if err != nil {
		return err
	}
	defer dir.Close()
	stamp, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(dir.Fd()), path.Base(p), []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
}
