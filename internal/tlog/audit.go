package tlog

import (
	"context"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sello-release/sello/internal/gate"
)

// Prove gives the proof that the entry at index is in the log as c has it.
func (l *Log) Prove(ctx context.Context, c *Checkpoint, index int64, e Entry) (*Proof, error) {
	hashes, err := tlog.ProveRecord(c.Size, index, l.hashes(ctx, c))
	if err != nil {
		return nil, fmt.Errorf("prove log entry: %w", err)
	}
	return &Proof{Entry: e, Index: index, Checkpoint: c, hashes: hashes}, nil
}

// Extends refuses, with code log-inconsistent, a log that has not all that an earlier checkpoint of it had, in the same order.
func (l *Log) Extends(ctx context.Context, now, before *Checkpoint) error {
	refuse := func(actual string) error {
		return &gate.Refusal{Code: "log-inconsistent", What: "the transparency log is not what it was: something was taken out of it, or there are two of it", Where: l.String(),
			Expected: fmt.Sprintf("all %d entries under %s, and more", before.Size, before.Root), Actual: actual,
			Fix: "do not release and do not trust new releases until it is known who changed the log; keep both checkpoints: they prove it"}
	}
	if before.Size > now.Size {
		return refuse(fmt.Sprintf("%d entries", now.Size))
	}
	if before.Size == 0 {
		return nil
	}
	root, err := tlog.TreeHash(before.Size, l.hashes(ctx, now))
	if err != nil {
		return err
	}
	if root != before.Root {
		return refuse(fmt.Sprintf("%d entries under %s", before.Size, root))
	}
	return nil
}

// All reads every entry, each proved to be of the checkpoint. An error ends it.
func (l *Log) All(ctx context.Context, c *Checkpoint) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		hashes := l.hashes(ctx, c)
		for start := int64(0); start < c.Size; start += tileWidth {
			t := tlog.Tile{H: tileHeight, N: start / tileWidth, W: int(min(tileWidth, c.Size-start))}
			entries, err := l.bundle(ctx, t, hashes)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, data := range entries {
				if e, err := DecodeEntry(data); !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}
