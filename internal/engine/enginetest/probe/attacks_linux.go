package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func name(e syscall.Errno) string { return unix.ErrnoName(e) }

func attacks() map[string]action {
	return map[string]action{
		"tcp": tcp, "udp": udp, "dns": dns, "unix": unixSocket, "vsock": vsock, "family": family,
		"ptrace": ptrace, "mount": mount, "unshare": unshare, "clone-userns": cloneUserns, "clone3": clone3, "setns": setns, "keyctl": keyctl, "bpf": bpf,
		"io_uring": ioUring, "userfaultfd": userfaultfd, "perf": perf, "personality": personality, "tiocsti": tiocsti, "tiocsti-high": tiocstiHigh, "x32": x32,
		"chroot": chroot, "handle": handle, "module": module, "settime": settime, "vm-read": vmRead,
		"kill": kill, "mknod": mknod, "mkfifo": mkfifo, "symlink": symlink, "setuid": setuid, "setuid-open": setuidOpen, "chmod": chmod, "open-write": openWrite,
		"fork-bomb": forkBomb, "fill-unlinked": fillUnlinked, "fds": fds, "hunt": hunt, "hunt-here": huntHere, "hold": hold, "privileges": privileges, "fallocate": fallocate, "orphan": orphan,
	}
}

// tcp ADDRESS
func tcp(a []string) error {
	c, err := net.DialTimeout("tcp", a[0], 3*time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// udp ADDRESS
func udp(a []string) error {
	c, err := net.DialTimeout("udp", a[0], 3*time.Second)
	if err != nil {
		return err
	}
	_, err = c.Write([]byte("probe"))
	return err
}

// dns ADDRESS asks the server at that address.
func dns(a []string) error {
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", a[0])
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_, err := r.LookupHost(ctx, "example.org")
	return err
}

// unix PATH, where @ starts an abstract name.
func unixSocket(a []string) error {
	c, err := net.DialTimeout("unix", a[0], 3*time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

func vsock([]string) error { return family([]string{strconv.Itoa(unix.AF_VSOCK)}) }

// family NUMBER opens a socket of that family.
func family(a []string) error {
	n, _ := strconv.Atoi(a[0])
	fd, err := unix.Socket(n, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func raw(number uintptr, a ...uintptr) error {
	var p [6]uintptr
	copy(p[:], a)
	_, _, e := syscall.Syscall6(number, p[0], p[1], p[2], p[3], p[4], p[5])
	if e != 0 {
		return e
	}
	return nil
}

func ptrace([]string) error {
	child := exec.Command("/proc/self/exe", "spin")
	if err := child.Start(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	return unix.PtraceAttach(child.Process.Pid)
}

func mount(a []string) error     { return unix.Mount("none", a[0], "tmpfs", 0, "") }
func unshare([]string) error     { return unix.Unshare(unix.CLONE_NEWUSER) }
func chroot([]string) error      { return unix.Chroot("/tmp") }
func userfaultfd([]string) error { return raw(unix.SYS_USERFAULTFD, 0) }
func personality([]string) error { return raw(unix.SYS_PERSONALITY, 0x0040000) }

func cloneUserns([]string) error {
	c := exec.Command("/proc/self/exe", "exit", "0")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	return c.Run()
}

// clone3 with an empty struct: the kernel would say EINVAL.
func clone3([]string) error {
	var args [88]byte
	return raw(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), 0)
}

func setns([]string) error {
	fd, err := unix.Open("/proc/1/ns/net", unix.O_RDONLY, 0)
	if err != nil {
		fd = -1
	}
	return unix.Setns(fd, 0)
}

func keyctl([]string) error {
	_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_SESSION_KEYRING, false)
	return err
}

func bpf([]string) error {
	var attr [128]byte
	return raw(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
}

func ioUring([]string) error {
	var params [120]byte
	return raw(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)))
}

func perf([]string) error {
	_, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: unix.PERF_ATTR_SIZE_VER0}, 0, -1, -1, 0)
	return err
}

// tiocsti and tiocsti-high: the kernel ignores the high half of the request, so a filter has to as well.
func tiocsti([]string) error {
	c := byte('x')
	return raw(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
}

func tiocstiHigh([]string) error {
	c, high := byte('x'), uintptr(1)
	for range 33 {
		high <<= 1 // nothing is left of it on a 32-bit machine
	}
	return raw(unix.SYS_IOCTL, 0, unix.TIOCSTI|high, uintptr(unsafe.Pointer(&c)))
}

// x32 calls getpid by the number of another ABI; only amd64 has it.
func x32([]string) error { return raw(0x40000000 | unix.SYS_GETPID) }

func handle([]string) error {
	_, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/", 0)
	return err
}

func module([]string) error { return unix.DeleteModule("no_such_module", 0) }

// settime sets the clock to what it is.
func settime([]string) error {
	now := unix.NsecToTimeval(time.Now().UnixNano())
	return unix.Settimeofday(&now)
}

func vmRead([]string) error {
	b := make([]byte, 8)
	local := []unix.Iovec{{Base: &b[0], Len: 8}}
	_, err := unix.ProcessVMReadv(os.Getpid(), local, []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&b[0])), Len: 8}}, 0)
	return err
}

// kill PID… signals the given host processes, with a signal that does nothing.
func kill(a []string) error {
	for _, p := range a {
		pid, _ := strconv.Atoi(p)
		if err := unix.Kill(pid, 0); err != nil {
			return err
		}
	}
	return nil
}

func mknod(a []string) error   { return unix.Mknod(a[0], unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) }
func mkfifo(a []string) error  { return unix.Mkfifo(a[0], 0o666) }
func symlink(a []string) error { return os.Symlink(a[0], a[1]) }
func setuidOpen(a []string) error {
	return unix.Close(must(unix.Open(a[0], unix.O_CREAT|unix.O_WRONLY, 0o4755)))
}

