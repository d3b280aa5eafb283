package bubblewrap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/engine"
)

const cgroupPrefix = "sello-"

// cgroup is a step's own control group: one folder in version 2, one a controller in version 1.
// The zero value limits nothing.
type cgroup struct {
	memory, pids, cpu string // folders; "" where there is none
	v2                bool
}

// hierarchies tell where our own control groups are.
type hierarchies struct {
	v1 map[string]string // controller -> our folder
	v2 string            // our folder
	// v2top is where version 2 is mounted: no folder above it is ours to use.
	v2top string
}

// findHierarchies reads a process's cgroup and mountinfo files.
func findHierarchies(cgroups, mountinfo string) hierarchies {
	paths := map[string]string{}
	for line := range strings.Lines(cgroups) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			for _, c := range strings.Split(f[1], ",") {
				paths[c] = f[2]
			}
		}
	}
	h := hierarchies{v1: map[string]string{}}
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 {
			continue
		}
		root, at := unescape(l[3]), unescape(l[4])
		folder := func(p string) string {
			rel, ok := strings.CutPrefix(p, strings.TrimSuffix(root, "/"))
			if !ok || strings.HasPrefix(rel, "/..") {
				return ""
			}
			return filepath.Join(at, rel)
		}
		switch r[0] {
		case "cgroup2":
			if p, ok := paths[""]; ok {
				h.v2, h.v2top = folder(p), at
			}
		case "cgroup":
			for _, c := range strings.Split(r[2], ",") {
				if p, ok := paths[c]; ok && c != "" {
					h.v1[c] = folder(p)
				}
			}
		}
	}
	return h
}

func ownHierarchies() hierarchies {
	c, _ := os.ReadFile("/proc/self/cgroup")
	m, _ := os.ReadFile("/proc/self/mountinfo")
	return findHierarchies(string(c), string(m))
}

// newCgroup makes the step's group with its limits in force. What cannot be had stays empty.
func newCgroup(h hierarchies, name string, l engine.Limits) cgroup {
	if g, ok := newV2(h, name, l); ok {
		return g
	}
	return newV1(h, name, l)
}

func newV1(h hierarchies, name string, l engine.Limits) cgroup {
	memory := strconv.FormatInt(l.Memory, 10)
	g := cgroup{
		memory: makeGroup(h.v1["memory"], name, map[string]string{"memory.limit_in_bytes": memory}),
		pids:   makeGroup(h.v1["pids"], name, map[string]string{"pids.max": maxTasks(l)}),
		cpu:    makeGroup(h.v1["cpuacct"], name, nil),
	}
	if g.memory != "" { // swap is accounted for only where the kernel was told to
		_ = write(g.memory, "memory.memsw.limit_in_bytes", memory)
	}
	return g
}

// newV2 makes one group with both controllers.
func newV2(h hierarchies, name string, l engine.Limits) (cgroup, bool) {
	limits := map[string]string{"memory.max": strconv.FormatInt(l.Memory, 10), "pids.max": maxTasks(l)}
	for _, dir := range v2Parents(h) {
		if g := makeGroup(dir, name, limits); g != "" {
			_ = write(g, "memory.swap.max", "0")  // absent without swap
			_ = write(g, "memory.oom.group", "1") // the watchdog kills the rest otherwise
			return cgroup{memory: g, pids: g, cpu: g, v2: true}, true
		}
	}
	return cgroup{}, false
}

// v2Parents gives the folders, upwards from our own, whose children have both controllers: our own
// holds processes, so its children usually have none.
func v2Parents(h hierarchies) []string {
	var parents []string
	for dir := h.v2; dir != "" && dir != "/" && strings.HasPrefix(dir, h.v2top); dir = filepath.Dir(dir) {
		control, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		if err != nil {
			break
		}
		if f := strings.Fields(string(control)); slices.Contains(f, "memory") && slices.Contains(f, "pids") {
			parents = append(parents, dir)
		}
	}
	return parents
}

// maxTasks is the limit plus the sandbox's own first process.
func maxTasks(l engine.Limits) string { return strconv.FormatInt(l.Processes+1, 10) }

// makeGroup makes parent/name with settings written and read back, or gives "".
func makeGroup(parent, name string, settings map[string]string) string {
	if parent == "" {
		return ""
	}
	sweepGroups(parent)
	dir := filepath.Join(parent, name)
	if os.Mkdir(dir, 0o755) != nil {
		return ""
	}
	for file, value := range settings {
		if err := write(dir, file, value); err != nil || !holds(dir, file, value) {
			_ = os.Remove(dir)
			return ""
		}
	}
	return dir
}

// holds reports whether a limit that was written is in force; memory is rounded to pages.
func holds(dir, file, value string) bool {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return false
	}
	got, err1 := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	want, err2 := strconv.ParseInt(value, 10, 64)
	return err1 == nil && err2 == nil && got <= want && got > 0
}

// sweepGroups removes empty groups of processes that are gone: one with a process in it cannot be removed.
func sweepGroups(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, cgroupPrefix+"*"))
	for _, d := range dirs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(d), cgroupPrefix), "-")
		if pid, err := strconv.Atoi(owner); err == nil && pid > 1 && !exists("/proc/"+owner) {
			_ = os.Remove(d)
		}
	}
}

// add moves the process in, before it has children.
func (g *cgroup) add(pid int) {
	for _, dir := range []*string{&g.memory, &g.pids, &g.cpu} {
		if *dir == "" {
			continue
		}
		if write(*dir, "cgroup.procs", strconv.Itoa(pid)) != nil {
			_ = os.Remove(*dir)
			*dir = ""
		}
	}
}

// exceeded tells which limits the group ran into.
func (g *cgroup) exceeded() (memory, tasks bool) {
	if g.memory != "" {
		file := "memory.oom_control"
		if g.v2 {
			file = "memory.events"
		}
		memory = counter(g.memory, file, "oom_kill") > 0
	}
	if g.pids != "" {
		tasks = counter(g.pids, "pids.events", "max") > 0
	}
	return memory, tasks
}

// used is the processor time of the group so far; 0 when unknown.
func (g *cgroup) used() time.Duration {
	if g.v2 && g.cpu != "" {
		return time.Duration(counter(g.cpu, "cpu.stat", "usage_usec")) * time.Microsecond
	}
	if g.cpu == "" {
		return 0
	}
	b, _ := os.ReadFile(filepath.Join(g.cpu, "cpuacct.usage"))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return time.Duration(n)
}

// remove removes the group; the kernel may need a moment after its last process.
func (g *cgroup) remove() error {
	var errs []error
	for _, dir := range []string{g.memory, g.pids, g.cpu} {
		if dir == "" {
			continue
		}
		err := os.Remove(dir)
		for i := 0; errors.Is(err, unix.EBUSY) && i < 200; i++ {
			time.Sleep(10 * time.Millisecond)
			err = os.Remove(dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove cgroup: %w", err))
		}
	}
	return errors.Join(errs...)
}

// counter reads one "key value" line; 0 when it is not there.
func counter(dir, file, key string) int64 {
	b, _ := os.ReadFile(filepath.Join(dir, file))
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// number reads a file that holds one number; 0 when there is none.
func number(dir, file string) int64 {
	if dir == "" {
		return 0
	}
	b, _ := os.ReadFile(filepath.Join(dir, file))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}
