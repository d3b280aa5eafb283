//go:build unix

package release

import "golang.org/x/sys/unix"

// available gives the bytes that this user can still write in a folder.
func available(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
