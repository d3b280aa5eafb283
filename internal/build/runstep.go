package build

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/material"
)

// expandRun gives a command with the environment that comes from the release.
func (p *Plan) expandRun(r definition.Run, platform definition.Platform) (*definition.Run, error) {
	v := p.valuesFor(platform)
	r.Command = slices.Clone(r.Command)
	for i, word := range r.Command {
		var err error
		if r.Command[i], err = definition.Expand(word, v); err != nil {
			return nil, err
		}
	}
	env := map[string]string{}
	for name, value := range r.Env {
		var err error
		if env[name], err = definition.Expand(value, v); err != nil {
			return nil, err
		}
	}
	maps.Copy(env, map[string]string{
		"HOME": "/tmp/home", "SELLO_VERSION": v.Version, "SELLO_COMMIT": v.Commit, "SOURCE_DATE_EPOCH": fmt.Sprint(p.Time.Unix()),
		"TARGETOS": platform.OS, "TARGETARCH": platform.Arch, "TARGETVARIANT": platform.Variant,
	})
	r.Env = env
	return &r, nil
}

// RunInputs are what the fetch phase found for one command, and the folder that it works in.
type RunInputs struct {
	Root   engine.Root
	Work   string              // folder on the host with a copy of the inputs, which the command may change; its outputs are found there
	Source []material.Material // what the copy was made of
	Limits engine.Limits
}

// RunStep gives the step that runs c's command. What it sees is exactly its materials.
func RunStep(c Compile, in RunInputs) engine.Step {
	return engine.Step{
		Name: c.Name(), Argv: c.Run.Command, Env: maps.Clone(c.Run.Env), Dir: path.Join(sourcePath, c.Run.Dir), Limits: in.Limits, Root: &in.Root,
		Mounts: []engine.Mount{{Host: in.Work, Target: sourcePath, Writable: true, Materials: in.Source}},
	}
}
