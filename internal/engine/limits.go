package engine

import (
	"fmt"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Defaults of Limits. Memory depends on the machine: see DefaultMemory.
const (
	DefaultProcesses int64         = 4096
	DefaultTime      time.Duration = time.Hour
	DefaultOutput    int64         = 20 << 30
	DefaultLog       int64         = 64 << 20

	minMemory int64 = 2 << 30
)

// TailSize is how much of the end of a step's log Result.Tail keeps, in bytes.
const TailSize = 64 << 10

// DefaultMemory is the memory limit on a machine with total bytes of memory: 80 % of
// it, but at least 2 GiB. A total that is not known (0) gives 2 GiB.
func DefaultMemory(total int64) int64 { return max(total/10*8, minMemory) }

// WithDefaults fills in every limit that is zero. memory is the default for Memory, in bytes.
func (l Limits) WithDefaults(memory int64) Limits {
	if l.Memory == 0 {
		l.Memory = memory
	}
	if l.Processes == 0 {
		l.Processes = DefaultProcesses
	}
	if l.Time == 0 {
		l.Time = DefaultTime
	}
	if l.Output == 0 {
		l.Output = DefaultOutput
	}
	if l.Log == 0 {
		l.Log = DefaultLog
	}
	return l
}

// TimeExceeded refuses a step that ran longer than its limit.
func TimeExceeded(s Step, l Limits) *gate.Refusal {
	return exceeded("step-time", s, "ran longer than its time limit", l.Time.String(), "still running", "raise the step's time limit, or find out what it waits for")
}

// MemoryExceeded refuses a step that used more memory than its limit.
func MemoryExceeded(s Step, l Limits) *gate.Refusal {
	return exceeded("step-memory", s, "used more memory than its limit", Bytes(l.Memory), "more", "raise the step's memory limit, or stage on a machine with more memory")
}

// ProcessesExceeded refuses a step that ran more tasks at one time than its limit.
func ProcessesExceeded(s Step, l Limits) *gate.Refusal {
	return exceeded("step-processes", s, "started more processes and threads than its limit", fmt.Sprint(l.Processes), "more", "raise the step's process limit, or find out what forks")
}

// OutputExceeded refuses a step that wrote more than its limit; actual says what was found.
func OutputExceeded(s Step, l Limits, actual string) *gate.Refusal {
	return exceeded("step-output", s, "wrote more than its output limit", Bytes(l.Output), actual, "raise the step's output limit, or find out what it writes")
}

// CommandMissing refuses a step whose command cannot be started.
func CommandMissing(s Step, why string) *gate.Refusal {
	return &gate.Refusal{Code: "step-command", Class: gate.Failed, What: "the step's command could not be started", Where: s.Name,
		Expected: fmt.Sprintf("a program at %q among the step's mounts", s.Argv[0]), Actual: why, Fix: "name a program that a mount holds, by its absolute path in the step"}
}

func exceeded(code string, s Step, what, limit, actual, fix string) *gate.Refusal {
	return &gate.Refusal{Code: code, Class: gate.Failed, What: "the step " + what, Where: s.Name, Expected: "at most " + limit, Actual: actual, Fix: fix}
}

// Bytes renders a size for people: 50 MiB.
func Bytes(n int64) string {
	const units = "KMGTPE"
	f, i := float64(n), -1
	for f >= 1024 && i < len(units)-1 {
		f /= 1024
		i++
	}
	if i < 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.4g %ciB", f, units[i])
}
