package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/decision"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/format"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/trust"
)

// maxApprovals bounds how many approvals are read.
const maxApprovals = 2000

// policyAt is a policy about dependencies, and where it stands.
type policyAt struct {
	Where string
	*deps.Policy
}

// policies are those that hold: of the released commit, and of the tip of the branch, where they differ.
type policies []policyAt

// askAge reports whether one of them wants to know how old versions are.
func (all policies) askAge() bool {
	return slices.ContainsFunc(all, func(p policyAt) bool { return p.Quarantine != nil })
}

// dependencyPolicies reads the policies that hold for a candidate, or none where the repository never had one. It refuses a
// policy that an earlier release had and that has gone: that is said in the file, not by removing it.
func (p *Project) dependencyPolicies(ctx context.Context, c *Candidate) (policies, error) {
	return p.policiesSince(ctx, c, nil)
}

// publishingPolicies is dependencyPolicies before something is published: what production has counts as an earlier release, too, whatever
// the repository still knows of it.
func (p *Project) publishingPolicies(ctx context.Context, c *Candidate, production store.Bucket) (policies, error) {
	return p.policiesSince(ctx, c, func() ([]proposed, error) { return published(ctx, c, production) })
}

func (p *Project) policiesSince(ctx context.Context, c *Candidate, published func() ([]proposed, error)) (policies, error) {
	var out policies
	for _, commit := range []string{c.Commit.ID, c.Tip} {
		at, err := p.policyAt(ctx, commit)
		if err != nil {
			return nil, err
		}
		if at != nil && (len(out) == 0 || len(deps.ComparePolicies(out[0].Policy, at.Policy)) > 0) {
			out = append(out, *at)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	earlier, err := p.earlier(ctx, c)
	if err != nil {
		return nil, err
	}
	if published != nil {
		more, err := published()
		if err != nil {
			return nil, err
		}
		earlier = append(earlier, more...)
	}
	if len(earlier) == 0 {
		return nil, nil
	}
	had, err := p.Repo.Having(ctx, slices.Collect(commitsOf(earlier)), deps.FileName)
	if err != nil || len(had) == 0 {
		return nil, err
	}
	return nil, &gate.Refusal{Code: "deps-policy-removed", Where: c.Path, What: "the policy about dependencies has gone since an earlier release",
		Expected: deps.FileName + ", as at " + had[0][:12], Actual: "no such file at " + c.Commit.ID[:12] + " and at the tip of " + c.Branch,
		Fix: "restore it: git checkout " + had[0][:12] + " -- " + deps.FileName + "; or say in it why there is none any more: 'none: REASON'"}
}

func (p *Project) policyAt(ctx context.Context, commit string) (*policyAt, error) {
	data, err := p.Repo.ReadFile(ctx, commit, deps.FileName, maxReviewed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	where := deps.FileName + " at " + commit[:12]
	policy, err := deps.ParsePolicy(where, data)
	if err != nil {
		return nil, err
	}
	return &policyAt{where, policy}, nil
}

// proposed is a version that has a release file, and its commit.
type proposed struct{ version, commit string }

func commitsOf(all []proposed) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, p := range all {
			if !yield(p.commit) {
				return
			}
		}
	}
}

// earlier gives the versions below the candidate's that have a release file on the branch or a tag, newest first. A release file that
// cannot be read is passed over.
func (p *Project) earlier(ctx context.Context, c *Candidate) ([]proposed, error) {
	below := func(v string) bool { return semver.IsValid(v) && semver.Compare(v, c.Release.Version) < 0 }
	files, err := p.Repo.ReadFolder(ctx, c.Tip, definition.ReleaseDir, func(name string) bool {
		v, ok := strings.CutSuffix(name, ".yaml")
		return ok && below(v)
	}, maxReviewed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list earlier releases: %w", err)
	}
	tags, err := p.Repo.Tags(ctx)
	if err != nil {
		return nil, fmt.Errorf("list earlier releases: %w", err)
	}
	var out []proposed
	for tag, commit := range tags {
		if v, ok := strings.CutPrefix(tag, c.Definition.Tag.Prefix); ok && below(v) && files[v+".yaml"] == nil {
			out = append(out, proposed{v, commit})
		}
	}
	for name, data := range files {
		if r, err := definition.ParseRelease(path.Join(definition.ReleaseDir, name), data); err == nil {
			out = append(out, proposed{r.Version, r.Commit})
		}
	}
	slices.SortFunc(out, func(a, b proposed) int { return semver.Compare(b.version, a.version) })
	return out, nil
}

// maxPublished bounds how many releases are looked at in production.
const maxPublished = 20

// published gives the newest releases in production below the candidate's version.
func published(ctx context.Context, c *Candidate, production store.Bucket) (out []proposed, err error) {
	refs, err := store.Releases(ctx, production, c.Definition.Project)
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Backward(refs) {
		if !r.Released || semver.Compare(r.Version, c.Release.Version) >= 0 {
			continue
		}
		data, err := readObject(ctx, production, r.StageFile(), stage.MaxSize)
		if err != nil {
			return nil, err
		}
		list, err := stage.Decode(data)
		if err != nil {
			return nil, at(err, r.StageFile())
		}
		if out = append(out, proposed{r.Version, orText(list.Source.Commit, list.Definition.Commit)}); len(out) == maxPublished {
			break
		}
	}
	return out, nil
}

// Dependencies is how the dependencies of a stage were judged.
type Dependencies struct {
	*deps.Report
	Since   string   `json:"since,omitempty"`         // the version before, that has a release file
	Changes []string `json:"policyChanges,omitempty"` // lines of the policy that went (- …) and came (+ …) since then
}

// checkDependencies is the gate: what is staged has to hold to the policies, and what does not has to be approved.
func (p *Project) checkDependencies(ctx context.Context, c *Candidate, s *staged, all policies) (*Dependencies, error) {
	set, err := p.stagedDependencies(ctx, c, s)
	if err != nil {
		return nil, err
	}
	approved, err := p.approvals(ctx, c.Tip, c.Trust, c.Definition.Project)
	if err != nil {
		return nil, err
	}
	out := &Dependencies{Report: deps.NewReport(set)}
	for _, policy := range all {
		out.Judge(policy.Policy, set, approved, deps.Scope{Where: policy.Where, Now: p.Now()})
	}
	out.Notes = append(out.Notes, approved.Ignored...)
	if err := p.policyChanges(ctx, c, all, out); err != nil {
		return nil, err
	}
	return out, despite(out.Err(c.Path), approved.Ignored)
}

// despite tells a refusal about approvals that do not count.
func despite(err error, ignored []string) error {
	var r *gate.Refusal
	if errors.As(err, &r) && len(ignored) > 0 {
		r.Actual += "; approvals that do not count: " + strings.Join(ignored, "; ")
	}
	return err
}

// policyChanges compares the released commit's policy with that of the version before.
func (p *Project) policyChanges(ctx context.Context, c *Candidate, all policies, out *Dependencies) error {
	earlier, err := p.earlier(ctx, c)
	if err != nil || len(earlier) == 0 {
		return err
	}
	before, err := p.policyAt(ctx, earlier[0].commit)
	if err != nil { // it may be of a form that is not read any more, or of a commit that is not in this clone
		p.note(fmt.Sprintf("the policy of %s cannot be compared: %v", earlier[0].version, err))
		return nil //nolint:nilerr // the policies that hold were read
	}
	if before == nil {
		before = &policyAt{}
	}
	out.Since, out.Changes = earlier[0].version, deps.ComparePolicies(before.Policy, all[0].Policy)
	return nil
}

// dependenciesBefore looks once more before a release. What is released stays so.
func (p *Project) dependenciesBefore(ctx context.Context, c *Candidate, s *staged, to store.ReleaseLayout, all policies) error {
	r, _, err := to.Bucket.Get(ctx, to.Statement())
	if err == nil {
		return r.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = p.checkDependencies(ctx, c, s, all)
	return err
}

// stagedDependencies takes the dependencies from the bill of materials of the stage, and what is known of them from the
// builder's record of what was mounted.
func (p *Project) stagedDependencies(ctx context.Context, c *Candidate, s *staged) (*deps.Set, error) {
	doc, err := s.document(ctx, fmt.Sprintf("%s_%s.spdx.json", s.list.Project, s.list.Version))
	if err != nil {
		return nil, err
	}
	set := deps.FromDocument(doc)
	ms, err := s.recorded(ctx, c.Trust)
	if err != nil {
		return nil, err
	}
	own := ""
	if src, err := definition.ParseSource(c.Definition.Source); err == nil {
		own = src.Module
	}
	set.Observe(ms, own)
	return set, nil
}

// document reads a bill of materials of the stage, compared with its digest.
func (s *staged) document(ctx context.Context, name string) (*sbom.Document, error) {
	a := s.list.Find(name)
	if a == nil {
		return nil, &gate.Refusal{Code: "deps-evidence-missing", Where: s.StageFile(), What: "there is nothing that tells the dependencies", Expected: name, Actual: "no such file in the stage", Fix: "stage the release again"}
	}
	data, err := readObject(ctx, s.Bucket, s.File(name), sbom.MaxBytes)
	if err != nil {
		return nil, err
	}
	if got := digest.Bytes(data); got != a.SHA256 {
		return nil, &gate.Refusal{Code: "stage-artifact-mismatch", Where: s.File(name), What: "the file is not the one that was staged and signed off", Expected: "sha256:" + a.SHA256, Actual: "sha256:" + got, Fix: "stage the release again"}
	}
	return format.Decode(data)
}

// recorded gives what the builder's provenance of the stage's programs names as their materials.
func (s *staged) recorded(ctx context.Context, t *trust.Trust) (out []material.Material, err error) {
	all, err := s.provenances(ctx, t)
	for _, p := range all {
		out = append(out, p.BuildDefinition.ResolvedDependencies...)
		out = append(out, p.RunDetails.Byproducts...)
	}
	return out, err
}

// provenances gives the builder's provenance of the stage's programs and other files of builds, each once.
func (s *staged) provenances(ctx context.Context, t *trust.Trust) (out []attest.Provenance, err error) {
	seen := map[string]bool{}
	for _, a := range s.list.Artifacts {
		if a.Kind != stage.KindBinary && a.Kind != stage.KindFile {
			continue
		}
		data, err := readObject(ctx, s.Bucket, s.File(a.Name+stage.BundleSuffix), sign.MaxBundle)
		if err != nil {
			return nil, fmt.Errorf("read provenance of %s: %w", a.Name, err)
		}
		sum := digest.Bytes(data)
		if seen[sum+" "+a.SHA256] {
			continue
		}
		seen[sum+" "+a.SHA256] = true
		statement, err := builtProvenance(t, data)
		if err != nil {
			return nil, fmt.Errorf("read provenance of %s: %w", a.Name, err)
		}
		if !slices.ContainsFunc(statement.Subject, func(s attest.Subject) bool { return s.Digest["sha256"] == a.SHA256 }) {
			return nil, &gate.Refusal{Code: "subject-mismatch", Where: s.File(a.Name + stage.BundleSuffix), What: "the provenance is about other bytes", Expected: "sha256:" + a.SHA256, Fix: "stage the release again"}
		}
		if !seen[sum] {
			seen[sum] = true
			out = append(out, statement.Predicate)
		}
	}
	return out, nil
}

// builtProvenance reads provenance in a bundle that the builder signed. It refuses with wrong-predicate what says something else.
func builtProvenance(t *trust.Trust, data []byte) (*attest.Statement[attest.Provenance], error) {
	bundle, err := sign.ParseBundle(data)
	if err != nil {
		return nil, err
	}
	_, payload, err := sign.SignersOf(t, trust.RoleBuilder).Verify(bundle)
	if err != nil {
		return nil, err
	}
	return attest.Decode[attest.Provenance](payload, attest.ProvenanceType)
}

// approvals reads the documents that are merged on the release branch; those that do not count are named in Ignored.
func (p *Project) approvals(ctx context.Context, tip string, t *trust.Trust, project string) (*deps.Approved, error) {
	out := &deps.Approved{}
	files, err := p.Repo.ReadFolder(ctx, tip, deps.Folder, isApproval, sign.MaxBundle)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	if len(files) > 2*maxApprovals {
		return nil, &gate.Refusal{Code: "approval-flood", Where: deps.Folder, What: "there are more approvals than are read", Expected: fmt.Sprintf("at most %d", maxApprovals), Actual: fmt.Sprint(len(files) / 2), Fix: "put several modules into one document, and remove those that have expired"}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, decision.BundleSuffix) {
			continue
		}
		if err := out.Add(path.Join(deps.Folder, name), files[name], files[name+decision.BundleSuffix], t, project, p.Now()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// isApproval holds for the names of approvals and of their signatures.
func isApproval(name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(name, decision.BundleSuffix), ".yaml")
}
