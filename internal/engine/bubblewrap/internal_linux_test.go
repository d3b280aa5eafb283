package bubblewrap

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
)

// amd64Only are the refused system calls that arm64 never had.
var amd64Only = []string{"iopl", "ioperm", "modify_ldt", "uselib", "ustat", "sysfs", "_sysctl", "chmod", "creat", "mknod", "open"}

// gone are those that the library's tables may lack, because they are too new or no kernel has them any more.
var gone = []string{"nfsservctl", "open_tree_attr", "_sysctl", "lookup_dcookie"}

func TestFilterNames(t *testing.T) {
	names := slices.Clone(denied)
	for _, c := range conditional {
		names = append(names, c.Name)
	}
	for _, n := range names {
		if slices.Contains(gone, n) {
			continue
		}
		if _, ok := arch.X86_64.SyscallNames[n]; !ok {
			t.Errorf("amd64 has no system call %s", n)
		}
		if _, ok := arch.AARCH64.SyscallNames[n]; !ok && !slices.Contains(amd64Only, n) {
			t.Errorf("arm64 has no system call %s", n)
		}
	}
}

// seccompData is struct seccomp_data as the simulated machine reads it: each word big-endian.
func seccompData(number int, audit uint32, args ...uint64) []byte {
	b := make([]byte, 64)
	binary.BigEndian.PutUint32(b[offsetNumber:], uint32(number))
	binary.BigEndian.PutUint32(b[offsetArch:], audit)
	for i, a := range args {
		binary.BigEndian.PutUint32(b[offsetArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(b[offsetArgs+8*i+4:], uint32(a>>32))
	}
	return b
}

func TestFilter(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil || binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		t.Skipf("no filter for %s", runtime.GOARCH)
	}
	program, err := assemble()
	if err != nil {
		t.Skipf("no filter for %s: %v", runtime.GOARCH, err)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	const allow, kill = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_KILL_PROCESS
	eperm, enosys, family := errno(unix.EPERM), errno(unix.ENOSYS), errno(unix.EAFNOSUPPORT)
	const high = 1 << 40
	for _, tc := range []struct {
		call string
		args []uint64
		want uint32
	}{
		{"read", nil, allow}, {"execve", nil, allow}, {"seccomp", nil, allow},
		{"ptrace", nil, eperm}, {"keyctl", nil, eperm}, {"io_uring_enter", nil, eperm}, {"migrate_pages", nil, eperm},
		{"clone3", nil, enosys}, {"openat2", nil, enosys},
		{"clone", []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, allow},
		{"clone", []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, eperm},
		{"clone", []uint64{high | unix.CLONE_NEWNET}, eperm},
		{"ioctl", []uint64{0, unix.TCGETS}, allow}, {"ioctl", []uint64{unix.TIOCSTI, unix.TCGETS}, allow},
		{"ioctl", []uint64{0, unix.TIOCSTI}, eperm}, {"ioctl", []uint64{0, high | unix.TIOCSTI}, eperm}, {"ioctl", []uint64{0, unix.TIOCLINUX}, eperm},
		{"socket", []uint64{unix.AF_UNIX}, allow}, {"socket", []uint64{unix.AF_INET}, allow}, {"socket", []uint64{unix.AF_INET6}, allow}, {"socket", []uint64{high | unix.AF_NETLINK}, allow},
		{"socket", []uint64{unix.AF_VSOCK}, family}, {"socket", []uint64{high | unix.AF_VSOCK}, family}, {"socket", []uint64{0}, family}, {"socket", []uint64{unix.AF_ALG}, family},
		{"fchmodat", []uint64{0, 0, 0o755}, allow}, {"fchmodat", []uint64{0, 0, 0o4755}, eperm}, {"fchmod", []uint64{0, 0o2755}, eperm}, {"fchmod", []uint64{0, 0o1777}, allow},
		{"openat", []uint64{0, 0, unix.O_RDONLY, 0o6000}, allow}, {"openat", []uint64{0, 0, unix.O_CREAT, 0o644}, allow},
		{"openat", []uint64{0, 0, unix.O_CREAT | unix.O_WRONLY, 0o4755}, eperm}, {"openat", []uint64{0, 0, unix.O_TMPFILE | unix.O_RDWR, 0o4755}, eperm},
		{"openat", []uint64{0, 0, unix.O_DIRECTORY, 0o6777}, allow},
		{"mknodat", []uint64{0, 0, unix.S_IFREG | 0o4755}, eperm}, {"mknodat", []uint64{0, 0, unix.S_IFIFO | 0o644}, allow},
	} {
		number, ok := info.SyscallNames[tc.call]
		if !ok {
			t.Errorf("no system call %s", tc.call)
			continue
		}
		got, err := vm.Run(seccompData(number, uint32(info.ID), tc.args...))
		if err != nil || uint32(got) != tc.want {
			t.Errorf("%s(%#x): %#x, %v, want %#x", tc.call, tc.args, uint32(got), err, tc.want)
		}
		if got, err := vm.Run(seccompData(number, uint32(arch.I386.ID), tc.args...)); err != nil || uint32(got) != kill {
			t.Errorf("%s of another architecture: %#x, %v, want it to kill", tc.call, uint32(got), err)
		}
	}
	if info == arch.X86_64 {
		if got, err := vm.Run(seccompData(0x40000000|info.SyscallNames["read"], uint32(info.ID))); err != nil || uint32(got) != enosys {
			t.Errorf("x32: %#x, %v", uint32(got), err)
		}
	}
}

const goodMounts = `65 42 0:40 /newroot / ro,nosuid,nodev,relatime - tmpfs tmpfs rw
66 65 254:0 /src /src ro,nosuid,nodev,relatime shared:3 - ext4 /dev/vda rw
67 65 254:0 /out /o\040ut rw,nosuid,nodev,relatime - ext4 /dev/vda rw
68 65 254:0 /t /tmp rw,nosuid,nodev,relatime - ext4 /dev/vda rw
69 65 0:41 / /proc ro,nosuid,nodev,noexec,relatime - proc proc rw
70 69 0:41 /irq /proc/irq ro,nosuid,nodev,noexec,relatime - proc proc rw
71 65 0:42 / /dev ro,nosuid,nodev,relatime - tmpfs tmpfs rw,mode=755
72 71 0:6 /null /dev/null ro,nosuid,relatime - devtmpfs devtmpfs rw
73 71 0:43 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw
`

var goodSteps = []engine.Mount{{Target: "/src"}, {Target: "/o ut", Writable: true}}

func TestCheckMounts(t *testing.T) {
	if err := checkMounts([]byte(goodMounts), goodSteps, true); err != nil {
		t.Fatal(err)
	}
	inside := goodMounts + "74 66 0:50 / /src/inner ro,nosuid,nodev - tmpfs tmpfs rw\n"
	if err := checkMounts([]byte(inside), goodSteps, true); err != nil {
		t.Errorf("a read-only mount inside a material: %v", err)
	}
	writableNull := strings.Replace(goodMounts, "/dev/null ro", "/dev/null rw", 1)
	if err := checkMounts([]byte(writableNull), goodSteps, false); err != nil {
		t.Errorf("an ordinary user's devices are root's: %v", err)
	}
	for name, table := range map[string]string{
		"writable root":          strings.Replace(goodMounts, "/ ro,", "/ rw,", 1),
		"writable material":      strings.Replace(goodMounts, "/src ro,", "/src rw,", 1),
		"writable proc":          strings.Replace(goodMounts, "/proc ro,", "/proc rw,", 1),
		"writable dev":           strings.Replace(goodMounts, "/dev ro,", "/dev rw,", 1),
		"writable device":        writableNull,
		"suid output":            strings.Replace(goodMounts, "/o\\040ut rw,nosuid,", "/o\\040ut rw,", 1),
		"devices in an output":   strings.Replace(goodMounts, "/o\\040ut rw,nosuid,nodev,", "/o\\040ut rw,nosuid,", 1),
		"no material":            strings.Replace(goodMounts, "/src /src", "/src /other", 1),
		"no proc":                strings.Replace(goodMounts, "/ /proc ", "/ /proc2 ", 1),
		"host's ptys":            strings.Replace(goodMounts, "devpts devpts", "tmpfs tmpfs", 1),
		"another device":         goodMounts + "74 71 0:6 /vda /dev/vda ro,nosuid - devtmpfs devtmpfs rw\n",
		"shared memory":          goodMounts + "74 71 0:6 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw\n",
		"the host's root":        goodMounts + "74 65 0:6 / /oldroot ro,nosuid,nodev - ext4 /dev/vda rw\n",
		"a mount in an output":   goodMounts + "74 67 0:6 / /o\\040ut/x ro,nosuid,nodev - ext4 /dev/vda rw\n",
		"a writable inner mount": goodMounts + "74 66 0:6 / /src/x rw,nosuid,nodev - ext4 /dev/vda rw\n",
	} {
		if err := checkMounts([]byte(table), goodSteps, true); gate.Code(err) != "isolation-missing" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkMounts([]byte("nonsense\n"), goodSteps, true); err == nil {
		t.Error("nonsense passes")
	}
}

// FuzzCheckMounts holds that no mount table passes in which something outside of the step's mounts can be written to.
func FuzzCheckMounts(f *testing.F) {
	f.Add([]byte(goodMounts))
	f.Add([]byte(strings.ReplaceAll(goodMounts, "ro,", "rw,")))
	f.Add([]byte("1 2 3 \\057 \\057\\ rw - x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if checkMounts(b, goodSteps, true) != nil {
			return
		}
		for line := range strings.Lines(string(b)) {
			fields := strings.Fields(line)
			if at := unescape(fields[4]); !slices.Contains(strings.Split(fields[5], ","), "ro") && at != "/o ut" && at != "/tmp" && at != "/dev/pts" {
				t.Errorf("passes: %q", line)
			}
		}
	})
}

func TestParseStatus(t *testing.T) {
	got := parseStatus([]byte("Name:\tx\nState:\tS (sleeping)\nCapInh:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"))
	if want := (status{state: "S", noNewPrivs: true, seccomp: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := parseStatus([]byte("CapBnd:\t0000000000000400\nSeccomp:\t1\nNoNewPrivs:\t0\n")); got != (status{caps: true}) {
		t.Errorf("%+v", got)
	}
}

func TestNotLoopback(t *testing.T) {
	head := "Inter-|   Receive  |  Transmit\n face |bytes    packets |bytes\n"
	if got := notLoopback([]byte(head + "    lo:       0       0\n")); got != nil {
		t.Errorf("%q", got)
	}
	if got := notLoopback([]byte(head + "    lo: 0\n  eth0: 0\nwlan0:12\n")); !slices.Equal(got, []string{"eth0", "wlan0"}) {
		t.Errorf("%q", got)
	}
}

func TestFindHierarchies(t *testing.T) {
	v1 := findHierarchies("9:name=systemd:/\n8:pids:/\n4:memory:/api/x\n3:cpu,cpuacct:/\n0::/\n",
		"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"+
			"32 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n")
	if v1.v1["memory"] != "/sys/fs/cgroup/memory/api/x" || v1.v1["pids"] != "/sys/fs/cgroup/pids" || v1.v1["cpuacct"] != "/sys/fs/cgroup/cpu,cpuacct" || v1.v2 != "/sys/fs/cgroup/unified" {
		t.Errorf("%+v", v1)
	}
	v2 := findHierarchies("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n", "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n")
	if v2.v2 != "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope" || v2.v2top != "/sys/fs/cgroup" {
		t.Errorf("%+v", v2)
	}
	part := findHierarchies("4:memory:/docker/abc/x\n0::/other\n", "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n30 23 0:26 /docker /sys/fs/cgroup/u rw - cgroup2 cgroup2 rw\n")
	if part.v1["memory"] != "/sys/fs/cgroup/memory/x" || part.v2 != "" {
		t.Errorf("%+v", part)
	}
}

// kernelGroup makes a folder as the kernel would show a control group's.
func kernelGroup(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCgroupCounters(t *testing.T) {
	dir := t.TempDir()
	kernelGroup(t, dir, map[string]string{"memory.events": "low 0\noom 3\noom_kill 1\n", "pids.events": "max 0\n", "cpu.stat": "usage_usec 1500000\nuser_usec 1\n", "cgroup.procs": ""})
	g := cgroup{memory: dir, pids: dir, cpu: dir, v2: true}
	if memory, tasks := g.exceeded(); !memory || tasks {
		t.Errorf("memory %t, tasks %t", memory, tasks)
	}
	if got := g.used(); got != 1500*time.Millisecond {
		t.Errorf("used %s", got)
	}
	if g.add(42); g.memory == "" || g.pids == "" {
		t.Errorf("%+v", g)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs")); string(b) != "42" {
		t.Errorf("cgroup.procs holds %q", b)
	}
	one := t.TempDir()
	kernelGroup(t, one, map[string]string{"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", "pids.events": "max 5\n", "cpuacct.usage": "2000000000\n"})
	g = cgroup{memory: one, pids: one, cpu: one}
	if memory, tasks := g.exceeded(); memory || !tasks {
		t.Errorf("memory %t, tasks %t", memory, tasks)
	}
	if got := g.used(); got != 2*time.Second {
		t.Errorf("used %s", got)
	}
	if err := (&cgroup{}).remove(); err != nil {
		t.Error(err)
	}
	none := cgroup{v2: true}
	if memory, tasks := none.exceeded(); memory || tasks || none.used() != 0 {
		t.Error("a group that is not there has counters")
	}
}

// TestCgroupV2Parent holds that the search goes up to a folder whose children get both controllers, and no higher than the mount.
func TestCgroupV2Parent(t *testing.T) {
	top := t.TempDir()
	own := filepath.Join(top, "a.slice", "b.scope")
	kernelGroup(t, own, map[string]string{"cgroup.subtree_control": ""})
	kernelGroup(t, filepath.Join(top, "a.slice"), map[string]string{"cgroup.subtree_control": "cpu memory pids\n"})
	if got := v2Parents(hierarchies{v2: own, v2top: top}); !slices.Equal(got, []string{filepath.Join(top, "a.slice")}) {
		t.Errorf("parents %q", got)
	}
	kernelGroup(t, filepath.Join(top, "a.slice"), map[string]string{"cgroup.subtree_control": "cpu memory\n"})
	if got := v2Parents(hierarchies{v2: own, v2top: top}); got != nil {
		t.Errorf("parents %q", got)
	}
	if got := v2Parents(hierarchies{}); got != nil {
		t.Errorf("parents %q", got)
	}
}

func TestDiagnose(t *testing.T) {
	const denied = "bwrap: setting up uid map: Permission denied"
	for _, tc := range []struct {
		name string
		f    facts
		code string
		fix  string
	}{
		{"switched off by number", facts{output: "bwrap: No permissions to create new namespace", root: true, sysctl: map[string]string{maxUserns: "0"}}, "sandbox-userns", "sysctl -w user.max_user_namespaces="},
		{"switched off for users", facts{output: denied, sysctl: map[string]string{usernsClone: "0", maxUserns: "100"}}, "sandbox-userns", "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"switched off for users, as root", facts{output: "bwrap: x", root: true, sysctl: map[string]string{usernsClone: "0"}}, "sandbox-failed", ""},
		{"all in use", facts{output: "bwrap: Creating new namespace failed: No space left on device", sysctl: map[string]string{maxUserns: "10"}}, "sandbox-userns", "sysctl -w user.max_user_namespaces="},
		{"AppArmor", facts{output: denied, sysctl: map[string]string{apparmorUserns: "1"}}, "sandbox-apparmor", "apparmor_parser"},
		{"AppArmor, later", facts{output: "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", sysctl: map[string]string{apparmorUserns: "1"}}, "sandbox-apparmor", "userns,"},
		{"AppArmor off", facts{output: denied, sysctl: map[string]string{apparmorUserns: "0"}}, "sandbox-failed", ""},
		{"container", facts{output: "bwrap: Can't mount proc on /newroot/proc: Operation not permitted", root: true, container: true}, "sandbox-failed", "--privileged"},
		{"else", facts{output: "bwrap: Can't find source path /x: No such file or directory", container: true}, "sandbox-failed", "see what bwrap says"},
	} {
		r := diagnose(tc.f)
		if r.Code != tc.code || !strings.Contains(r.Fix, tc.fix) || !strings.Contains(r.Actual, tc.f.output) {
			t.Errorf("%s: %s, actual %q, fix %q", tc.name, r.Code, r.Actual, r.Fix)
		}
	}
}

func TestInstallHint(t *testing.T) {
	for want, ids := range map[string][]string{
		"sudo apt install bubblewrap": {"linuxmint", "ubuntu", "debian"}, "sudo dnf install bubblewrap": {"rocky", "rhel", "centos", "fedora"},
		"sudo pacman -S bubblewrap": {"arch"}, "install bubblewrap with your system's package manager": {"plan9"},
	} {
		if got := installHint(ids); got != want {
			t.Errorf("%q: %q, want %q", ids, got, want)
		}
	}
	if got := installHint(nil); !strings.Contains(got, "package manager") {
		t.Error(got)
	}
}

func TestOptions(t *testing.T) {
	s := engine.Step{Env: map[string]string{"B": "--bind", "A": ""}, Mounts: []engine.Mount{{Host: "/h", Target: "/t"}, {Host: "/w", Target: "/o", Writable: true}}}
	o := options(program{version: "0.11.0"}, s, top{mounts: []engine.Mount{{Host: "/r/usr", Target: "/usr"}}, links: []link{{"/bin", "usr/bin"}}}, "/scratch")
	text := strings.Join(o, "\n")
	for _, want := range []string{"--ro-bind\n/h\n/t\n", "--symlink\nusr/bin\n/bin\n", "--ro-bind\n/r/usr\n/usr\n", "\n--bind\n/w\n/o\n", "--bind\n/scratch\n/tmp\n", "--setenv\nA\n\n--setenv\nB\n--bind\n--chdir\n/tmp", "--disable-userns"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if slices.Contains(options(program{version: "0.7.0"}, s, top{mounts: []engine.Mount{{Host: "/r/usr", Target: "/usr"}}, links: []link{{"/bin", "usr/bin"}}}, "/scratch"), "--disable-userns") {
		t.Error("an old bwrap gets an option that it does not know")
	}
}

func TestSweepScratch(t *testing.T) {
	base := t.TempDir()
	stale := filepath.Join(base, scratchPrefix+"stale")
	other := filepath.Join(base, "other")
	if err := os.MkdirAll(filepath.Join(stale, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(base, scratchPrefix+"link")); err != nil {
		t.Fatal(err)
	}
	live, err := newScratch(base)
	if err != nil {
		t.Fatal(err)
	}
	second, err := newScratch(base)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{stale: false, other: true, live.tmp: true, second.tmp: true} {
		if exists(path) != want {
			t.Errorf("%s exists: %t, want %t", path, !want, want)
		}
	}
	for _, s := range []*scratch{live, second} {
		if err := s.remove(); err != nil || exists(s.dir) {
			t.Errorf("remove: %v", err)
		}
	}
}

func TestProcessTree(t *testing.T) {
	tree := processTree(os.Getpid())
	if len(tree) == 0 || tree[0].pid != os.Getpid() || tree[0].parent != os.Getppid() || tree[0].threads < 1 {
		t.Errorf("tree %+v", tree)
	}
	if got := tree[0].resident(); got < 1<<20 || got > 4<<30 {
		t.Errorf("resident %d", got)
	}
	if tree := processTree(1 << 30); tree != nil {
		t.Errorf("a process that is not there: %+v", tree)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`a\040b`: "a b", `\134`: `\`, `a\9`: `a\9`, `\04`: `\04`, "": ""} {
		if d := cmp.Diff(want, unescape(in)); d != "" {
			t.Error(fmt.Sprintf("%q: ", in), d)
		}
	}
}
