package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"
)

// Limits on a log.
const (
	maxEntries = 1 << 40
	tileHeight = 8                                  // C2SP tlog-tiles: 256 hashes a tile
	tileWidth  = 1 << tileHeight                    //
	maxBundle  = tileWidth * (maxEntry + entryHead) // bytes of a bundle of entries
	entryHead  = 2                                  // bytes of an entry's length
	workers    = 16                                 // objects that are read or written at one time
)

// Names of objects.
const (
	checkpointName = "checkpoint"
	batchName      = "batch"
)

// ErrChanged says that an object is not the one that was read.
var ErrChanged = errors.New("the object has changed since it was read")

// Objects are where a log lies. Errors wrap fs.ErrNotExist when a name is absent.
type Objects interface {
	// Read gives an object, up to one byte more than limit, and its version where objects have versions.
	Read(ctx context.Context, name string, limit int64) (data []byte, version string, err error)
	// Write writes an object whole or not at all.
	Write(ctx context.Context, name string, data []byte) error
	// Swap writes an object if it is still at version; "" is one that is not there. Else the error wraps ErrChanged.
	Swap(ctx context.Context, name, version string, data []byte) error
	// Lock keeps others out while something is added, where Swap does not.
	Lock(ctx context.Context) (unlock func(), err error)
}

// Log is a project's log.
type Log struct {
	*Identity
	objects Objects
}

// Open gives the log that lies in objects. Nothing is read yet; without objects the log is empty.
func Open(o Objects, id *Identity) *Log { return &Log{id, o} }

// String is where the log is.
func (l *Log) String() string { return fmt.Sprint(l.objects) }

// Latest reads the log's checkpoint; an empty log has one without a note.
func (l *Log) Latest(ctx context.Context) (*Checkpoint, error) {
	c, _, err := l.latest(ctx)
	return c, err
}

// latest also names the version of the object, where the bucket has versions.
func (l *Log) latest(ctx context.Context) (*Checkpoint, string, error) {
	data, version, err := l.read(ctx, checkpointName, MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		root, err := tlog.TreeHash(0, nil)
		return &Checkpoint{Root: root}, "", err
	}
	if err != nil {
		return nil, "", err
	}
	c, err := l.Checkpoint(data)
	return c, version, err
}

func (l *Log) read(ctx context.Context, name string, limit int64) (data []byte, version string, err error) {
	if data, version, err = l.objects.Read(ctx, name, limit); err != nil {
		return nil, "", fmt.Errorf("read log: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, "", corrupt(l.where(name), fmt.Sprintf("more than %d bytes", limit), nil)
	}
	return data, version, nil
}

func (l *Log) where(name string) string { return strings.TrimSuffix(l.String(), "/") + "/" + name }

// tilePath is an object's name (C2SP tlog-tiles, section "Merkle Tree"): the library has the height in it and calls entries data.
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", t.H))
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// tiles reads a log's tiles once each. It is a tlog.TileReader.
type tiles struct {
	ctx context.Context //nolint:containedctx // the library's interface has none
	log *Log

	mu   sync.Mutex
	kept map[tlog.Tile][]byte
}

// hashes reads the hashes of a tree; each of them is proved to belong to it before it is given.
func (l *Log) hashes(ctx context.Context, c *Checkpoint) tlog.HashReader {
	if c.Size == 0 {
		return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return make([]tlog.Hash, len(indexes)), nil })
	}
	r := tlog.TileHashReader(c.tree(), &tiles{ctx: ctx, log: l, kept: map[tlog.Tile][]byte{}})
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out, err := r.ReadHashes(indexes)
		if err != nil && ctx.Err() == nil && !errors.Is(err, errTransport) {
			return nil, corrupt(l.String(), "", err)
		}
		return out, err
	})
}

// errTransport marks errors that say nothing about the log's content.
var errTransport = errors.New("read tile")

// Height implements tlog.TileReader.
func (t *tiles) Height() int { return tileHeight }

// SaveTiles implements tlog.TileReader: it keeps tiles that were proved.
func (t *tiles) SaveTiles(of []tlog.Tile, data [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, tile := range of {
		t.kept[tile] = data[i]
	}
}

// ReadTiles implements tlog.TileReader.
func (t *tiles) ReadTiles(of []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(of))
	group, ctx := errgroup.WithContext(t.ctx)
	group.SetLimit(workers)
	for i, tile := range of {
		t.mu.Lock()
		kept := t.kept[tile]
		t.mu.Unlock()
		if kept != nil {
			out[i] = kept
			continue
		}
		group.Go(func() (err error) {
			out[i], err = t.log.tile(ctx, tile, tlog.HashSize)
			return err
		})
	}
	return out, group.Wait()
}

// tile reads a tile of hashes. Of a tile that is whole by now, the part is given that was asked for.
func (l *Log) tile(ctx context.Context, t tlog.Tile, size int) ([]byte, error) {
	want := t.W * size
	data, _, err := l.read(ctx, tilePath(t), int64(want))
	if errors.Is(err, fs.ErrNotExist) && t.W < tileWidth {
		whole := t
		whole.W = tileWidth
		if data, _, err = l.read(ctx, tilePath(whole), int64(tileWidth*size)); err == nil && len(data) >= want {
			data = data[:want]
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, corrupt(l.where(tilePath(t)), "nothing", err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errTransport, err)
	case len(data) != want:
		return nil, corrupt(l.where(tilePath(t)), fmt.Sprintf("%d bytes", len(data)), nil)
	}
	return data, nil
}

// bundle reads the entries of a tile at the level 0, and proves each by its hash.
func (l *Log) bundle(ctx context.Context, t tlog.Tile, hashes tlog.HashReader) ([][]byte, error) {
	t.L = -1
	data, _, err := l.read(ctx, tilePath(t), maxBundle)
	if errors.Is(err, fs.ErrNotExist) && t.W < tileWidth {
		whole := t
		whole.W = tileWidth
		data, _, err = l.read(ctx, tilePath(whole), maxBundle)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, corrupt(l.where(tilePath(t)), "nothing", err)
	}
	if err != nil {
		return nil, err
	}
	entries, ok := splitBundle(data, t.W)
	if !ok {
		return nil, corrupt(l.where(tilePath(t)), "not a bundle of entries", nil)
	}
	indexes := make([]int64, t.W)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, t.N*tileWidth+int64(i))
	}
	proved, err := hashes.ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if tlog.RecordHash(e) != proved[i] {
			return nil, corrupt(l.where(tilePath(t)), fmt.Sprintf("entry %d is not the one that was logged", t.N*tileWidth+int64(i)), nil)
		}
	}
	return entries, nil
}

// splitBundle takes the first n entries of a bundle apart (C2SP tlog-tiles, section "Log Entries": each after its length in two bytes).
func splitBundle(data []byte, n int) ([][]byte, bool) {
	out := make([][]byte, 0, n)
	for len(out) < n {
		if len(data) < entryHead {
			return nil, false
		}
		size := int(data[0])<<8 | int(data[1])
		if data = data[entryHead:]; len(data) < size {
			return nil, false
		}
		out, data = append(out, data[:size]), data[size:]
	}
	return out, true
}

func joinBundle(entries [][]byte) []byte {
	var out []byte
	for _, e := range entries {
		out = append(out, byte(len(e)>>8), byte(len(e))) //nolint:gosec // at most maxEntry
		out = append(out, e...)
	}
	return out
}
