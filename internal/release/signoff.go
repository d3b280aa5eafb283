package release

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
)

// SignOffOptions choose how to sign off.
type SignOffOptions struct {
	As      string // key to sign with, when there are several
	Rebuild bool
	Comment string
}

// SignedOff is what SignOff did.
type SignedOff struct {
	Identity string `json:"identity"`
	Version  string `json:"version"`
	Stage    string `json:"stage"`
	Path     string `json:"path"`
	Rebuilt  bool   `json:"rebuilt"`
	Counted  int    `json:"counted"`
	Needed   int    `json:"needed"`
	Built

	Images       []ImageRef    `json:"images,omitempty"`
	Dependencies *Dependencies `json:"dependencies,omitempty"` // how they were judged, where there is a policy
	Inputs       *Inputs       `json:"inputs,omitempty"`       // likewise, where there are rules
}

// SignOff verifies a stage, rebuilds it when asked, and signs a manager's word over its digest.
func (p *Project) SignOff(ctx context.Context, file string, o SignOffOptions) (*SignedOff, error) {
	c, err := p.Candidate(ctx, file)
	if err != nil {
		return nil, err
	}
	identity, signer, err := p.Keys(c.Definition.Project).Signer(ctx, c.Trust, "manager", o.As)
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, signer); err != nil {
		return nil, err
	}
	staging, _, err := p.buckets(c.Definition)
	if err != nil {
		return nil, err
	}
	s, err := p.findStage(ctx, c, staging)
	if err != nil {
		return nil, err
	}
	if err := p.step("verify stage", func() error { return p.checkFiles(ctx, c, s) }); err != nil {
		return nil, err
	}
	policies, err := p.dependencyPolicies(ctx, c)
	if err != nil {
		return nil, err
	}
	inputs, err := p.inputsStep(ctx, c, s)
	if err != nil {
		return nil, err
	}
	var depends *Dependencies
	err = p.steps(step{"dependencies", func() (err error) { depends, err = p.checkDependencies(ctx, c, s, policies); return err }, len(policies) == 0},
		step{"known vulnerabilities", func() error { _, _, err := p.checkVulnerabilities(ctx, c, s); return err }, !c.looksForVulnerabilities()})
	if err != nil {
		return nil, err
	}
	if o.Rebuild {
		if err := p.rebuild(ctx, c, s); err != nil {
			return nil, err
		}
	}
	if err := p.writeSignOff(ctx, c, s, identity, signer, o); err != nil {
		return nil, err
	}
	e, err := p.signOffs(ctx, c, s)
	if err != nil {
		return nil, err
	}
	made := &SignedOff{Identity: identity, Version: c.Release.Version, Stage: s.digestName(), Path: c.Path, Rebuilt: o.Rebuild, Counted: len(e.Counted), Needed: e.Needed, Built: s.Built, Images: imageRefs(s.list), Dependencies: depends, Inputs: inputs}
	return made, p.record("sign-off", c, s, map[string]string{"identity": identity, "rebuilt": fmt.Sprint(o.Rebuild)})
}

// writeSignOff signs and stores a sign-off. A later one by the same identity takes the place of the
// earlier: one identity counts once.
func (p *Project) writeSignOff(ctx context.Context, c *Candidate, s *staged, identity string, signer sign.Signer, o SignOffOptions) error {
	now := p.Now().UTC()
	statement, err := attest.NewSignOff(attest.SignOff{
		Stage: s.digestName(), Project: c.Definition.Project, Version: c.Release.Version, Identity: identity, Role: "manager",
		Rebuilt: o.Rebuild, Time: now, Expires: now.Add(c.validity()), ReleaseFile: c.Pinned, Comment: o.Comment,
		Trust:       attest.Pinned{Path: TrustFile, SHA256: c.Trust.Digest(), Version: c.Trust.Version},
		Environment: runtime.GOOS + "/" + runtime.GOARCH,
	})
	if err != nil {
		return err
	}
	payload, err := statement.Encode()
	if err != nil {
		return err
	}
	bundle, err := sign.SignStatement(ctx, signer, attest.PayloadType, payload)
	if err != nil {
		return fmt.Errorf("sign off: %w", err)
	}
	return s.Bucket.Put(ctx, s.SignOff(identity), bytes.NewReader(bundle), store.PutOptions{ContentType: "application/json"})
}

// rebuild builds the candidate again in an empty folder, with nothing of the stage, and compares stage.json.
func (p *Project) rebuild(ctx context.Context, c *Candidate, s *staged) error {
	parent, err := p.State("rebuild")
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(parent, c.Release.Version+"-")
	if err != nil {
		return fmt.Errorf("make rebuild folder: %w", err)
	}
	a, err := p.assemble(ctx, c, work)
	if err != nil {
		return err
	}
	data, err := a.stage(c).Encode()
	if err != nil {
		return err
	}
	if bytes.Equal(data, s.bytes) {
		return removeTree(work)
	}
	mine, err := stage.Decode(data)
	if err != nil {
		return err
	}
	return &gate.Refusal{Code: "not-reproducible", Class: gate.NotReproducible, Where: work, What: "the rebuild gave another stage",
		Expected: s.digestName() + " (staged)", Actual: stage.Digest(data) + " (rebuilt): " + differences(s.list, mine),
		Fix: "compare the files in " + work + "/files with the stage's; do not sign this off"}
}

// differences names the artifacts that differ between two stages, at most five.
func differences(want, got *stage.Stage) string {
	var out []string
	for _, w := range want.Artifacts {
		g := got.Find(w.Name)
		switch {
		case g == nil:
			out = append(out, w.Name+" is missing")
		case g.SHA256 != w.SHA256:
			out = append(out, w.Name+" differs")
		}
	}
	for _, g := range got.Artifacts {
		if want.Find(g.Name) == nil {
			out = append(out, g.Name+" is new")
		}
	}
	if len(out) == 0 {
		return "the artifacts are the same; source, definition or policy differ"
	}
	if len(out) > 5 {
		out = append(out[:5], fmt.Sprintf("and %d more", len(out)-5))
	}
	return strings.Join(out, ", ")
}
