package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/verify"
)

// judge holds inputs to the rules: of each policy, the first that matches. It says everything that is wrong at once (Inputs.Err); an error means
// that nothing could be judged.
func (all *inputPolicies) judge(ctx context.Context, inputs []input) (*Inputs, error) {
	out := &Inputs{all: inputs, Since: all.since, Changes: all.changes}
	held := map[string]bool{}
	for _, policy := range all.all {
		out.Policies = append(out.Policies, policy.where)
		for _, in := range inputs {
			rule := policy.ruleFor(in)
			if rule == nil {
				continue
			}
			held[in.sum] = true
			j, err := rule.judge(ctx, in, all.trees)
			if err != nil {
				return nil, err
			}
			out.Judged = append(out.Judged, j)
		}
	}
	for _, in := range inputs {
		if !held[in.sum] {
			out.Free++
		}
	}
	return out, nil
}

func (p inputPolicy) ruleFor(in input) *inputRule {
	for i := range p.rules {
		if in.matches(p.rules[i].Match) {
			return &p.rules[i]
		}
	}
	return nil
}

// unused refuses rules of the released definition that are about none of the inputs: a name with a typing mistake would protect nothing.
// The rule for every input may have nothing left; those of the branch's tip may be about inputs that came later.
func (all *inputPolicies) unused(inputs []input) error {
	return all.without(inputs, nil, func(string) bool { return true })
}

// hopeless refuses rules that nothing can match, by what a plan names alone: fetched says that toolchains and modules come to that, and the path of
// a module has a dot in its first element (Go modules reference, Module paths).
func (all *inputPolicies) hopeless(planned []input, fetched bool) error {
	var later []string
	if fetched {
		later = []string{toolchainName, "a module's path"}
	}
	return all.without(planned, later, func(pattern string) bool {
		first, _, _ := strings.Cut(pattern, "/")
		if fetched {
			return pattern != toolchainName && !strings.ContainsAny(pattern, "*:") && !strings.Contains(first, ".")
		}
		return !strings.ContainsAny(first, "*:") // a package URL is known when the image is fetched
	})
}

// without refuses rules that none of the inputs matches, where that is decided for the rule's pattern. later is what comes besides.
func (all *inputPolicies) without(inputs []input, later []string, decided func(pattern string) bool) error {
	if all.partial || len(all.all) == 0 || !strings.HasSuffix(all.all[0].where, all.trees[0].at) {
		return nil
	}
	policy := all.all[0]
	used := map[string]bool{definition.EveryInput: true}
	var names []string
	for _, in := range inputs {
		if rule := policy.ruleFor(in); rule != nil {
			used[rule.Match] = true
		}
		if len(names) < 8 && !in.text {
			names = append(names, in.name)
		}
	}
	var errs []error
	for _, r := range policy.rules {
		if !used[r.Match] && decided(r.Match) {
			errs = append(errs, &gate.Refusal{Code: "input-rule-unused", Class: gate.Usage, Where: r.where, What: fmt.Sprintf("the rule %q is about no input of the build, or a rule before it takes them all", r.Match),
				Expected: "a pattern of one of " + strings.Join(slices.Concat(names, later), ", ") + more(len(inputs)-len(names)), Actual: fmt.Sprintf("%q", r.Match), Fix: "correct match:, or remove the rule"})
		}
	}
	return errors.Join(errs...)
}

