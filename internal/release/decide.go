package release

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/decision"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// Decided is what a release manager decided: a document, and a signature beside it.
type Decided struct {
	Path     string    `json:"path"`
	Bundle   string    `json:"bundle"`
	Identity string    `json:"identity"`
	Expires  time.Time `json:"expires"`
}

// manager is a release manager at this machine, by the files in force.
type manager struct {
	def      *definition.Definition
	trust    *trust.Trust
	identity string
	signer   sign.Signer
}

// manager finds the key of a release manager; as names it when there are several.
func (p *Project) manager(ctx context.Context, as string) (*manager, error) {
	def, t, err := p.inForce(ctx)
	if err != nil {
		return nil, err
	}
	identity, signer, err := p.Keys(def.Project).Signer(ctx, t, trust.RoleManager, as)
	return &manager{def, t, identity, signer}, err
}

// inForce gives the definition and the trust file at the tip of the release branch.
func (p *Project) inForce(ctx context.Context) (*definition.Definition, *trust.Trust, error) {
	branch, tip, err := p.branch(ctx)
	if err != nil {
		return nil, nil, err
	}
	def, _, err := p.definitionAt(ctx, tip)
	if err != nil {
		return nil, nil, err
	}
	t, _, err := p.trustAt(ctx, tip, branch)
	return def, t, err
}

// seal puts the manager's signature beside a document.
func (p *Project) seal(ctx context.Context, m *manager, kind decision.Kind, file string, data []byte, lasts time.Duration, comment string) (*Decided, error) {
	now := p.Now()
	d := decision.Decision{Project: m.def.Project, Identity: m.identity, Role: trust.RoleManager, Time: now, Expires: now.Add(lasts), Comment: comment,
		Trust: attest.Pinned{Path: TrustFile, SHA256: m.trust.Digest(), Version: m.trust.Version}}
	bundle, err := kind.Sign(ctx, m.signer, filepath.Base(file), data, d)
	if err != nil {
		return nil, err
	}
	if err := writeFile(file+decision.BundleSuffix, bundle); err != nil {
		return nil, fmt.Errorf("write signature: %w", err)
	}
	return &Decided{Path: file, Bundle: file + decision.BundleSuffix, Identity: m.identity, Expires: d.Expires.UTC().Truncate(time.Second)}, nil
}
