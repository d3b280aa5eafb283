package bubblewrap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/gate"
)

// denied are the system calls that fail with EPERM. A name that an architecture does not have is
// passed over.
var denied = []string{
	// looking into and steering other processes
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "perf_event_open", "userfaultfd",
	// mounts and roots
	"mount", "umount2", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "open_tree_attr", "mount_setattr", "pivot_root", "chroot",
	"name_to_handle_at", "open_by_handle_at", "swapon", "swapoff", "quotactl", "quotactl_fd", "fanotify_init",
	// namespaces
	"unshare", "setns",
	// keys of the host
	"keyctl", "add_key", "request_key",
	// the kernel itself
	"bpf", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "syslog", "acct", "vhangup",
	"iopl", "ioperm", "modify_ldt", "uselib", "ustat", "sysfs", "_sysctl", "lookup_dcookie", "nfsservctl", "personality",
	"io_uring_setup", "io_uring_enter", "io_uring_register", "migrate_pages", "move_pages",
	// the host's clock and names
	"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname",
}

// newNamespaces are the flags of clone that make namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// setIDs are the mode bits that a step may give no file: as root its files are root's on the host.
const setIDs = unix.S_ISUID | unix.S_ISGID

// creates are the flags with which open looks at its mode.
const creates = unix.O_CREAT | (unix.O_TMPFILE &^ unix.O_DIRECTORY)

// conditional are the system calls that fail with EPERM when all of their conditions hold.
var conditional = []seccomp.NameWithConditions{
	{Name: "clone", Conditions: seccomp.ArgumentConditions{anyOf(0, newNamespaces)}},
	{Name: "chmod", Conditions: seccomp.ArgumentConditions{anyOf(1, setIDs)}},
	{Name: "fchmod", Conditions: seccomp.ArgumentConditions{anyOf(1, setIDs)}},
	{Name: "fchmodat", Conditions: seccomp.ArgumentConditions{anyOf(2, setIDs)}},
	{Name: "fchmodat2", Conditions: seccomp.ArgumentConditions{anyOf(2, setIDs)}},
	{Name: "creat", Conditions: seccomp.ArgumentConditions{anyOf(1, setIDs)}},
	{Name: "mknod", Conditions: seccomp.ArgumentConditions{anyOf(1, setIDs)}},
	{Name: "mknodat", Conditions: seccomp.ArgumentConditions{anyOf(2, setIDs)}},
	{Name: "open", Conditions: seccomp.ArgumentConditions{anyOf(1, creates), anyOf(2, setIDs)}},
	{Name: "openat", Conditions: seccomp.ArgumentConditions{anyOf(2, creates), anyOf(3, setIDs)}},
}

func anyOf(argument uint32, mask uint64) seccomp.Condition {
	return seccomp.Condition{Argument: argument, Operation: seccomp.BitsSet, Value: mask}
}

// families are the socket families that exist in a network namespace of its own. AF_VSOCK for one is not confined by it.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

// filter gives the seccomp program of this machine's architecture as bwrap reads it: an array of struct sock_filter.
var filter = sync.OnceValues(func() ([]byte, error) {
	program, err := assemble()
	if err != nil {
		return nil, err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("assemble seccomp filter: %w", err)
	}
	var b bytes.Buffer
	for _, r := range raw {
		if err := binary.Write(&b, binary.NativeEndian, r); err != nil {
			return nil, fmt.Errorf("assemble seccomp filter: %w", err)
		}
	}
	return b.Bytes(), nil
})

// Offsets in struct seccomp_data. See seccomp(2).
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// assemble puts what the library cannot express in front of what it can. It compares whole 64-bit arguments, and
// lets foreign ABIs take the default; the kernel looks only at the low half of ioctl's request and socket's family.
func assemble() ([]bpf.Instruction, error) {
	info, err := arch.GetInfo("")
	if err != nil || (info != arch.X86_64 && info != arch.AARCH64) {
		return nil, &gate.Refusal{Code: "sandbox-unavailable", Class: gate.Failed, What: "there is no seccomp filter for this architecture",
			Expected: "amd64 or arm64", Actual: runtime.GOARCH, Fix: "stage on an amd64 or arm64 machine"}
	}
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(info.ID), SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS},
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
	}
	program = append(program, lowArgument(info.SyscallNames["ioctl"], 1,
		append(whenIn([]uint32{unix.TIOCSTI, unix.TIOCLINUX}, bpf.RetConstant{Val: errno(unix.EPERM)}), bpf.LoadAbsolute{Off: offsetNumber, Size: 4}))...)
	program = append(program, lowArgument(info.SyscallNames["socket"], 0,
		append(unlessIn(families, bpf.RetConstant{Val: errno(unix.EAFNOSUPPORT)}), bpf.LoadAbsolute{Off: offsetNumber, Size: 4}))...)
	rest, err := policyFor(info).Assemble()
	if err != nil {
		return nil, fmt.Errorf("assemble seccomp filter: %w", err)
	}
	return append(program, rest...), nil
}

// lowArgument runs body on the low half of an argument of the system call number; body ends by loading the number again.
func lowArgument(number int, argument uint32, body []bpf.Instruction) []bpf.Instruction {
	off := offsetArgs + 8*argument
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		off += 4
	}
	head := []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(number), SkipTrue: uint8(len(body) + 1)},
		bpf.LoadAbsolute{Off: off, Size: 4},
	}
	return append(head, body...)
}

func whenIn(values []uint32, then bpf.Instruction) []bpf.Instruction {
	var p []bpf.Instruction
	for _, v := range values {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: v, SkipTrue: 1}, then)
	}
	return p
}

func unlessIn(values []uint32, then bpf.Instruction) []bpf.Instruction {
	var p []bpf.Instruction
	for i, v := range values {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return append(p, then)
}

func errno(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

// policyFor is the part of the filter that the library assembles: it refuses x32 by itself.
func policyFor(info *arch.Info) *seccomp.Policy {
	has := func(name string) bool { _, ok := info.SyscallNames[name]; return ok }
	refuse := seccomp.SyscallGroup{Action: seccomp.ActionErrno}
	for _, name := range denied {
		if has(name) {
			refuse.Names = append(refuse.Names, name)
		}
	}
	for _, c := range conditional {
		if has(c.Name) {
			refuse.NamesWithCondtions = append(refuse.NamesWithCondtions, c)
		}
	}
	return &seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{
		refuse,
		// Their flags and modes lie in memory, where a filter cannot look; programs fall back to clone and openat.
		{Names: []string{"clone3", "openat2"}, Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)},
	}}
}
