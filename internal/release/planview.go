package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
)

// PlanView is a plan for people and for JSON: what stage would do.
type PlanView struct {
	Project    string      `json:"project"`
	Version    string      `json:"version"`
	Source     string      `json:"source"`
	Commit     string      `json:"commit"`
	Branch     string      `json:"branch"`
	Staging    string      `json:"staging"`
	Production string      `json:"production"`
	SignOffs   string      `json:"signOffs"`
	Depends    []string    `json:"dependencyPolicies,omitempty"` // what policies about dependencies ask for
	Inputs     *Inputs     `json:"inputs,omitempty"`             // what of them is known before fetching, judged
	Materials  []string    `json:"materials"`                    // known before fetching
	Steps      []PlanStep  `json:"steps"`
	Images     []PlanImage `json:"images,omitempty"`
	Artifacts  []string    `json:"artifacts"` // known before building; the names of <program> are known after fetching
	Besides    []string    `json:"besides"`   // what comes with them: provenance, sign-offs and lists
}

// PlanImage is an image that would be made.
type PlanImage struct {
	Name       string   `json:"name"`
	Base       string   `json:"base"`
	Entrypoint []string `json:"entrypoint,omitempty"` // left out when it is chosen by the names of the programs, which are known after the build
	Command    []string `json:"command,omitempty"`
	User       string   `json:"user"`
	Platforms  []string `json:"platforms"`
	Tags       []string `json:"tags"`             // registry/repository:tag; they never move
	Moving     []string `json:"moving,omitempty"` // tags that move to it
}

// PlanStep is one step of the graph.
type PlanStep struct {
	Name   string `json:"name"`
	Detail string `json:"detail"`
}

