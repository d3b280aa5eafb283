// Package bubblewrap runs steps in sandboxes of their own with bwrap, on Linux.
//
// It promises that a step
//   - sees an empty, read-only root that holds exactly its mounts, a private /tmp, a minimal /dev and a read-only /proc;
//   - has no network: a network namespace with nothing but lo, and no socket families but unix, inet, inet6 and netlink;
//   - has user, pid, ipc, mount, uts and cgroup namespaces of its own, no capabilities, no way to gain any, and no more namespaces;
//   - runs under a seccomp filter that refuses the system calls that a build does not need and an attacker does;
//   - inherits no descriptor but its standard input (empty), output and error, and no variable but those in Step.Env (and PWD);
//   - is bounded in memory, tasks, time, output and log, from before its first instruction;
//   - dies with the sello process, whatever ends that.
//
// Isolation is measured from outside, in /proc, while the sandbox is set up and the command is not yet
// started; when less is found than promised, the command never starts (isolation-missing). The
// seccomp filter alone is installed as the last thing before the command, so it is measured just after: if it is
// not found, the step is killed and refused.
//
// Memory and tasks are limited by a cgroup of the step's own: version 1 as root, version 2 in the first
// folder above our own cgroup that has both controllers and lets us. Elsewhere tasks are
// limited by RLIMIT_NPROC (as an ordinary user) and both by a watchdog that looks a few times a second and
// kills; Result.Isolation.Limits says which. A file's size is limited by RLIMIT_FSIZE, the sum by the watchdog. CPU use
// is not limited.
//
// It does not protect against a kernel with holes, nor does it hide the machine's kind, kernel version, load or the
// host paths of mounts (/proc/self/mountinfo). As root, the step's files belong to root on the host; it can make none of them setuid.
// A step may still fill the disk for a moment, up to what it can write between two looks of the watchdog.
//
// When a process starts bwrap, every descriptor above 2 that it holds is marked close-on-exec: none of them is meant for a step.
package bubblewrap

import "github.com/sello-release/sello/internal/engine"

// BuilderID names builds in this sandbox in provenance.
const BuilderID = "https://github.com/sello-release/sello/builders/bubblewrap/v1"

// Options of the engine.
type Options struct {
	// Scratch is the folder on disk in which each step's /tmp is made. Default: the system's folder for temporary files.
	Scratch string
}

// Engine runs steps in bubblewrap. It is safe for concurrent use.
type Engine struct {
	scratch string
	program programCache
}

var _ engine.Engine = (*Engine)(nil)

// New gives an engine; whether it can run here is for Check to say.
func New(o Options) *Engine { return &Engine{scratch: o.Scratch} }
