package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
)

// CopyOptions say how Copy works. The zero value is a good default.
type CopyOptions struct {
	// Concurrency is how many requests are under way at once; 8 by default.
	Concurrency int
	// MaxManifests bounds the whole graph, referrers included; 20,000 by default.
	MaxManifests int
	// WithoutReferrers leaves attestations behind.
	WithoutReferrers bool
}

// CopyStats say what a copy did.
type CopyStats struct {
	Manifests int64 `json:"manifests"` // manifests and indexes that were put there
	Sent      int64 `json:"sent"`      // blobs whose bytes were sent
	Mounted   int64 `json:"mounted"`   // blobs taken over from another repository of the registry
	Present   int64 `json:"present"`   // blobs and manifests that were there
	Bytes     int64 `json:"bytes"`     // bytes of the blobs that were sent
}

// Add gives the sum of both.
func (s CopyStats) Add(o CopyStats) CopyStats {
	return CopyStats{s.Manifests + o.Manifests, s.Sent + o.Sent, s.Mounted + o.Mounted, s.Present + o.Present, s.Bytes + o.Bytes}
}

// Copy copies root and everything below it, by digest: the manifests that an index
// names, their configs and layers, and the referrers of each manifest, of their
// referrers, and so on. It sets no tag.
//
// Blobs of an image whose manifest is there are looked for all the same, since registries
// let people delete them; those of an attestation that is there are not. The statistics are of what was done,
// also when an error ended it.
func Copy(ctx context.Context, from Source, to *Repository, root ocispec.Descriptor, o CopyOptions) (CopyStats, error) {
	o = o.withDefaults()
	if why := badReferrer(root); why != "" {
		return CopyStats{}, &gate.Refusal{Code: "manifest-invalid", What: "this is no image: " + why, Where: root.Digest.String(),
			Fix: "name an image's manifest or index"}
	}
	if root.Size > MaxManifest {
		return CopyStats{}, tooLarge(root.Digest.String())
	}
	return run(ctx, from, to, o, func(ctx context.Context, c *copier) error { return c.manifest(ctx, root, nil, nil) })
}

// Attach copies manifests that have subject as their subject, which is in to already, and makes sure that to lists them.
func Attach(ctx context.Context, from Source, to *Repository, subject ocispec.Descriptor, referrers []ocispec.Descriptor) (CopyStats, error) {
	return run(ctx, from, to, CopyOptions{WithoutReferrers: true}.withDefaults(), func(ctx context.Context, c *copier) error {
		return c.list(ctx, part{desc: subject}, referrers)
	})
}

func (o CopyOptions) withDefaults() CopyOptions {
	if o.Concurrency <= 0 {
		o.Concurrency = 8
	}
	if o.MaxManifests <= 0 {
		o.MaxManifests = 20_000
	}
	return o
}

// run gives the first failure of do, and what was done until then.
func run(ctx context.Context, from Source, to *Repository, o CopyOptions, do func(context.Context, *copier) error) (CopyStats, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c := &copier{from: from, to: to, o: o, stop: stop, slots: make(chan struct{}, o.Concurrency), tasks: map[digest.Digest]*task{}}
	err := do(ctx, c)
	if err != nil {
		stop(err)
		err = context.Cause(ctx)
	}
	return CopyStats{c.manifests.Load(), c.sent.Load(), c.mounted.Load(), c.present.Load(), c.bytes.Load()}, err
}

type copier struct {
	from  Source
	to    *Repository
	o     CopyOptions
	stop  context.CancelCauseFunc // the first failure stops all, and is the one that is reported
	slots chan struct{}           // one for each request under way; nobody who holds one waits for another

	mu    sync.Mutex
	tasks map[digest.Digest]*task

	manifests, sent, mounted, present, bytes atomic.Int64
}

// task is what is done once for a digest, however often it is named.
type task struct {
	done chan struct{}
	err  error
}

