//go:build unix

package engine

import (
	"io/fs"
	"syscall"
)

func occupied(fi fs.FileInfo) int64 {
	n := int64(0)
	if fi.Mode().IsRegular() {
		n = fi.Size()
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		n = max(n, int64(st.Blocks)*512)
	}
	return n
}

// inode identifies a file on its machine; links is how many names it has.
func inode(fi fs.FileInfo) (id [2]uint64, links uint64, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return id, 0, false
	}
	return [2]uint64{uint64(st.Dev), uint64(st.Ino)}, uint64(st.Nlink), true
}
