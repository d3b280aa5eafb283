package promotion

import (
	"context"
	"errors"
	"fmt"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/registry"
)

// Registries is what a plan is made and carried out with; see Remote.
type Registries interface {
	// Look is as the type Look says.
	Look(ctx context.Context, reference string) (ocispec.Descriptor, error)
	// Copy copies desc, and everything below and attached to it, between repositories.
	Copy(ctx context.Context, from, to string, desc ocispec.Descriptor) (registry.CopyStats, error)
	// TagNew sets a tag that is not there; one that names something else is a tag-conflict.
	TagNew(ctx context.Context, repository string, desc ocispec.Descriptor, tag string) (bool, error)
}

// Report says what Apply did.
type Report struct {
	Copied registry.CopyStats
	Tagged []string // references, in the order in which they were set
}

// copiers is how many images are copied at once; each sends several blobs at once.
const copiers = 4

// Apply carries out a plan, and says in its items what came of them: it copies what is missing, looks at all tags once more, and
// sets them. Any failure, also one that the plan holds, leaves every tag as it is; the
// images that could be copied stay, without tags. The error has all of them.
//
// An item that is there without its tags, or that has none, is copied again as far as
// something is missing: the run before may have ended before its attestations.
func Apply(ctx context.Context, p *Plan, r Registries) (Report, error) {
	var report Report
	wrong := make([]error, len(p.Items))
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(copiers)
	for i, item := range p.Items {
		if wrong[i] = item.Err; item.Err != nil || item.done() {
			continue
		}
		g.Go(func() error {
			stats, err := r.Copy(ctx, item.From, item.To, item.Desc)
			mu.Lock()
			defer mu.Unlock()
			report.Copied = report.Copied.Add(stats)
			wrong[i] = err
			p.Items[i].copied(err)
			return nil
		})
	}
	_ = g.Wait()
	if err := errors.Join(wrong...); err != nil {
		return report, fmt.Errorf("copy images: %w", err)
	}
	if err := lookAgain(ctx, p, r.Look); err != nil {
		return report, fmt.Errorf("look at tags: %w", err)
	}
	return report, setTags(ctx, p, r, &report)
}

// copied takes down what came of copying an item.
func (i *Item) copied(err error) {
	switch {
	case err != nil:
		i.State, i.Err = Failed, err
	case i.State == Missing:
		i.State = Copied
	}
}

// done reports whether nothing at all is to be done: tags are set last, so where all of
// them are set, everything else is there.
func (i *Item) done() bool { return i.State == Present && i.tagged }

// lookAgain makes sure that no tag has come to name something else since the plan was made.
func lookAgain(ctx context.Context, p *Plan, look Look) error {
	wrong := make([]error, len(p.Items))
	var g errgroup.Group
	g.SetLimit(lookers)
	for i := range p.Items {
		g.Go(func() error {
			_, wrong[i] = p.Items[i].openTags(ctx, look)
			return nil
		})
	}
	_ = g.Wait()
	return errors.Join(wrong...)
}

func setTags(ctx context.Context, p *Plan, r Registries, report *Report) error {
	var wrong []error
	for n := range p.Items {
		item := &p.Items[n]
		var open []string
		for _, tag := range item.Tags {
			set, err := r.TagNew(ctx, item.To, item.Desc, tag)
			if err != nil {
				wrong, open = append(wrong, err), append(open, tag)
				item.State, item.Err = Failed, err
			} else if set {
				report.Tagged = append(report.Tagged, item.To+":"+tag)
				item.Set = append(item.Set, tag)
			}
		}
		if item.Tags = open; item.State == Untagged {
			item.State = Tagged
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("set tags: %w", err)
	}
	return nil
}

// Remote is Registries over the network.
type Remote struct {
	Client  *registry.Client
	Options registry.CopyOptions
}

// Look implements Registries.
func (r Remote) Look(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	repo, err := r.Client.Open(ref.Name())
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return repo.Resolve(ctx, ref.Target())
}

// Copy implements Registries.
func (r Remote) Copy(ctx context.Context, from, to string, desc ocispec.Descriptor) (registry.CopyStats, error) {
	source, err := r.Client.Open(from)
	if err != nil {
		return registry.CopyStats{}, err
	}
	target, err := r.Client.Open(to)
	if err != nil {
		return registry.CopyStats{}, err
	}
	return registry.Copy(ctx, source, target, desc, r.Options)
}

// TagNew implements Registries.
func (r Remote) TagNew(ctx context.Context, repository string, desc ocispec.Descriptor, tag string) (bool, error) {
	repo, err := r.Client.Open(repository)
	if err != nil {
		return false, err
	}
	return registry.TagNew(ctx, repo, desc, tag)
}