func (c *copier) once(ctx context.Context, d digest.Digest, f func() error) error {
	c.mu.Lock()
	t, started := c.tasks[d]
	if !started {
		if len(c.tasks) >= c.o.MaxManifests*4 {
			c.mu.Unlock()
			return c.tooMuch(d)
		}
		t = &task{done: make(chan struct{})}
		c.tasks[d] = t
	}
	c.mu.Unlock()
	if !started {
		t.err = f()
		close(t.done)
		return t.err
	}
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *copier) tooMuch(d digest.Digest) error {
	return &gate.Refusal{Code: "image-too-many", What: "the image has too many parts", Where: d.String(),
		Expected: fmt.Sprintf("at most %d manifests", c.o.MaxManifests), Fix: "copy it in smaller pieces"}
}

// run runs f in the group. A task can be waited for from several groups, so that a failure
// stops the whole copy and not only its group.
func (c *copier) run(g *errgroup.Group, f func() error) {
	g.Go(func() error {
		err := f()
		if err != nil {
			c.stop(err)
		}
		return err
	})
}

// slot runs f while it holds one of the places.
func (c *copier) slot(ctx context.Context, f func() error) error {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.slots }()
	return f()
}

// part is a manifest on its way: how it is named and what is known of it.
type part struct {
	desc    ocispec.Descriptor
	path    []digest.Digest     // the manifests that led here
	subject *ocispec.Descriptor // of a referrer: what it is attached to
	listed  bool                // of a referrer: the target lists it
}

func (c *copier) manifest(ctx context.Context, desc ocispec.Descriptor, path []digest.Digest, ref *part) error {
	if len(path) > MaxDepth || slices.Contains(path, desc.Digest) {
		return loop(desc.Digest)
	}
	p := part{desc: desc, path: append(slices.Clone(path), desc.Digest)}
	if ref != nil {
		p.subject, p.listed = ref.subject, ref.listed
	}
	return c.once(ctx, desc.Digest, func() error {
		if err := c.place(ctx, p); err != nil {
			return err
		}
		if c.o.WithoutReferrers {
			return nil
		}
		return c.referrers(ctx, p)
	})
}

// place puts a manifest there after everything that it names.
func (c *copier) place(ctx context.Context, p part) error {
	there := false
	err := c.slot(ctx, func() (err error) {
		there, err = c.to.Exists(ctx, p.desc)
		return err
	})
	if err != nil {
		return err
	}
	there = there && (p.subject == nil || p.listed)
	if there {
		c.present.Add(1)
		if !IsIndex(p.desc.MediaType) && p.subject != nil {
			return nil
		}
	}
	var m *Manifest
	var data []byte
	err = c.slot(ctx, func() (err error) {
		m, data, err = readAndParse(ctx, c.from, p.desc)
		return err
	})
	if err != nil {
		return err
	}
	if p.subject != nil {
		if err := checkSubject(m, p.desc, *p.subject); err != nil {
			return err
		}
	}
	if err := c.below(ctx, p, m); err != nil || there {
		return err
	}
	return c.slot(ctx, func() error {
		c.manifests.Add(1)
		return c.to.pushManifest(ctx, p.desc, data)
	})
}

// below copies what a manifest names.
func (c *copier) below(ctx context.Context, p part, m *Manifest) error {
	var g errgroup.Group
	for _, d := range m.Manifests {
		c.run(&g, func() error { return c.manifest(ctx, d, p.path, nil) })
	}
	for _, d := range m.Blobs {
		c.run(&g, func() error {
			return c.once(ctx, d.Digest, func() error {
				return c.slot(ctx, func() error { return c.blob(ctx, d) })
			})
		})
	}
	return g.Wait()
}

