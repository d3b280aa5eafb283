package source

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"slices"
)

// IsAncestor reports whether commit is of, or in its history. The history is walked over the commits
// themselves: commit graphs, grafts and replace references have no say. Refused as source-shallow where
// a shallow clone ends before the answer, and what Commit refuses.
func (r *Repository) IsAncestor(ctx context.Context, commit, of string) (bool, error) {
	o, err := r.objects(ctx, false)
	if err != nil {
		return false, err
	}
	defer o.close()
	if _, err := o.commit(commit); err != nil {
		return false, err
	}
	tip, err := o.commit(of)
	if err != nil {
		return false, err
	}
	if commit == of {
		return true, nil
	}
	w := &walk{objects: o, seen: map[rawID]bool{}}
	if err := w.see(tip.Parents, tip.Time.Unix()); err != nil {
		return false, err
	}
	return w.until(commit)
}

// walk goes through history, newest first. Each commit is read once.
type walk struct {
	objects *objects
	seen    map[rawID]bool
	queue   byTime
	missing string // a commit that is not in the store
}

// wave is how many commits are asked for at one time.
const wave = 64

// until walks until it meets the commit or the end.
func (w *walk) until(commit string) (bool, error) {
	target, err := decode(commit)
	if err != nil {
		return false, err
	}
	for len(w.queue) > 0 {
		if w.seen[target] {
			return true, nil
		}
		var ids []string
		for len(w.queue) > 0 && len(ids) < wave {
			ids = append(ids, heap.Pop(&w.queue).(pending).id.hex())
		}
		if err := w.read(ids); err != nil {
			return false, err
		}
	}
	if w.seen[target] {
		return true, nil
	}
	if w.missing != "" {
		if err := w.objects.complaint(w.missing); err != nil {
			return false, err
		}
		return false, w.objects.repo.historyEnds(w.missing)
	}
	return false, nil
}

func (w *walk) read(ids []string) error {
	w.objects.ask(slices.Values(ids))
	for _, id := range ids {
		body, err := w.objects.next(id, kindCommit, maxCommitObject)
		var missing *missingError
		if errors.As(err, &missing) {
			w.missing = id
			continue
		}
		if err != nil {
			return w.objects.broken(err, "commit "+id)
		}
		l, err := parseLinks(w.objects.repo.format, body)
		if err != nil {
			return refusal{code: "source-bad-commit", where: "commit " + id, what: "commit is malformed", cause: err}.err()
		}
		if err := w.see(l.parents, l.time()); err != nil {
			return err
		}
	}
	return nil
}

// see queues parents that were not met before. Their own time is not known yet; their child's
// is close enough for the order, which matters only for speed.
func (w *walk) see(parents []string, child int64) error {
	for _, parent := range parents {
		id, err := decode(parent)
		if err != nil {
			return err
		}
		if !w.seen[id] {
			w.seen[id] = true
			heap.Push(&w.queue, pending{id: id, time: child})
		}
	}
	return nil
}

// time is the committer's, in seconds, as well as it can be read.
func (l links) time() int64 {
	_, rest, _ := bytes.Cut(l.rest, []byte("\n"))
	committer, _, _ := bytes.Cut(rest, []byte("\n"))
	_, t, err := parsePerson("committer", string(committer))
	if err != nil {
		return 0
	}
	return t.Unix()
}

type pending struct {
	id   rawID
	time int64
}

// byTime is a heap of commits, newest first.
type byTime []pending

func (q byTime) Len() int           { return len(q) }
func (q byTime) Less(i, j int) bool { return q[i].time > q[j].time }
func (q byTime) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *byTime) Push(x any)        { *q = append(*q, x.(pending)) }
func (q *byTime) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}

// historyEnds refuses to guess what lies behind a commit that is not there.
func (r *Repository) historyEnds(id string) error {
	if !r.shallow() {
		return r.commitMissing(id)
	}
	return refusal{
		code: "source-shallow", where: quote(r.root), what: "this is a shallow clone, and the answer lies beyond its end",
		expected: "the whole history", actual: "no commit " + id, fix: "git fetch --unshallow",
	}.err()
}
