package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

// ProposeOptions choose what to propose.
type ProposeOptions struct {
	Version string
	Commit  string // default: the tip of the branch
	Channel string // default: by the version
	Notes   string // path of the release notes
}

// Proposal is what Propose wrote.
type Proposal struct {
	Path   string `json:"path"`
	Commit string `json:"commit"`
	Branch string `json:"branch"`
	Notes  string `json:"notes,omitempty"` // path of the release notes, to be committed with the release file
	Dirty  bool   `json:"dirty"`           // the working tree has changes that the release will not have
}

// Propose writes releases/<version>.yaml into the working tree, to be reviewed and merged. It
// checks everything that can be checked before the review, and never overwrites a proposal that says something else.
func (p *Project) Propose(ctx context.Context, o ProposeOptions) (*Proposal, error) {
	branch, tip, err := p.branch(ctx)
	if err != nil {
		return nil, err
	}
	if o.Commit == "" {
		if err := p.atTip(ctx, branch, tip); err != nil {
			return nil, err
		}
		o.Commit = tip
	}
	if o.Channel == "" { // written out: a reviewer should not have to know the default
		o.Channel = defaultChannel(o.Version)
	}
	file := path.Join("releases", o.Version+".yaml")
	data := definition.MarshalRelease(definition.Release{Version: o.Version, Commit: o.Commit, Channel: o.Channel, Notes: o.Notes})
	rel, err := definition.ParseRelease(file, data)
	if err != nil {
		return nil, err
	}
	c := &Candidate{Branch: branch, Tip: tip, Path: file, Release: rel}
	if err := p.readCommit(ctx, c); err != nil {
		return nil, err
	}
	if c.Trust, _, err = p.trustAt(ctx, tip, branch); err != nil {
		return nil, err
	}
	if err := c.agree(p.Now()); err != nil {
		return nil, err
	}
	if _, err := p.notes(ctx, c); err != nil {
		if err := p.draftedNotes(o.Notes); err != nil {
			return nil, err
		}
	}
	if err := p.checkTag(ctx, c); err != nil {
		return nil, err
	}
	dirty, err := p.Repo.Status(ctx)
	if err != nil {
		return nil, err
	}
	return &Proposal{Path: file, Commit: o.Commit, Branch: branch, Notes: o.Notes, Dirty: dirty}, p.writeProposal(file, data)
}

// writeProposal writes the file, unless another proposal for the version stands there.
func (p *Project) writeProposal(file string, data []byte) error {
	full := filepath.Join(p.Repo.Root(), filepath.FromSlash(file))
	old, err := os.ReadFile(full)
	if err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err == nil {
		return &gate.Refusal{Code: "proposal-exists", Class: gate.Usage, Where: file, What: "there is a proposal for this version already, and it says something else",
			Expected: "no such file", Fix: "edit it, remove it, or propose another version"}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read proposal: %w", err)
	}
	if err := writeFile(full, data); err != nil {
		return fmt.Errorf("write proposal: %w", err)
	}
	return nil
}

// defaultChannel is the channel of a version when nobody says another one.
func defaultChannel(version string) string {
	if semver.Prerelease(version) != "" {
		return "candidate"
	}
	return "stable"
}
