package bubblewrap

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
)

// namespaces are those that a step must not share with the host, where the kernel has them.
var namespaces = []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}

// status is what /proc/<pid>/status says about a process's privileges.
type status struct {
	state      string // R, S, Z, …
	caps       bool   // any capability in any set
	noNewPrivs bool
	seccomp    bool // mode 2: a filter
}

// readStatus reads from proc, a process's folder in /proc: once that process is gone it fails, whoever has its number then.
func readStatus(proc *os.Root) (status, error) {
	b, err := proc.ReadFile("status")
	if err != nil {
		return status{}, fmt.Errorf("read process status: %w", err)
	}
	return parseStatus(b), nil
}

func parseStatus(b []byte) status {
	var s status
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "State":
			s.state, _, _ = strings.Cut(value, " ")
		case "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
			s.caps = s.caps || strings.Trim(value, "0") != ""
		case "NoNewPrivs":
			s.noNewPrivs = value == "1"
		case "Seccomp":
			s.seccomp = value == "2"
		}
	}
	return s
}

// measure looks at the sandbox from outside, before its command starts, and refuses when it is less than promised.
func measure(proc *os.Root, asked []engine.Mount) (engine.Isolation, error) {
	iso := engine.Isolation{Network: "host", Root: "host"}
	differ, err := differing(proc)
	if err != nil {
		return iso, err
	}
	iso.Namespaces = differ
	for _, n := range namespaces {
		if exists("/proc/self/ns/"+n) && !slices.Contains(differ, n) {
			return iso, lacking("the step shares a namespace with the host", n+" namespace of its own", "the host's")
		}
	}
	interfaces, err := proc.ReadFile("net/dev")
	if err != nil {
		return iso, fmt.Errorf("measure network: %w", err)
	}
	if others := notLoopback(interfaces); len(others) > 0 {
		return iso, lacking("the step has a network", "lo alone", strings.Join(others, ", "))
	}
	iso.Network = "none"
	mounts, err := proc.ReadFile("mountinfo")
	if err != nil {
		return iso, fmt.Errorf("measure mounts: %w", err)
	}
	if err := checkMounts(mounts, asked, os.Geteuid() == 0); err != nil {
		return iso, err
	}
	iso.Root = "mounts-only"
	return iso, nil
}

// differing gives the namespaces of the process that are not ours.
func differing(proc *os.Root) ([]string, error) {
	var differ []string
	for _, n := range namespaces {
		own, err := os.Readlink("/proc/self/ns/" + n)
		if err != nil {
			continue // a kernel without it
		}
		theirs, err := proc.Readlink("ns/" + n)
		if err != nil {
			return nil, fmt.Errorf("measure namespaces: %w", err)
		}
		if own != theirs {
			differ = append(differ, n)
		}
	}
	return differ, nil
}

// notLoopback gives the interfaces in a /proc/net/dev but lo.
func notLoopback(dev []byte) []string {
	var others []string
	for line := range strings.Lines(string(dev)) {
		if name, _, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) != "lo" {
			others = append(others, strings.TrimSpace(name))
		}
	}
	return others
}

// mountPoint is one line of a mountinfo.
type mountPoint struct {
	at      string
	options []string
	fstype  string
}

func (m mountPoint) has(option string) bool { return slices.Contains(m.options, option) }

// checkMounts refuses a mount table that holds anything but what options asked for, or holds it with more rights.
// root says that the step's files are root's on the host.
func checkMounts(mountinfo []byte, mounts []engine.Mount, root bool) error {
	table, err := parseMounts(mountinfo)
	if err != nil {
		return err
	}
	missing := map[string]bool{"/": true, "/proc": true, "/dev": true, "/tmp": true}
	writable := map[string]bool{"/tmp": true}
	for _, m := range mounts {
		missing[m.Target] = true
		writable[m.Target] = m.Writable
	}
	for _, m := range table {
		delete(missing, m.at)
		if why := excess(m, writable, root); why != "" {
			return lacking("the step has a mount that it should not have", why, fmt.Sprintf("%s %s (%s)", m.at, m.fstype, strings.Join(m.options, ",")))
		}
	}
	for at := range missing {
		return lacking("the step lacks a mount", "a mount at "+at, "none")
	}
	return nil
}

// excess says what a mount should be, if it is more. writable tells the step's own targets, and which of them it may write to.
func excess(m mountPoint, writable map[string]bool, root bool) string {
	may, own := writable[m.at]
	below := func(dir string) bool { return strings.HasPrefix(m.at, dir+"/") }
	switch {
	case !m.has("nosuid"):
		return "nosuid"
	case m.at == "/dev/pts":
		if m.fstype != "devpts" {
			return "a devpts of its own"
		}
		return ""
	case below("/dev"):
		switch {
		case path.Dir(m.at) != "/dev" || !slices.Contains(devices, path.Base(m.at)):
			return "nothing but " + strings.Join(devices, ", ")
		case root && !m.has("ro"):
			return "read-only, because the device is the step's own"
		}
		return ""
	case !m.has("nodev"):
		return "nodev"
	case own && may:
		return ""
	case !m.has("ro"):
		return "read-only"
	case own, m.at == "/", m.at == "/proc", below("/proc"), m.at == "/dev":
		return ""
	}
	for target, may := range writable {
		if !may && below(target) {
			return "" // a mount inside a material, read-only too
		}
	}
	return "nothing but the step's mounts"
}

// parseMounts reads a mountinfo. See proc_pid_mountinfo(5).
func parseMounts(b []byte) ([]mountPoint, error) {
	var table []mountPoint
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		left, right, ok := strings.Cut(sc.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 1 {
			return nil, fmt.Errorf("measure mounts: malformed line %q", sc.Text())
		}
		table = append(table, mountPoint{at: unescape(l[4]), options: strings.Split(l[5], ","), fstype: r[0]})
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("measure mounts: %w", err)
	}
	return table, nil
}

// unescape undoes the octal escapes of mountinfo: \040 for a space.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(c byte) bool { return '0' <= c && c <= '7' }

// lacking refuses a sandbox that is less than the engine promises.
func lacking(what, expected, actual string) error {
	return &gate.Refusal{Code: "isolation-missing", What: what, Expected: expected, Actual: actual,
		Fix: "run sello doctor; stage on a machine where the sandbox is complete, or use --engine host, which claims build level 1"}
}
