package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/source"
	"github.com/sello-release/sello/internal/trust"
)

// Candidate is a release as its reviewed files describe it. All of it was read from commits.
type Candidate struct {
	Branch     string
	Tip        string // of the branch: where the release file and the trust file were read
	Path       string // of the release file
	Release    *definition.Release
	Pinned     attest.Pinned // the release file without its stage line: what managers sign off
	Commit     source.Commit // of the source (of the definition, when the source is a Go module)
	Definition *definition.Definition
	DefSHA256  string
	Trust      *trust.Trust
	TrustBytes []byte
	Plan       *build.Plan
}

// Candidate reads the release file at path from the tip of the release branch, and everything
// that it names, and refuses what was not reviewed, does not fit together, or was released before.
func (p *Project) Candidate(ctx context.Context, file string) (*Candidate, error) {
	branch, tip, err := p.branch(ctx)
	if err != nil {
		return nil, err
	}
	c := &Candidate{Branch: branch, Tip: tip, Path: p.repoPath(file)}
	if err := p.readReleaseFile(ctx, c); err != nil {
		return nil, err
	}
	if err := p.readCommit(ctx, c); err != nil {
		return nil, err
	}
	if c.Trust, c.TrustBytes, err = p.trustAt(ctx, tip, branch); err != nil {
		return nil, err
	}
	if err := c.agree(p.Now()); err != nil {
		return nil, err
	}
	if _, err := p.notes(ctx, c); err != nil {
		return nil, err
	}
	if err := p.checkTag(ctx, c); err != nil {
		return nil, err
	}
	c.Plan, err = build.New(c.Definition, c.Release.Version, c.Commit.ID, c.Commit.Time)
	return c, err
}

func (p *Project) readReleaseFile(ctx context.Context, c *Candidate) error {
	data, err := p.Repo.ReadFile(ctx, c.Tip, c.Path, maxReviewed)
	if errors.Is(err, fs.ErrNotExist) {
		return p.notMerged(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("read release file: %w", err)
	}
	if c.Release, err = definition.ParseRelease(c.Path, data); err != nil {
		return err
	}
	c.Pinned = attest.Pinned{Path: c.Path, SHA256: definition.ReleaseDigest(c.Release)}
	return nil
}

// readCommit reads the released commit and its definition, and checks that the commit is on the branch.
func (p *Project) readCommit(ctx context.Context, c *Candidate) error {
	var err error
	if c.Commit, err = p.Repo.Commit(ctx, c.Release.Commit); err != nil {
		return err
	}
	ok, err := p.Repo.IsAncestor(ctx, c.Commit.ID, c.Tip)
	if err != nil {
		return err
	}
	if !ok {
		return &gate.Refusal{Code: "commit-not-on-branch", Where: c.Path, What: "the commit to release is not in the history of the release branch",
			Expected: "an ancestor of " + c.Branch + " (" + c.Tip[:12] + ")", Actual: c.Commit.ID,
			Fix: "merge the commit into " + c.Branch + ", or propose a commit of that branch: sello propose " + c.Release.Version}
	}
	def, data, err := p.definitionAt(ctx, c.Commit.ID)
	if err != nil {
		return err
	}
	c.Definition, c.DefSHA256 = def, digest.Bytes(data)
	if !definition.BranchMatches(def.Branch, c.Branch) {
		return &gate.Refusal{Code: "branch-not-for-releases", Where: definition.FileName + " at " + c.Commit.ID[:12],
			What: "the definition of the released commit does not allow releases from this branch", Expected: "branch " + def.Branch, Actual: "branch " + c.Branch,
			Fix: "release from " + def.Branch + ", or change branch: in " + definition.FileName + " and release a commit with the change"}
	}
	return nil
}

// trustAt reads the trust file that is in force: the one at the tip of the release branch.
func (p *Project) trustAt(ctx context.Context, tip, branch string) (*trust.Trust, []byte, error) {
	data, err := p.Repo.ReadFile(ctx, tip, TrustFile, maxReviewed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &gate.Refusal{Code: "trust-missing", Class: gate.Usage, Where: "commit " + tip[:12], What: "the release branch has no " + TrustFile,
			Expected: TrustFile + " at the root of " + branch, Fix: "run sello init and commit what it wrote"}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read trust file: %w", err)
	}
	t, err := trust.Parse(TrustFile, data)
	if err == nil && t.TrustedRoot != nil {
		err = p.setRoot(ctx, t, tip)
	}
	if err == nil {
		err = p.followTrust(ctx, tip, t, data)
	}
	return t, data, err
}

// setRoot reads the trusted root that a trust file names, at the same commit.
func (p *Project) setRoot(ctx context.Context, t *trust.Trust, tip string) error {
	content, err := p.Repo.ReadFile(ctx, tip, t.TrustedRoot.File, sign.MaxRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return &gate.Refusal{Code: "trusted-root-missing", Class: gate.Usage, Where: "commit " + tip[:12], What: "the trusted root that the trust file names is not in the repository",
			Expected: t.TrustedRoot.File, Fix: "commit it where " + TrustFile + " says that it is"}
	}
	if err != nil {
		return fmt.Errorf("read trusted root: %w", err)
	}
	return t.SetRoot(content)
}

// agree checks that definition and trust file speak of the same project and source, and that the trust file is in force.
func (c *Candidate) agree(now time.Time) error {
	if c.Trust.Project != c.Definition.Project {
		return mismatch("trust-project-mismatch", "project", c.Definition.Project, c.Trust.Project)
	}
	if c.Trust.Source != c.Definition.Source && c.Trust.Source != unpinned(c.Definition.Source) {
		return mismatch("trust-source-mismatch", "source", c.Definition.Source, c.Trust.Source)
	}
	if err := c.versionFits(); err != nil {
		return err
	}
	return c.Trust.Check(now)
}

func mismatch(code, field, want, got string) error {
	return &gate.Refusal{Code: code, Class: gate.Usage, Where: TrustFile, What: "the trust file speaks of another " + field,
		Expected: want + " (" + definition.FileName + ")", Actual: got, Fix: "make " + field + ": the same in both files, and have the change reviewed"}
}

// TagName is the release's tag.
func (c *Candidate) TagName() string { return c.Definition.Tag.Prefix + c.Release.Version }

// checkTag refuses a version whose tag stands at another commit.
func (p *Project) checkTag(ctx context.Context, c *Candidate) error {
	at, ok, err := p.Repo.Tag(ctx, c.TagName())
	if err != nil || !ok || at == c.Commit.ID {
		return err
	}
	return &gate.Refusal{Code: "tag-moved", Where: "tag " + c.TagName(), What: "the version is tagged already, at another commit",
		Expected: c.Commit.ID, Actual: at, Fix: "propose the next version; a published tag is never moved"}
}
