package bubblewrap

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
)

// Pace of the watchdog. A look that takes long is repeated less often, so that it costs at most about a twentieth of a core.
const (
	lookEvery = 200 * time.Millisecond
	lookShare = 20
)

// watchdog looks at a running step and says which limit it exceeds.
type watchdog struct {
	step   engine.Step
	limits engine.Limits
	group  *cgroup
	root   int      // the sandbox's first process
	paths  []string // what the step can write to
	looks  int
}

// watch looks until ctx ends or a limit is exceeded.
func (w *watchdog) watch(ctx context.Context) *gate.Refusal {
	pause := lookEvery
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		start := time.Now()
		if r := w.look(); r != nil {
			return r
		}
		pause = max(lookEvery, lookShare*time.Since(start))
	}
}

func (w *watchdog) look() *gate.Refusal {
	w.looks++
	if r := w.groups(); r != nil {
		return r
	}
	// Where there is a cgroup, its processes matter only for the files that they hide.
	watched := w.group.memory == "" || w.group.pids == ""
	var hidden int64
	if watched || w.looks%5 == 0 {
		tree := processTree(w.root)
		if watched {
			if r := w.tasks(tree); r != nil {
				return r
			}
		}
		hidden = unlinked(tree)
	}
	return w.output(hidden)
}

// groups asks the kernel's own limits.
func (w *watchdog) groups() *gate.Refusal {
	memory, tasks := w.group.exceeded()
	switch {
	case memory:
		return engine.MemoryExceeded(w.step, w.limits)
	case tasks:
		return engine.ProcessesExceeded(w.step, w.limits)
	}
	return nil
}

func (w *watchdog) tasks(tree []process) *gate.Refusal {
	var memory, threads int64
	for _, p := range tree {
		threads += p.threads
		if w.group.memory == "" {
			memory += p.resident()
		}
	}
	switch {
	case w.group.memory == "" && memory > w.limits.Memory:
		return engine.MemoryExceeded(w.step, w.limits)
	case w.group.pids == "" && threads > w.limits.Processes: // the first process is bwrap's
		return engine.ProcessesExceeded(w.step, w.limits)
	}
	return nil
}

// output measures what the step has written, and hidden bytes in files that have no name any more.
func (w *watchdog) output(hidden int64) *gate.Refusal {
	sum, err := engine.Usage(w.paths, w.limits.Output)
	switch {
	case err != nil:
		return engine.OutputExceeded(w.step, w.limits, err.Error())
	case sum+hidden > w.limits.Output:
		return engine.OutputExceeded(w.step, w.limits, engine.Bytes(sum+hidden)+" or more")
	}
	return nil
}

// process is one process of the step.
type process struct {
	pid     int
	parent  int
	threads int64
}

// processTree gives the process root and all its descendants; those whose parents have died are root's children.
func processTree(root int) []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]process{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := readProcess(pid); ok {
				children[p.parent] = append(children[p.parent], p)
			}
		}
	}
	p, ok := readProcess(root)
	if !ok {
		return nil
	}
	tree := []process{p}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i].pid]...)
		delete(children, tree[i].pid)
	}
	return tree
}

// readProcess reads /proc/<pid>/stat. See proc_pid_stat(5).
func readProcess(pid int) (process, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 18 {
		return process{}, false
	}
	parent, err1 := strconv.Atoi(f[1])
	threads, err2 := strconv.ParseInt(f[17], 10, 64)
	return process{pid: pid, parent: parent, threads: threads}, err1 == nil && err2 == nil
}

// resident is the memory that is the process's own, in bytes: not what it shares with others through files.
func (p process) resident() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0
	}
	var kib int64
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 3 && (f[0] == "RssAnon:" || f[0] == "RssShmem:") {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			kib += n
		}
	}
	return kib << 10
}

// unlinked adds up the regular files without a name that the processes hold open, on disk or in memory.
func unlinked(tree []process) int64 {
	var sum int64
	seen := map[[2]uint64]bool{}
	for _, p := range tree {
		dir := fmt.Sprintf("/proc/%d/fd", p.pid)
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			if target, err := os.Readlink(name); err != nil || !strings.HasSuffix(target, " (deleted)") {
				continue
			}
			var st unix.Stat_t
			if unix.Stat(name, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
				continue
			}
			if id := [2]uint64{st.Dev, st.Ino}; !seen[id] {
				seen[id] = true
				sum += max(st.Size, st.Blocks*512)
			}
		}
	}
	return sum
}