// judge holds one input to the rule's policy, by the evidence in the repository. Provenance or a verification summary will do, whichever the policy takes,
// about the input itself or, of an image, about an index that leads to it: an index names what it holds by digest.
func (r *inputRule) judge(ctx context.Context, in input, trees []tree) (JudgedInput, error) {
	j := JudgedInput{Name: in.name, Digest: in.digest(), Where: r.where, Policy: r.Policy, Mode: orText(r.Mode, definition.InputRequire), sum: in.sum}
	refused := func(err error) (JudgedInput, error) {
		var why *gate.Refusal
		if !errors.As(err, &why) {
			return j, err
		}
		j.refusal, j.Code, j.Reason = why, why.Code, why.What
		var inner *gate.Refusal
		if why.Code == "input-refused" && errors.As(why.Cause, &inner) {
			j.Code, j.Reason = inner.Code, inner.What
		}
		return j, nil
	}
	evidence, err := r.evidence(ctx, in, trees)
	if err != nil {
		return refused(err)
	}
	if len(evidence) == 0 || len(in.digests) == 0 {
		return refused(r.noEvidence(in, trees))
	}
	var best *verify.Report
	for _, sum := range in.digests {
		for _, judge := range r.judges() {
			report, err := judge(verify.Digests{"sha256": sum}, evidence, r.options)
			if err != nil {
				return j, err
			}
			if report.Err() == nil {
				j.Accepted, j.Builder, j.Source, j.Signer, j.Evidence = true, report.Builder, report.Source, report.Signer, evidenceOf(report)
				j.Level = levelOf(report)
				for _, e := range evidence {
					if strings.HasPrefix(j.Evidence, e.Name) {
						j.file, _, _ = strings.Cut(e.Name, " ") // without the commit
						j.content = digest.Bytes(e.Content)
					}
				}
				return j, nil
			}
			if best == nil || passes(report) > passes(best) {
				best = report
			}
		}
	}
	j.others = speaksOfOthers(evidence, in.digests)
	return refused(r.refuse(in, best.Err()))
}

// speaksOfOthers reports whether evidence names other digests than these, whoever signed it.
func speaksOfOthers(evidence []verify.Evidence, digests []string) bool {
	for _, e := range evidence {
		found, _ := sign.Collect(e.Content) // what cannot be read was refused
		for _, one := range found {
			if one.Bundle == nil || one.Bundle.Envelope == nil {
				continue
			}
			h, _, err := attest.DecodeForeign(one.Bundle.Envelope.Payload)
			if err == nil && slices.ContainsFunc(h.Subject, func(s attest.Subject) bool { return !slices.Contains(digests, s.Digest["sha256"]) }) {
				return true
			}
		}
	}
	return false
}

type judgeOf func(verify.Digests, []verify.Evidence, verify.PolicyOptions) (*verify.Report, error)

// judges are the kinds of evidence that the policy takes.
func (r *inputRule) judges() []judgeOf {
	var out []judgeOf
	if len(r.policy.Builders) > 0 {
		out = append(out, verify.Provenance)
	}
	if len(r.policy.Summaries) > 0 {
		out = append(out, verify.Summary)
	}
	return out
}

// refuse says of the input why its evidence does not hold, with the reason's own code.
func (r *inputRule) refuse(in input, err error) error {
	var why *gate.Refusal
	if !errors.As(err, &why) {
		return err
	}
	return &gate.Refusal{Code: "input-refused", Where: orText(why.Where, r.where), What: fmt.Sprintf("%s (%s) does not hold to %s: no step may read it", in.name, in.digest(), r.options.PolicyName),
		Expected: why.Expected, Actual: why.Actual, Fix: orText(why.Fix, "use another version, or have its publisher attest it; if the policy asks for too much, have the change reviewed"),
		Cause: &gate.Refusal{Code: why.Code, What: why.What}}
}

func passes(r *verify.Report) int {
	n := 0
	for _, c := range r.Checks {
		if c.Status == verify.Pass {
			n++
		}
	}
	return n
}

// evidenceOf names the attestation that was judged.
func evidenceOf(r *verify.Report) string {
	for _, c := range r.Checks {
		if c.Where != "" {
			return c.Where
		}
	}
	return ""
}

// levelOf gives the build level that a policy granted.
func levelOf(r *verify.Report) int {
	level, err := strconv.Atoi(strings.TrimPrefix(r.Levels["build"], "SLSA_BUILD_LEVEL_"))
	if err != nil {
		return 0
	}
	return level
}

// checkInputs is the gate: what a stage really consists of, by its signed provenance, has to hold to the rules.
func (p *Project) checkInputs(ctx context.Context, c *Candidate, s *staged, all *inputPolicies) (*Inputs, error) {
	inputs, err := p.stagedInputs(ctx, c, s)
	if err != nil {
		return nil, err
	}
	out, err := all.judge(ctx, inputs)
	if err != nil {
		return nil, err
	}
	return out, errors.Join(out.Err(), all.unused(inputs))
}

