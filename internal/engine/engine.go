// Package engine runs steps: one command each, in isolation.
//
// A step sees only its mounts, has no network, no keys and an empty
// environment but for Env, and can write only below its writable mounts. Nothing that a
// step says about itself is believed: callers hash what comes out, with Collect, once
// the step's processes are all gone.
//
// The package promises that Run returns only when nothing of the step is left: no process,
// no scratch folder, no cgroup. What an engine reports as isolation it has
// measured from outside. The package does not decide what a step may read: that is the
// planner's, and provenance lists it, because a read-only mount without materials is refused.
//
// A step sees a writable /tmp of its own that starts empty and does not outlive it, /proc and a
// minimal /dev. The working directory is /tmp unless the step names another. Besides that, and its mounts, its file system is
// empty, or what its Root holds, read-only.
package engine

import (
	"context"
	"io"
	"time"

	"github.com/sello-release/sello/internal/material"
)

// Mount makes a host path visible to a step.
type Mount struct {
	Host     string // absolute path on the host: a folder or a file
	Target   string // absolute path in the step
	Writable bool   // outputs, scratch, and copies that the step may change; never what another step reads
	// Materials says what the mount holds, or held when the step started. Provenance's resolvedDependencies is
	// the concatenation over a step's mounts, so a read-only mount without
	// materials is refused.
	Materials []material.Material
}

// Root is a file system that a step has as its root, read-only: what stands at its top, but for what the engine
// itself puts there (/proc, /dev, /tmp) and what the step mounts there. Devices in it cannot be used.
type Root struct {
	Host      string              // absolute path of a folder on the host
	Materials []material.Material // what it consists of, at least one
}

// Limits bound a step. Zero means the engine's default.
type Limits struct {
	Memory    int64         // bytes
	Processes int64         // tasks at one time
	Time      time.Duration // wall clock
	Output    int64         // bytes in all writable mounts together
	Log       int64         // bytes of captured output kept
}

// Step is one command with its mounts.
type Step struct {
	Name   string // for messages and logs: "build age linux/amd64"
	Argv   []string
	Env    map[string]string // the whole environment
	Dir    string            // working directory in the step
	Root   *Root             // nil for an empty one; an engine that isolates nothing refuses it (step-root-unsupported)
	Mounts []Mount           // with a Root, their targets are at its top: /src
	Limits Limits
	Log    io.Writer // receives stdout and stderr as they come; nil discards
}

// Materials gives everything that the step's root and mounts hold, in order.
func (s Step) Materials() []material.Material {
	var ms []material.Material
	if s.Root != nil {
		ms = append(ms, s.Root.Materials...)
	}
	for _, m := range s.Mounts {
		ms = append(ms, m.Materials...)
	}
	return ms
}

// Result is what the engine observed; none of it comes from the step itself.
type Result struct {
	ExitCode  int // 128 + n when signal n ended the command
	Started   time.Time
	Finished  time.Time
	CPU       time.Duration // processor time of the step and everything it started; 0 when it was not measured
	Isolation Isolation
	Tail      []byte // the end of the log, at most TailSize bytes, for messages
}

// Isolation is what the engine measured, not what was asked for.
type Isolation struct {
	Network    string   `json:"network"`    // "none" | "host"
	Root       string   `json:"root"`       // "mounts-only", of which a Root is one | "host"
	Namespaces []string `json:"namespaces"` // those that differ from the host's: cgroup ipc mnt net pid user uts
	Seccomp    bool     `json:"seccomp"`
	Limits     []string `json:"limits"` // those that were enforced, and how: "memory:cgroup", "processes:rlimit", …
}

// Engine runs steps.
type Engine interface {
	// Check explains, with a fix, why this engine cannot run here. It is cheap enough to call before every run.
	Check(ctx context.Context) error
	// Run runs the step to its end. A command that fails gives a Result with its exit
	// code and a nil error; exceeding a limit gives a *gate.Refusal (step-time, step-memory,
	// step-processes, step-output); err otherwise means that the engine itself failed.
	Run(ctx context.Context, s Step) (Result, error)
	// Info names the engine for provenance.
	Info() Info
}

// Info names an engine for provenance.
type Info struct {
	Name      string // "bubblewrap", "host"
	BuilderID string // provenance's builder.id
	Version   string // of the sandbox program
	Roots     bool   // it can give a step another Root
}
