package promotion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
)

// State says what is to be done for an Item.
type State string

// States of an Item.
const (
	Missing  State = "missing"  // it is copied, then tagged
	Untagged State = "untagged" // it is there, and its tags are not
	Present  State = "present"  // nothing is to be done
	Refused  State = "refused"  // Err says why
)

// States that Apply leaves behind.
const (
	Copied State = "copied" // it was missing, and is there now
	Tagged State = "tagged" // it was there, and has tags now that were not set
	Failed State = "failed" // it could not be copied or tagged; Err says why
)

// Item is one digest of one image for one destination.
type Item struct {
	Image  string
	From   string // repository in the source
	To     string // repository in the destination
	Digest digest.Digest
	Tags   []string // tags that are not set yet
	Set    []string // tags that Apply set
	Desc   ocispec.Descriptor
	State  State
	Err    error // a *gate.Refusal, or why it could not be found out

	tagged bool // it has tags, and all are set
}

// Plan is what a manifest and the registries as they are come to. Items are sorted by
// destination in the manifest's order, image, and as a manifest is written.
type Plan struct {
	Items []Item
}

// Look gives what a reference, by tag or by digest, names; a refusal with code
// image-missing or registry-missing when there is nothing.
type Look func(ctx context.Context, reference string) (ocispec.Descriptor, error)

// lookers is how many references are looked at at once.
const lookers = 8

// NewPlan compares a manifest with what the registries hold. What fails for one image is
// in its item; the error is of ctx alone.
func NewPlan(ctx context.Context, m *Manifest, look Look) (*Plan, error) {
	p := &Plan{Items: m.items()}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookers)
	for i := range p.Items {
		g.Go(func() error {
			p.Items[i].find(ctx, look)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("plan promotion: %w", err)
	}
	return p, nil
}

func (m *Manifest) items() []Item {
	images := slices.Clone(m.Images)
	slices.SortStableFunc(images, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	var all []Item
	for _, to := range m.Registries {
		if to.Src {
			continue
		}
		for _, image := range images {
			for _, d := range sortedDigests(image.Dmap) {
				tags := slices.Clone(image.Dmap[d])
				slices.Sort(tags)
				all = append(all, Item{Image: image.Name, From: m.Source() + "/" + image.Name, To: to.Name + "/" + image.Name, Digest: digest.Digest(d), Tags: tags})
			}
		}
	}
	return all
}

// find fills in what an item comes to.
func (i *Item) find(ctx context.Context, look Look) {
	all := len(i.Tags)
	i.Tags, i.Err = i.openTags(ctx, look)
	i.tagged = all > 0 && len(i.Tags) == 0
	if i.Err != nil {
		i.State = Refused
		return
	}
	there, err := find(ctx, look, i.To+"@"+i.Digest.String())
	if err != nil {
		i.State, i.Err = Refused, err
		return
	}
	if there != nil {
		i.Desc, i.State = *there, Present
		if len(i.Tags) > 0 {
			i.State = Untagged
		}
		return
	}
	i.State = Missing
	if i.Desc, i.Err = look(ctx, i.From+"@"+i.Digest.String()); i.Err != nil {
		i.State = Refused
	}
}

// openTags gives those tags that are not set; one that names another digest is a tag-conflict.
func (i *Item) openTags(ctx context.Context, look Look) ([]string, error) {
	var open []string
	var wrong []error
	for _, tag := range i.Tags {
		now, err := find(ctx, look, i.To+":"+tag)
		switch {
		case err != nil:
			wrong = append(wrong, err)
		case now == nil:
			open = append(open, tag)
		case now.Digest != i.Digest:
			wrong = append(wrong, &gate.Refusal{Code: "tag-conflict", What: "the tag names another image, and a published tag is never moved", Where: i.To + ":" + tag,
				Expected: i.Digest.String(), Actual: now.Digest.String(), Fix: "give this digest another tag in the manifest"})
		}
	}
	return open, errors.Join(wrong...)
}

// find is look for what may be absent: nil then.
func find(ctx context.Context, look Look, reference string) (*ocispec.Descriptor, error) {
	d, err := look(ctx, reference)
	if code := gate.Code(err); code == "image-missing" || code == "registry-missing" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// Err gives every item's error, in the plan's order.
func (p *Plan) Err() error {
	var all []error
	for _, i := range p.Items {
		all = append(all, i.Err)
	}
	return errors.Join(all...)
}

// Count gives how many items are in a state.
func (p *Plan) Count(s State) int {
	n := 0
	for _, i := range p.Items {
		if i.State == s {
			n++
		}
	}
	return n
}