// stagedInputs are the inputs of a stage: what the builder's provenance of its programs, files and images names.
func (p *Project) stagedInputs(ctx context.Context, c *Candidate, s *staged) ([]input, error) {
	made, err := s.provenances(ctx, c.Trust)
	if err != nil {
		return nil, err
	}
	images, err := s.imageProvenances(ctx, c.Trust)
	if err != nil {
		return nil, err
	}
	var ms []material.Material
	for _, m := range append(made, images...) {
		ms = append(ms, m.BuildDefinition.ResolvedDependencies...)
	}
	return inputsOf(ms, s.list.Source.URI), nil
}

// plannedInputs are those of a plan that are known before anything is fetched: images, by the digests that the definition names. What
// is known later is told by name.
func plannedInputs(plan *build.Plan) (inputs []input, later []string) {
	add := func(reference string) {
		if repository, sum, ok := definition.ParseBase(reference); ok && repository != "" {
			sum = strings.TrimPrefix(sum, "sha256:")
			inputs = append(inputs, input{name: strings.ToLower(repository), digests: []string{sum}, sum: sum})
		}
	}
	compiled := false
	for _, c := range plan.Compiles {
		if c.Run != nil {
			add(c.Run.Root)
			continue
		}
		compiled = true
	}
	for _, img := range plan.Images {
		add(img.Base)
	}
	if compiled {
		later = append(later, "toolchains", "modules")
	}
	return distinctInputs(inputs), later
}

// foresee judges what a plan names already. An image whose evidence may be about what its index holds is judged when that is fetched.
func (p *Project) foresee(ctx context.Context, plan *build.Plan, all *inputPolicies) (*Inputs, error) {
	inputs, later := plannedInputs(plan)
	out, err := all.judge(ctx, inputs)
	if err != nil {
		return nil, err
	}
	if len(all.all) > 0 {
		out.Later = later
	}
	var decided []JudgedInput
	for _, j := range out.Judged {
		if !j.Accepted && j.others {
			out.Later = append(out.Later, j.Name+"@"+j.Digest)
			continue
		}
		decided = append(decided, j)
	}
	out.Judged = decided
	return out, errors.Join(out.Err(), all.hopeless(inputs, len(later) > 0))
}

// inputsBefore is inputsStep once more before a release. What is released stays so.
func (p *Project) inputsBefore(ctx context.Context, c *Candidate, s *staged, to store.ReleaseLayout) (*Inputs, error) {
	r, _, err := to.Bucket.Get(ctx, to.Statement())
	if err == nil {
		return nil, r.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return p.inputsStep(ctx, c, s)
}

// inputsStep is checkInputs as a step of a verb; nil where there is nothing to judge and nothing to tell.
func (p *Project) inputsStep(ctx context.Context, c *Candidate, s *staged) (out *Inputs, err error) {
	all, err := p.inputPolicies(ctx, c)
	if err != nil || all.none() {
		return nil, err
	}
	err = p.step("inputs", func() error { out, err = p.checkInputs(ctx, c, s, all); return err })
	return out, err
}

// judgeInputs holds everything that was fetched to the rules.
func (a *assembly) judgeInputs(ctx context.Context) error {
	var ms []material.Material
	for _, name := range a.buildNames() {
		have := a.of(name)
		ms = append(ms, have.root.Materials...)
		if a.plan.CompilesOf(name)[0].Run == nil {
			ms = append(append(ms, have.toolchain.Material), have.modules.Materials...)
		}
	}
	for _, img := range a.plan.Images {
		for _, platform := range img.On {
			base, err := a.base(ctx, img, platform)
			if err != nil {
				return err
			}
			if base != nil {
				repository, _, _ := definition.ParseBase(img.Base)
				ms = append(ms, base.Materials(repository)...)
			}
		}
	}
	inputs := inputsOf(ms, a.origin.source.URI)
	judged, err := a.inputs.judge(ctx, inputs)
	if err != nil {
		return err
	}
	return errors.Join(judged.Err(), a.inputs.unused(inputs))
}

// admit refuses one input, before all are there.
func (a *assembly) admit(ctx context.Context, m material.Material) error {
	if a.inputs == nil {
		return nil
	}
	judged, err := a.inputs.judge(ctx, inputsOf([]material.Material{m}, a.origin.source.URI))
	if err != nil {
		return err
	}
	return judged.Err()
}
