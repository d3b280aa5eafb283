//go:build !linux

package bubblewrap

import (
	"context"
	"runtime"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
)

type programCache struct{}

// Check refuses: the sandbox needs Linux.
func (e *Engine) Check(context.Context) error {
	return &gate.Refusal{Code: "sandbox-unavailable", Class: gate.Failed, What: "staging in a sandbox needs Linux",
		Expected: "linux", Actual: runtime.GOOS,
		Fix: "stage on a Linux machine or in a Linux VM (sello verify works everywhere); or use --engine host, which isolates nothing and claims build level 1"}
}

// Run refuses as Check does.
func (e *Engine) Run(ctx context.Context, _ engine.Step) (engine.Result, error) {
	return engine.Result{}, e.Check(ctx)
}

// Info names the engine.
func (e *Engine) Info() engine.Info {
	return engine.Info{Name: "bubblewrap", BuilderID: BuilderID}
}
