package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rogpeppe/go-internal/testscript"
)

// canMount reports whether this process may mount file systems: as root, and not in every container.
var canMount = sync.OnceValue(func() bool {
	dir, err := os.MkdirTemp("", "sello-mount-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		return false
	}
	return unix.Unmount(dir, 0) == nil
})

// tmpfs makes a folder a small file system of its own, or changes the one that it is: tmpfs DIR size=256k, and tmpfs DIR
// size=4m,ro. It ends with the session.
func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tmpfs DIR OPTIONS")
	}
	dir, flags, options := ts.MkAbs(args[0]), uintptr(0), args[1]
	if size, ok := strings.CutSuffix(options, ",ro"); ok {
		flags, options = unix.MS_RDONLY, size
	}
	if mounted(ts, dir) {
		ts.Check(unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, options))
		return
	}
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(unix.Mount("tmpfs", dir, "tmpfs", flags, options+",mode=755"))
	ts.Defer(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// mounted reports whether dir is another file system than the folder above it.
func mounted(ts *testscript.TestScript, dir string) bool {
	var own, above unix.Stat_t
	if err := unix.Lstat(dir, &own); err != nil {
		return false
	}
	ts.Check(unix.Lstat(filepath.Dir(dir), &above))
	return own.Dev != above.Dev
}
