package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/decision"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// ApproveOptions say what is approved, by whom and for how long.
type ApproveOptions struct {
	Approval deps.Approval
	Out      string // path of the document; "" is dependencies/<module>.<identity>.yaml
	As       string // key to sign with, when there are several
	ValidFor time.Duration
	Comment  string
}

// Approve writes an approval and signs it as a release manager. Both count once they are merged.
func (p *Project) Approve(ctx context.Context, o ApproveOptions) (*Decided, error) {
	m, err := p.manager(ctx, o.As)
	if err != nil {
		return nil, err
	}
	file := o.Out
	if file == "" {
		name := plainName(o.Approval.Modules[0].Module)
		if more := len(o.Approval.Modules) - 1; more > 0 {
			name += fmt.Sprintf("-and-%d-more", more)
		}
		file = filepath.Join(p.Repo.Root(), deps.Folder, name+"."+m.identity+".yaml")
	}
	if _, err := os.Lstat(file); err == nil {
		return nil, &gate.Refusal{Code: "approval-exists", Class: gate.Usage, Where: file, What: "there is an approval of this name already", Expected: "no such file", Fix: "sello deps sign " + file + " to approve the same again; or write another with --out"}
	}
	data := o.Approval.Encode()
	if _, err := deps.ParseApproval(file, data); err != nil {
		return nil, err
	}
	made, err := p.seal(ctx, m, decision.Approval, file, data, o.ValidFor, o.Comment)
	if err != nil {
		return nil, err
	}
	if err := writeFile(file, data); err != nil {
		return nil, fmt.Errorf("write approval: %w", err)
	}
	return made, nil
}

// SignApproval signs an approval that is there, for the first time or again.
func (p *Project) SignApproval(ctx context.Context, file string, o ApproveOptions) (*Decided, error) {
	m, err := p.manager(ctx, o.As)
	if err != nil {
		return nil, err
	}
	data, _, err := ReadApproval(file)
	if err != nil {
		return nil, err
	}
	if _, err := deps.ParseApproval(file, data); err != nil {
		return nil, err
	}
	return p.seal(ctx, m, decision.Approval, file, data, o.ValidFor, o.Comment)
}

// ReadApproval reads an approval and the signature beside it; bundle is nil when there is none.
func ReadApproval(file string) (data, bundle []byte, err error) {
	data, err = readLimited(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, deps.Missing(file)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read approval: %w", err)
	}
	bundle, err = readLimited(file + decision.BundleSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read signature: %w", err)
	}
	return data, bundle, nil
}

// WorkingDependencies are the policy, the approvals and the trust of a working tree, which nobody has reviewed yet.
type WorkingDependencies struct {
	Policy   *deps.Policy // nil where there is none
	Approved *deps.Approved
	Files    []string // that were read
}

// WorkingDependencies reads dependencies.yaml and dependencies/ of the working tree.
func (p *Project) WorkingDependencies() (*WorkingDependencies, error) {
	out := &WorkingDependencies{Approved: &deps.Approved{}}
	root := p.Repo.Root()
	data, err := readLimited(filepath.Join(root, deps.FileName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read policy: %w", err)
	default:
		if out.Policy, err = deps.ParsePolicy(deps.FileName, data); err != nil {
			return nil, err
		}
		out.Files = append(out.Files, deps.FileName)
	}
	entries, err := os.ReadDir(filepath.Join(root, deps.Folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasSuffix(e.Name(), ".yaml") })
	if len(entries) == 0 {
		return out, nil
	}
	data, err = readLimited(filepath.Join(root, TrustFile))
	if err != nil {
		return nil, missing(TrustFile, err)
	}
	t, err := trust.Parse(TrustFile, data)
	if err != nil {
		return nil, err
	}
	for _, e := range entries[:min(len(entries), maxApprovals)] {
		data, bundle, err := ReadApproval(filepath.Join(root, deps.Folder, e.Name()))
		if err != nil {
			return nil, err
		}
		short := deps.Folder + "/" + e.Name()
		if err := out.Approved.Add(short, data, bundle, t, t.Project, p.Now()); err != nil {
			return nil, err
		}
		out.Files = append(out.Files, short)
	}
	return out, nil
}
