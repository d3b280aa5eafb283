package bubblewrap

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/engine"
)

// Descriptors that bwrap gets, in the order of ExtraFiles. It closes all of them before the command starts.
const (
	fdArgs    = 3 + iota // its options, so that /proc/1/cmdline does not show them to the step
	fdSeccomp            // the filter
	fdBlock              // it waits here before the command
	fdStatus             // it reports here
)

// uid and gid are the step's identity in its user namespace.
const uid = "65534"

// devices are what bwrap's minimal /dev binds from the host, by name. See guardDevices.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// maskedFiles and maskedFolders of /proc speak of the machine, and root's step could read them.
var (
	maskedFiles = []string{"iomem", "ioports", "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats",
		"sched_debug", "slabinfo", "sysrq-trigger", "timer_list", "timer_stats", "vmallocinfo"}
	maskedFolders = []string{"acpi", "asound", "scsi"}
)

// options is the sandbox in bwrap's words.
func options(p program, s engine.Step, t top, tmp string) []string {
	o := []string{
		"--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
		"--uid", uid, "--gid", uid, "--hostname", "sello", "--cap-drop", "ALL", "--die-with-parent", "--new-session",
		"--seccomp", fmt.Sprint(fdSeccomp), "--block-fd", fmt.Sprint(fdBlock), "--json-status-fd", fmt.Sprint(fdStatus),
		"--proc", "/proc", "--dev", "/dev", "--bind", tmp, "/tmp",
	}
	if p.atLeast(8) {
		o = append(o, "--disable-userns")
	}
	for _, f := range maskedFiles {
		if exists("/proc/" + f) {
			o = append(o, "--ro-bind", "/dev/null", "/proc/"+f)
		}
	}
	for _, d := range maskedFolders {
		if exists("/proc/" + d) {
			o = append(o, "--tmpfs", "/proc/"+d, "--remount-ro", "/proc/"+d)
		}
	}
	for _, l := range t.links {
		o = append(o, "--symlink", l.to, l.at)
	}
	for _, m := range slices.Concat(t.mounts, s.Mounts) {
		bind := "--ro-bind"
		if m.Writable {
			bind = "--bind"
		}
		o = append(o, bind, m.Host, m.Target)
	}
	o = append(o, "--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/")
	for _, k := range slices.Sorted(maps.Keys(s.Env)) {
		o = append(o, "--setenv", k, s.Env[k])
	}
	dir := s.Dir
	if dir == "" {
		dir = "/tmp"
	}
	return append(o, "--chdir", dir)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// memory gives a descriptor that reads data: it never touches a disk and has no name.
func memory(name string, data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", name, os.NewSyscallError("memfd_create", err))
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return f, nil
}

// closeOnExec marks every descriptor above 2, so that none is inherited but those that exec.Cmd hands on itself.
func closeOnExec() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	// Linux before 5.11
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list descriptors: %w", err)
	}
	for _, e := range entries {
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