func must(fd int, err error) int {
	if err != nil {
		fmt.Printf("denied: %v\n", err)
		os.Exit(exitDenied)
	}
	return fd
}

// setuid FILE
func setuid(a []string) error {
	if err := os.WriteFile(a[0], nil, 0o755); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return os.Chmod(a[0], 0o755|os.ModeSetuid)
}

// chmod FILE to the mode that it has.
func chmod(a []string) error {
	fi, err := os.Stat(a[0])
	if err != nil {
		return err
	}
	return os.Chmod(a[0], fi.Mode())
}

// open-write FILE opens an existing file for writing, and writes nothing.
func openWrite(a []string) error {
	f, err := os.OpenFile(a[0], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// fork-bomb starts 300 children, each of which waits 20 seconds.
func forkBomb([]string) error {
	for range 300 {
		c := exec.Command("/proc/self/exe", "wait-child")
		c.Args = []string{"probe", "sleep", "20", "child"}
		if err := c.Start(); err != nil {
			fmt.Println(err)
			time.Sleep(10 * time.Millisecond)
		}
	}
	time.Sleep(5 * time.Second)
	return nil
}

// fill-unlinked DIR MIB writes to files that have no name.
func fillUnlinked(a []string) error {
	n, _ := strconv.Atoi(a[1])
	b := make([]byte, 1<<20)
	var kept []*os.File
	for i := range min(n, 400) / 10 {
		f, err := os.Create(filepath.Join(a[0], fmt.Sprint("unlinked-", i)))
		if err != nil {
			return err
		}
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
		kept = append(kept, f)
		for range 10 {
			if _, err := f.Write(b); err != nil {
				return err
			}
		}
	}
	time.Sleep(5 * time.Second)
	fmt.Println(len(kept))
	return nil
}

// fallocate FILE MIB takes space beyond the end of a file.
func fallocate(a []string) error {
	n, _ := strconv.Atoi(a[1])
	f, err := os.Create(a[0])
	if err != nil {
		return err
	}
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, int64(min(n, 400))<<20); err != nil {
		return err
	}
	time.Sleep(3 * time.Second)
	return nil
}

// fds prints every open descriptor above 2 but the one that lists them, and those of the runtime's poller.
func fds([]string) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if n, _ := strconv.Atoi(e.Name()); err == nil && n > 2 && !strings.HasPrefix(to, "anon_inode:[event") {
			fmt.Println(e.Name(), to)
		}
	}
	return nil
}

// hunt REVERSED PATH… looks for a secret, given backwards, in all that can be read: every file, what huntHere
// looks at, and sockets that can be connected to.
func hunt(a []string) error {
	secret := backwards(a[0])
	found := near(secret, a[1:])
	seen := 0
	_ = filepath.WalkDir("/", func(p string, d os.DirEntry, err error) error {
		if err != nil || p == "/proc" {
			if d != nil && d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if seen++; seen > 200_000 {
			return filepath.SkipAll
		}
		if d.Type().IsRegular() && holds(p, secret) || d.Type()&os.ModeSocket != 0 && unixSocket([]string{p}) == nil {
			found = append(found, p)
		}
		return nil
	})
	return verdict(found)
}

// huntHere is hunt without the walk over all files.
func huntHere(a []string) error { return verdict(near(backwards(a[0]), a[1:])) }

func backwards(s string) string {
	r := []byte(s)
	slices.Reverse(r)
	return string(r)
}

func verdict(found []string) error {
	if len(found) == 0 {
		return errors.New("nothing found")
	}
	fmt.Println("found:", found)
	return nil
}

// near looks into the environment, command line and descriptors of every process, and at the named files and sockets.
func near(secret string, paths []string) []string {
	var found []string
	pids, _ := filepath.Glob("/proc/[0-9]*")
	for _, pid := range pids {
		for _, f := range []string{"environ", "cmdline"} {
			if holds(filepath.Join(pid, f), secret) {
				found = append(found, filepath.Join(pid, f))
			}
		}
		open, _ := filepath.Glob(pid + "/fd/*")
		for _, f := range open {
			if fi, err := os.Stat(f); err == nil && fi.Mode().IsRegular() && holds(f, secret) {
				found = append(found, f)
			}
		}
	}
	for _, p := range paths {
		if unixSocket([]string{p}) == nil || holds(p, secret) {
			found = append(found, p)
		}
	}
	return found
}

// holds reports whether the first 4 MiB of a file hold the secret.
func holds(p, secret string) bool {
	f, err := os.Open(p)
	if err != nil {
		return false
	}
	defer f.Close()
	b, _ := bufio.NewReaderSize(f, 4<<20).Peek(4 << 20)
	return strings.Contains(string(b), secret)
}

// hold FILE takes a lock on a file, starts a child that has it too, leaves the session, and waits.
func hold(a []string) error {
	f, err := os.OpenFile(a[0], os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	c := exec.Command("/proc/self/exe", "sleep", "60", "child")
	c.ExtraFiles = []*os.File{f}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	if _, err := f.WriteString("held"); err != nil {
		return err
	}
	if len(a) > 1 { // leave the child behind
		return nil
	}
	time.Sleep(60 * time.Second)
	return nil
}

// orphan FILE: as hold, but ends at once.
func orphan(a []string) error { return hold(append(a, "leave")) }

// privileges prints what /proc says about this process.
func privileges([]string) error {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if k, _, _ := strings.Cut(line, ":"); slices.Contains([]string{"CapEff", "CapBnd", "CapPrm", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp", "Uid"}, k) {
			fmt.Println(strings.Join(strings.Fields(line), " "))
		}
	}
	return nil
}
