package release

import (
	"context"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/trust"
)

// releasedAnyway finds a version that was released, whatever its release file would come to today: the definition,
// the branch or the source may have changed since. It is judged by the reviewed files at the tip.
func (p *Project) releasedAnyway(ctx context.Context, s *Status) bool {
	branch, tip, err := p.branch(ctx)
	if err != nil {
		return false
	}
	def, _, err := p.definitionAt(ctx, tip)
	if err != nil {
		return false
	}
	if _, production, err := p.buckets(def); err == nil {
		refs, err := store.Releases(ctx, production, def.Project)
		for _, r := range refs {
			if err == nil && r.Version == s.Version && r.Released {
				s.State, s.Detail = StateReleased, store.Place(production, r.Prefix())
				return true
			}
		}
	}
	t, _, err := p.trustAt(ctx, tip, branch)
	return err == nil && p.releasedElsewhere(ctx, s, def, t)
}

// releasedElsewhere finds a version whose tag a builder has signed, and whose files are not in this bucket: another
// machine released it.
func (p *Project) releasedElsewhere(ctx context.Context, s *Status, def *definition.Definition, t *trust.Trust) bool {
	tag := def.Tag.Prefix + s.Version
	for _, key := range t.KeysOf(trust.RoleBuilder) {
		if ok, err := p.Repo.TagSignedBy(ctx, tag, key); err == nil && ok {
			s.State, s.Detail = StateReleased, "tag "+tag+"; its files are not in "+def.Production+" of this checkout"
			return true
		}
	}
	return false
}
