package source

import (
	"context"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Export writes the commit's tree, and those of its submodules, to the folder dest, which must be
// empty or not there. Every object is proven on the way. Files are 0644 or 0755 and
// folders 0755 whatever the umask is, and all bear the commit's time.
// On an error dest is left empty, or not there at all, as it was.
func (r *Repository) Export(ctx context.Context, commit, dest string, l Limits) (Tree, error) {
	c, err := r.Commit(ctx, commit)
	if err != nil {
		return Tree{}, err
	}
	e := &export{budget: &budget{Limits: l.withDefaults()}}
	if err := e.plan(ctx, r, c, ""); err != nil {
		return Tree{}, err
	}
	s, err := newSink(dest, c.Time, e.budget)
	if err != nil {
		return Tree{}, err
	}
	for _, p := range e.parts {
		if err = p.write(ctx, s); err != nil {
			break
		}
	}
	if err = s.finish(err); err != nil {
		return Tree{}, err
	}
	slices.SortFunc(e.submodules, func(a, b Submodule) int { return strings.Compare(a.Path, b.Path) })
	return Tree{
		Commit: c.ID, Tree: c.Tree, Files: s.files, Bytes: e.budget.bytes,
		Submodules: e.submodules, LFS: s.sortedLFS(),
	}, nil
}

// export collects the parts of one export.
type export struct {
	budget     *budget
	parts      []*part
	submodules []Submodule
}

// plan reads and checks everything but files' contents, so that most refusals come before the first byte is written.
func (e *export) plan(ctx context.Context, r *Repository, c Commit, at string) error {
	p, err := r.planPart(ctx, c, at, e.budget)
	if err != nil {
		return err
	}
	e.parts = append(e.parts, p)
	if len(p.modules) == 0 {
		return nil
	}
	known, err := r.modules(ctx, c.ID)
	if err != nil {
		return err
	}
	for _, m := range p.modules {
		where := path.Join(at, m.path)
		sub, uri, err := r.submodule(ctx, m, known, where)
		if err != nil {
			return err
		}
		pinned, err := sub.Commit(ctx, m.commit)
		if err != nil {
			return notThere(where, m.commit, err)
		}
		e.submodules = append(e.submodules, Submodule{Path: where, URI: uri, Commit: m.commit})
		if err := e.plan(ctx, sub, pinned, where); err != nil {
			return err
		}
	}
	return nil
}

// small files are read into memory and written by other goroutines; larger ones are streamed.
const small = 128 << 10

// writers is how many goroutines hash and write small files. The reader and git itself keep two cores busy as well.
const writers = 2

// write exports the part's files: one goroutine reads what git sends, others hash and write.
func (p *part) write(ctx context.Context, s *sink) error {
	group, ctx := errgroup.WithContext(ctx)
	jobs := make(chan job, 32)
	group.Go(func() error {
		defer close(jobs)
		return p.read(ctx, s, jobs)
	})
	for range writers {
		group.Go(func() error {
			h := newProver(p.repo.format)
			for j := range jobs {
				err := s.writeSmall(j, h)
				j.release()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	for j := range jobs { // what nobody took after an error
		j.release()
	}
	return err
}

// read goes through the answers in order.
func (p *part) read(ctx context.Context, s *sink, jobs chan<- job) error {
	o, err := p.repo.objects(ctx, true)
	if err != nil {
		return err
	}
	defer o.close()
	o.ask(p.ids)
	o.end()
	for _, f := range p.folders {
		into, err := s.folder(f.path)
		if err != nil {
			return err
		}
		for _, e := range f.blobs {
			if err = p.readBlob(ctx, o, s, into, e, jobs); err != nil {
				break
			}
		}
		into.release()
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *part) readBlob(ctx context.Context, o *objects, s *sink, into *openFolder, e entry, jobs chan<- job) error {
	where, id := path.Join(into.path, e.name), e.id.hex()
	kind, size, err := o.header(id)
	if err == nil && kind != kindBlob {
		err = &kindError{id: id, want: kindBlob, found: kind}
	}
	if err != nil {
		return o.broken(err, quote(where))
	}
	if err := s.budget.addFile(size, where); err != nil {
		return err
	}
	j := job{into: into, name: e.name, where: where, id: id, link: e.mode == modeSymlink, executable: e.mode == modeExecutable}
	if size > small {
		return s.writeLarge(j, o, size)
	}
	j.buffer = getBuffer(int(size))
	if err := o.fill(id, *j.buffer); err != nil {
		return err
	}
	into.hold()
	select {
	case jobs <- j:
		return nil
	case <-ctx.Done():
		j.release()
		return ctx.Err()
	}
}