// Plan gives what staging the release file would do; with no file, what a release of the working tree's definition would.
func (p *Project) Plan(ctx context.Context, file string) (*PlanView, error) {
	if file != "" {
		c, err := p.Candidate(ctx, file)
		if err != nil {
			return nil, err
		}
		v := view(c.Plan, c.Release.Channel)
		v.Commit, v.Branch = c.Commit.ID, c.Branch
		v.SignOffs = signOffPolicy(c.Definition, c.Trust)
		policies, err := p.dependencyPolicies(ctx, c)
		for _, policy := range policies {
			v.Depends = append(v.Depends, policy.Where+": "+policy.Summary())
		}
		if err != nil {
			return v, err
		}
		inputs, err := p.inputPolicies(ctx, c)
		if err != nil {
			return nil, err
		}
		return v, p.planInputs(ctx, c.Plan, inputs, v)
	}
	data, err := readLimited(filepath.Join(p.Repo.Root(), definition.FileName))
	if err != nil {
		return nil, missing(definition.FileName, err)
	}
	def, err := definition.Parse(definition.FileName, data)
	if err != nil {
		return nil, err
	}
	plan, err := build.New(def, orText(pinnedVersion(def), p.nextVersion(ctx)), "(the commit that is proposed)", p.Now())
	if err != nil {
		return nil, err
	}
	v := view(plan, defaultChannel(plan.Values.Version))
	v.Version += " (not proposed yet)"
	v.Commit, v.Branch = plan.Values.Commit, plan.Definition.Branch
	var t *trust.Trust
	switch data, err := readLimited(filepath.Join(p.Repo.Root(), TrustFile)); {
	case err == nil:
		if t, err = trust.Parse(TrustFile, data); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	v.SignOffs = signOffPolicy(plan.Definition, t)
	d, err := p.WorkingDependencies()
	if err != nil {
		return nil, err
	}
	if d.Policy != nil {
		v.Depends = append(v.Depends, deps.FileName+": "+d.Policy.Summary())
	}
	inputs, err := p.workingInputs(ctx, def)
	if err != nil {
		return nil, err
	}
	return v, p.planInputs(ctx, plan, inputs, v)
}

// planInputs says what the rules about inputs come to, as far as it is known before anything is fetched, and refuses what they do.
func (p *Project) planInputs(ctx context.Context, plan *build.Plan, all *inputPolicies, v *PlanView) error {
	if all.none() {
		return nil
	}
	var err error
	v.Inputs, err = p.foresee(ctx, plan, all)
	return err
}

func signOffPolicy(def *definition.Definition, t *trust.Trust) string {
	if t == nil {
		return "no " + TrustFile + " yet"
	}
	need := max(t.Threshold("manager"), def.Policy.SignOffs.Manager)
	text := fmt.Sprintf("%d of %d managers (%s)", need, len(t.Managers()), strings.Join(t.Managers(), ", "))
	if n := def.Policy.SignOffs.Rebuilt; n > 0 {
		text += fmt.Sprintf(", %d of them with a rebuild", n)
	}
	return text
}

func view(plan *build.Plan, channel string) *PlanView {
	def := plan.Definition
	v := &PlanView{Project: def.Project, Version: plan.Values.Version, Source: def.Source, Staging: def.Staging, Production: def.Production}
	v.Materials = append(v.Materials, "source "+def.Source)
	step := func(name, detail string) { v.Steps = append(v.Steps, PlanStep{name, detail}) }
	step("source", "export the tree from git objects, each re-hashed")
	seen := map[string]bool{}
	for _, c := range plan.Compiles {
		if seen[c.Build] {
			continue
		}
		seen[c.Build] = true
		if c.Run != nil {
			v.Materials = append(v.Materials, "root file system "+c.Run.Root)
			step("fetch/"+c.Build, "the root's image: network on, no project code runs")
			continue
		}
		v.Materials = append(v.Materials, fmt.Sprintf("toolchain %s, and the modules that %s needs (checked against go.sum and the checksum database)", orText(c.Go.Toolchain, "of go.mod"), c.Build))
		step("fetch/"+c.Build, "toolchain and modules: network on, no project code runs")
	}
	if len(def.Policy.Inputs) > 0 {
		step("inputs", "what was fetched is held to policy.inputs before a step may mount it")
	}
	for _, c := range plan.Compiles {
		if c.Run != nil {
			step(c.Name(), strings.Join(c.Run.Command, " ")+", network off")
			continue
		}
		step(c.Name(), "go build "+strings.Join(c.Go.Packages, " ")+", network off")
	}
	for _, a := range plan.Archives {
		step("pack/"+a.Name, a.Format)
		v.described(a.Name)
	}
	if plan.Source != "" {
		step("pack/"+plan.Source, "tar.gz")
		v.described(plan.Source)
	}
	for _, img := range plan.Images {
		if img.Base != definition.Scratch {
			v.Materials = append(v.Materials, "base image "+img.Base)
		}
		for _, platform := range img.On {
			step("image/"+img.ShortName()+"/"+platform.String(), "programs of "+img.Build+" on "+img.Base)
		}
		v.Images = append(v.Images, planImage(img, plan.Values.Version, channel))
	}
	for _, platform := range plan.Platforms() {
		v.described(build.BinaryPath(platform, "<program>"))
	}
	step("describe", "SPDX 2.3 for each artifact, for the sources and for the release, read from the bytes")
	step("checksums", "SHA256SUMS, SHA512SUMS")
	for _, platform := range plan.Platforms() {
		step("attest/"+platform.String(), "SLSA provenance v1, signed outside the sandbox")
	}
	step("upload", def.Staging+", stage.json last")
	v.Artifacts = append(v.Artifacts, releaseSBOM(plan), sourceSBOM(plan), "SHA256SUMS", "SHA512SUMS")
	v.Besides = []string{"NAME" + stage.BundleSuffix + " for each of them: its provenance", stage.FileName + ", the list of them all", stage.SignOffFolder + "/MANAGER" + stage.BundleSuffix, stage.ReleaseBundle + ", the signed list of the whole release"}
	return v
}

func planImage(img build.Image, version, channel string) PlanImage {
	out := PlanImage{Name: img.Name, Base: img.Base, Entrypoint: img.Entrypoint, Command: img.Command, User: img.User, Tags: []string{}}
	for _, platform := range img.On {
		out.Platforms = append(out.Platforms, platform.String())
	}
	for _, to := range img.Repositories {
		for _, tag := range img.Tags {
			out.Tags = append(out.Tags, to+":"+tag)
		}
		for _, tag := range img.MovingTags(version, channel) {
			out.Moving = append(out.Moving, to+":"+tag)
		}
	}
	return out
}

// described adds an artifact, and the bill of materials beside it.
func (v *PlanView) described(name string) {
	v.Artifacts = append(v.Artifacts, name, name+stage.SBOMSuffix)
}

// sourceSBOM names the bill of materials of the sources.
func sourceSBOM(plan *build.Plan) string {
	return fmt.Sprintf("%s_%s_source.spdx.json", plan.Definition.Project, plan.Values.Version)
}

// releaseSBOM names the bill of materials of the whole release.
func releaseSBOM(plan *build.Plan) string {
	return fmt.Sprintf("%s_%s.spdx.json", plan.Definition.Project, plan.Values.Version)
}