func (c *copier) blob(ctx context.Context, d ocispec.Descriptor) error {
	there, err := c.to.Exists(ctx, d)
	if err != nil {
		return err
	}
	if there {
		c.present.Add(1)
		return nil
	}
	open := func() (io.ReadCloser, error) { return c.from.Fetch(ctx, d) }
	if holder := c.holder(d); holder != "" {
		sent, err := c.to.mount(ctx, d, holder, open)
		switch {
		case err == nil && sent:
			c.sent.Add(1)
			c.bytes.Add(d.Size)
			return nil
		case err == nil:
			c.mounted.Add(1)
			return nil
		case gate.Code(err) != "" || ctx.Err() != nil || errors.As(err, new(sourceError)):
			return explain(c.to.at(d.Digest), "image-missing", err)
		}
		// The registry does not mount, or broke off: the bytes are sent, if they are not there by now.
		if there, err := c.to.Exists(ctx, d); err != nil || there {
			return err
		}
	}
	if err := c.to.PushFrom(ctx, d, open); err != nil {
		return err
	}
	c.sent.Add(1)
	c.bytes.Add(d.Size)
	return nil
}

// holder gives another repository of the target's registry that holds the blob, or "".
func (c *copier) holder(d ocispec.Descriptor) string {
	if r, ok := c.from.(*Repository); ok && r.ref.Registry == c.to.ref.Registry && r.ref.Repository != c.to.ref.Repository {
		return r.ref.Repository
	}
	if other := c.to.client.holder(c.to.ref, d.Digest.String()); other != c.to.ref.Repository {
		return other
	}
	return ""
}

// referrers copies what is attached to a manifest that is there, and makes sure that
// the target lists it: where there is no referrers API, a list that another process
// wrote at the same moment can lose an entry.
func (c *copier) referrers(ctx context.Context, p part) error {
	var source []ocispec.Descriptor
	err := c.slot(ctx, func() (err error) {
		source, err = c.from.Referrers(ctx, p.desc, "")
		return err
	})
	if err != nil || len(source) == 0 {
		return err
	}
	return c.list(ctx, p, source)
}

// list copies referrers of a manifest, and makes sure that the target lists them.
func (c *copier) list(ctx context.Context, p part, source []ocispec.Descriptor) error {
	var have []ocispec.Descriptor
	for round := range 4 {
		err := c.slot(ctx, func() (err error) {
			have, err = c.to.Referrers(ctx, p.desc, "")
			return err
		})
		if err != nil {
			return err
		}
		missing := without(source, have)
		if round > 0 && len(missing) == 0 {
			return nil
		}
		if round == 0 {
			err = c.attach(ctx, p, source, missing)
		} else {
			err = c.relist(ctx, missing)
		}
		if err != nil || len(missing) == 0 {
			return err
		}
	}
	return &gate.Refusal{Code: "referrers-lost", Class: gate.Failed, What: "the registry does not list the attestations that were attached", Where: c.to.at(p.desc.Digest),
		Fix: "run the same command again when nothing else writes to this repository"}
}

// attach copies the referrers of a manifest, whether or not they are listed: one that is
// listed can itself have referrers that are not.
func (c *copier) attach(ctx context.Context, p part, all, missing []ocispec.Descriptor) error {
	var g errgroup.Group
	for _, d := range all {
		ref := &part{subject: &p.desc, listed: !slices.ContainsFunc(missing, func(m ocispec.Descriptor) bool { return m.Digest == d.Digest })}
		c.run(&g, func() error { return c.manifest(ctx, bare(d), p.path, ref) })
	}
	return g.Wait()
}

// relist puts referrers there again, so that they are listed.
func (c *copier) relist(ctx context.Context, lost []ocispec.Descriptor) error {
	for _, d := range lost {
		err := c.slot(ctx, func() error {
			_, data, err := readAndParse(ctx, c.from, bare(d))
			if err != nil {
				return err
			}
			return c.to.pushManifest(ctx, bare(d), data)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bare is what content is addressed by.
func bare(d ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

func without(all, have []ocispec.Descriptor) []ocispec.Descriptor {
	known := map[digest.Digest]bool{}
	for _, d := range have {
		known[d.Digest] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(d ocispec.Descriptor) bool { return known[d.Digest] })
}
