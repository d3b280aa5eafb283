package bubblewrap

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/gate"
)

// onOwnThread runs do on a thread that serves nothing else, and returns when do has. bwrap dies with the
// thread that started it, so that thread has to stay; and as root it is in a mount namespace of its own, in which
// the devices that a step gets are read-only. That does not touch reading and writing them, but
// keeps a step, whose files are root's on the host, from changing their modes there.
func onOwnThread(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if os.Geteuid() != 0 {
			defer runtime.UnlockOSThread()
			done <- do()
			return
		}
		if unix.Gettid() == os.Getpid() {
			// The process's first thread must keep its namespace: others look there. While it is taken, this is another one.
			defer runtime.UnlockOSThread()
			done <- onOwnThread(do)
			return
		}
		// Without unlocking, the thread ends with this goroutine, and its namespace too.
		if err := guardDevices(); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// guardDevices gives the calling thread a mount namespace in which devices are read-only.
func guardDevices() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return unguarded("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return unguarded("make mounts private", err)
	}
	for _, d := range devices {
		path := "/dev/" + d
		if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
			return unguarded("bind "+path, err)
		}
		if err := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
			return unguarded("remount "+path, err)
		}
	}
	return nil
}

func unguarded(what string, err error) error {
	return &gate.Refusal{Code: "sandbox-failed", Class: gate.Failed, What: "root's devices cannot be kept from the step", Expected: "the right to make mount namespaces, as root has it",
		Actual: fmt.Sprintf("%s: %v", what, err), Cause: err, Fix: "stage as an ordinary user, or give the container CAP_SYS_ADMIN"}
}
