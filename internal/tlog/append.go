package tlog

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
)

// tries bounds how often others may be first.
const tries = 20

// Append adds entries, in order, and gives the index of the first and the checkpoint after the last. Entries that are the last of the
// log already are not added again. Several may append at once. What a process that died had begun is finished first.
func (l *Log) Append(ctx context.Context, key crypto.PublicKey, sign Sign, entries []Entry) (first int64, after *Checkpoint, err error) {
	signer, err := l.signer(key, sign)
	if err != nil {
		return 0, nil, err
	}
	encoded := make([][]byte, len(entries))
	for i, e := range entries {
		if encoded[i], err = e.Encode(); err != nil {
			return 0, nil, err
		}
	}
	unlock, err := l.objects.Lock(ctx)
	if err != nil {
		return 0, nil, fmt.Errorf("lock log: %w", err)
	}
	defer unlock()
	first = -1
	for part := range chunks(encoded) {
		at, c, err := l.add(ctx, signer, part)
		if err != nil {
			return 0, nil, err
		}
		if after = c; first < 0 {
			first = at
		}
	}
	if after == nil {
		after, err = l.Latest(ctx)
		first = 0
	}
	return first, after, err
}

// chunks cuts entries into parts that fit into a batch.
func chunks(entries [][]byte) func(func([][]byte) bool) {
	return func(yield func([][]byte) bool) {
		start, size := 0, 0
		for i, e := range entries {
			need := len(e)*3/2 + 4
			if i > start && (i-start == maxBatchEntries || size+need > maxBatch*9/10) {
				if !yield(entries[start:i]) {
					return
				}
				start, size = i, 0
			}
			size += need
		}
		if start < len(entries) {
			yield(entries[start:])
		}
	}
}

// add adds one batch.
func (l *Log) add(ctx context.Context, s note.Signer, entries [][]byte) (int64, *Checkpoint, error) {
	for range tries {
		c, at, err := l.latest(ctx)
		if err != nil {
			return 0, nil, err
		}
		last, version, err := l.pending(ctx)
		switch {
		case err != nil:
			return 0, nil, err
		case last == nil && c.Size > 0, last != nil && last.first != c.Size && last.end() != c.Size:
			return 0, nil, corrupt(l.String(), "a checkpoint and a last batch that do not follow each other", nil)
		case last != nil && last.end() == c.Size && last.same(entries):
			return last.first, c, nil
		case last != nil && last.first == c.Size: // somebody has begun, and may have died
			if _, err := l.integrate(ctx, s, c, at, last); err != nil && !errors.Is(err, ErrChanged) {
				return 0, nil, err
			}
			continue
		}
		b := &batch{c.Size, entries}
		data, err := l.encodeBatch(b, s)
		if err != nil {
			return 0, nil, err
		}
		switch err = l.objects.Swap(ctx, batchName, version, data); {
		case errors.Is(err, ErrChanged):
			continue
		case err != nil:
			return 0, nil, err
		}
		c, err = l.integrate(ctx, s, c, at, b)
		if errors.Is(err, ErrChanged) { // somebody else has finished this batch: nobody can go past it
			c, err = l.Latest(ctx)
		}
		return b.first, c, err
	}
	return 0, nil, &gate.Refusal{Code: "log-busy", Class: gate.Failed, What: "others add to the transparency log all the time", Where: l.String(), Fix: "find out who else releases now; then run the same command again"}
}

// growing reads the hashes of a tree that grows: those that are new are kept, the others are proved to be of the tree before.
type growing struct {
	old   tlog.HashReader
	added map[int64]tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (g growing) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	var missing []int64
	for i, index := range indexes {
		h, ok := g.added[index]
		if out[i] = h; !ok {
			missing = append(missing, index)
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	found, err := g.old.ReadHashes(missing)
	if err != nil {
		return nil, err
	}
	for i, index := range indexes {
		if _, ok := g.added[index]; !ok {
			out[i], found = found[0], found[1:]
			g.added[index] = out[i]
		}
	}
	return out, nil
}

// integrate writes the tiles of a batch, then the checkpoint.
func (l *Log) integrate(ctx context.Context, s note.Signer, c *Checkpoint, at string, b *batch) (*Checkpoint, error) {
	g := growing{l.hashes(ctx, c), map[int64]tlog.Hash{}}
	if _, err := tlog.TreeHash(c.Size, g); err != nil { // the right edge, in one reading
		return nil, err
	}
	for i, e := range b.entries {
		n := b.first + int64(i)
		stored, err := tlog.StoredHashesForRecordHash(n, tlog.RecordHash(e), g)
		if err != nil {
			return nil, fmt.Errorf("hash log entry: %w", err)
		}
		for j, h := range stored {
			g.added[tlog.StoredHashIndex(0, n)+int64(j)] = h
		}
	}
	root, err := tlog.TreeHash(b.end(), g)
	if err != nil {
		return nil, fmt.Errorf("hash log: %w", err)
	}
	next, err := l.checkpoint(b.end(), root, s)
	if err != nil {
		return nil, err
	}
	if err := l.writeTiles(ctx, b, g); err != nil {
		return nil, err
	}
	return next, l.objects.Swap(ctx, checkpointName, at, next.Note)
}

func (l *Log) writeTiles(ctx context.Context, b *batch, g growing) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	put := func(t tlog.Tile, data []byte) {
		group.Go(func() error {
			if err := l.objects.Write(ctx, tilePath(t), data); err != nil {
				return fmt.Errorf("write log: %w", err)
			}
			return nil
		})
	}
	for _, t := range tlog.NewTiles(tileHeight, b.first, b.end()) {
		data, err := tlog.ReadTileData(t, g)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		put(t, data)
		if t.L != 0 {
			continue
		}
		entries, err := l.entriesOf(ctx, t, b, g)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		t.L = -1
		put(t, joinBundle(entries))
	}
	return group.Wait()
}

// entriesOf gives the entries of a new tile: those that were there before, proved, and those of the batch.
func (l *Log) entriesOf(ctx context.Context, t tlog.Tile, b *batch, g growing) (out [][]byte, err error) {
	start, end := t.N*tileWidth, t.N*tileWidth+int64(t.W)
	if start < b.first {
		old := t
		old.W = int(b.first - start)
		if out, err = l.bundle(ctx, old, g); err != nil {
			return nil, err
		}
	}
	return append(out, b.entries[max(start, b.first)-b.first:end-b.first]...), nil
}
