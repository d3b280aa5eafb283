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

	"github.com/sello-release/sello/internal/store"
)

// States of a release, in order.
const (
	StateProposed  = "proposed"
	StateStaged    = "staged"
	StateSignedOff = "signed off"
	StatePromoted  = "promoted"
	StateReleased  = "released"
	StateRefused   = "refused" // its files do not pass
)

// Status says where one release stands.
type Status struct {
	Version string     `json:"version"`
	Path    string     `json:"path"`
	State   string     `json:"state"`
	Detail  string     `json:"detail"`
	Images  []ImageRef `json:"images,omitempty"` // of the stage, or of what was published
	Next    string     `json:"next,omitempty"`
}

// Proposals gives the release files on the release branch, newest version first.
func (p *Project) Proposals(ctx context.Context) ([]string, error) {
	_, tip, err := p.branch(ctx)
	if err != nil {
		return nil, err
	}
	names, err := p.Repo.List(ctx, tip, "releases")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		if semver.IsValid(strings.TrimSuffix(n, ".yaml")) && strings.HasSuffix(n, ".yaml") {
			out = append(out, path.Join("releases", n))
		}
	}
	slices.SortFunc(out, func(a, b string) int { return semver.Compare(versionOf(b), versionOf(a)) })
	return out, nil
}

func versionOf(file string) string { return strings.TrimSuffix(path.Base(file), ".yaml") }

// Status says where each proposed release stands, newest version first.
func (p *Project) Status(ctx context.Context) ([]Status, error) {
	files, err := p.Proposals(ctx)
	if err != nil {
		return nil, err
	}
	out := []Status{}
	for _, f := range files {
		s := Status{Version: versionOf(f), Path: f}
		if err := p.statusOf(ctx, &s); err != nil {
			if r, ok := asRefusal(err); ok && p.releasedAnyway(ctx, &s) {
				s.Detail += "; its release file would be refused now [" + r.Code + "]"
			} else {
				s.State, s.Detail = StateRefused, err.Error()
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func (p *Project) statusOf(ctx context.Context, s *Status) error {
	c, err := p.Candidate(ctx, s.Path)
	if err != nil {
		return err
	}
	staging, production, err := p.buckets(c.Definition)
	if err != nil {
		return err
	}
	refs, err := store.Releases(ctx, production, c.Definition.Project)
	if err != nil {
		return err
	}
	for _, r := range refs {
		if r.Version == c.Release.Version && r.Released {
			s.State, s.Detail = StateReleased, store.Place(production, r.Prefix())
			s.publishedImages(ctx, r.ReleaseLayout)
			s.pendingMarkers(ctx, c, production)
			return nil
		}
		if r.Version == c.Release.Version && r.Promoted {
			s.State, s.Detail, s.Next = StatePromoted, store.Place(production, r.Prefix()), "sello release "+s.Path
			s.publishedImages(ctx, r.ReleaseLayout)
			return nil
		}
	}
	if p.releasedElsewhere(ctx, s, c.Definition, c.Trust) {
		return nil
	}
	found, err := p.findStage(ctx, c, staging)
	if r, ok := asRefusal(err); ok && r.Code == "stage-missing" {
		s.State, s.Detail, s.Next = StateProposed, "commit "+c.Commit.ID[:12], "sello stage "+s.Path
		return nil
	}
	if err != nil {
		return err
	}
	e, err := p.signOffs(ctx, c, found)
	if err != nil {
		return err
	}
	s.Images = imageRefs(found.list)
	s.State, s.Next = StateStaged, "sello sign-off "+s.Path
	s.Detail = fmt.Sprintf("%s, %d of %d sign-offs", found.digestName(), len(e.Counted), e.Needed)
	if enough(e, s.Path) == nil {
		s.State, s.Next = StateSignedOff, "sello promote "+s.Path
	}
	before := s.Detail
	if err := s.damage(ctx, found); err != nil || s.Detail != before {
		return err
	}
	return p.pendingDependencies(ctx, c, found, s)
}

// pendingDependencies says what the policies about dependencies would refuse of a stage.
func (p *Project) pendingDependencies(ctx context.Context, c *Candidate, found *staged, s *Status) error {
	policies, err := p.dependencyPolicies(ctx, c)
	if err != nil || len(policies) == 0 {
		return err
	}
	d, err := p.checkDependencies(ctx, c, found, policies)
	if d == nil {
		return err
	}
	codes := map[string]int{}
	for _, f := range d.Findings {
		codes[f.Code]++
	}
	if len(codes) == 0 {
		return nil
	}
	var pending []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		pending = append(pending, fmt.Sprintf("%d × %s", codes[code], code))
	}
	s.Detail += ", dependencies pending: " + strings.Join(pending, ", ")
	s.Next = "sello deps check " + s.Path
	return nil
}

// pendingMarkers says when markers do not name the release that should: it was interrupted after its statement.
func (s *Status) pendingMarkers(ctx context.Context, c *Candidate, production store.Bucket) {
	moves, err := store.MoveMarkers(ctx, store.NewDryRun(production), c.Definition.Project, c.Release.Version, c.Release.Channel)
	if err != nil {
		s.Detail += ": " + err.Error()
		return
	}
	for _, m := range moves {
		if m.Changed() {
			s.Detail += ", markers pending: " + path.Base(m.Name) + " does not name it yet"
			s.Next = "sello release " + s.Path
			return
		}
	}
}

// nextVersion suggests the version after the newest tag.
func (p *Project) nextVersion(ctx context.Context) string {
	tags, err := p.Repo.Tags(ctx)
	if err != nil {
		return "v0.1.0"
	}
	newest := ""
	for tag := range tags {
		if semver.IsValid(tag) && semver.Prerelease(tag) == "" && strings.Count(tag, ".") == 2 && (newest == "" || semver.Compare(tag, newest) > 0) {
			newest = tag
		}
	}
	if newest == "" {
		return "v0.1.0"
	}
	var major, minor, patch int
	if _, err := fmt.Sscanf(newest, "v%d.%d.%d", &major, &minor, &patch); err != nil {
		return "v0.1.0"
	}
	return fmt.Sprintf("v%d.%d.%d", major, minor, patch+1)
}
