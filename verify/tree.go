package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust/chain"
)

// Limits on a folder that is verified.
const (
	maxFiles    = 200_000
	maxDepth    = 32
	maxSignOff  = 256 << 10 // bytes of one sign-off
	maxSignOffs = 1000
	bufferSize  = 256 << 10

	remoteWorkers = 8 // files that are read at one time where each waits for a network
)

// file is one file of a folder, as it was read.
type file struct {
	name    string // slash-separated, below the folder
	size    int64
	sha256  string
	more    Digests      // others, where something that was signed states them
	content []byte       // of the files that are read further: stage.json, sign-offs, checksums, the release statement
	bundle  *attestation // of the other files that end in .sigstore.json
}

// tree is a folder, read once.
type tree struct {
	files     map[string]*file
	irregular []string // links, devices and the like, which are refused and not read
}

// scan reads every file of a source once, the biggest first, on all cores.
func (v *verifier) scan(ctx context.Context, src Source) (*tree, error) {
	entries, err := src.List(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("list folder: %w", err)
	}
	if len(entries) > maxFiles {
		return nil, tooLarge()
	}
	t := &tree{files: make(map[string]*file, len(entries))}
	files := make([]*file, 0, len(entries))
	for _, e := range entries {
		switch {
		case !fs.ValidPath(e.Name) || t.files[e.Name] != nil:
			return nil, fmt.Errorf("list folder: the source gives %.200q, or gives it twice", e.Name)
		case strings.Count(e.Name, "/") > maxDepth:
			return nil, tooLarge()
		case e.Irregular:
			t.irregular = append(t.irregular, e.Name)
			continue
		}
		f := &file{name: e.Name, size: e.Size}
		files = append(files, f)
		t.files[e.Name] = f
	}
	return t, v.readAll(ctx, src, files)
}

func (v *verifier) readAll(ctx context.Context, src Source, files []*file) error {
	slices.SortStableFunc(files, func(a, b *file) int { return int(min(1, max(-1, b.size-a.size))) })
	workers := v.Workers
	if workers <= 0 {
		workers = max(2, runtime.GOMAXPROCS(0))
		if _, local := src.(folderSource); !local {
			workers = max(workers, remoteWorkers)
		}
	}
	work := make(chan *file)
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error {
			h := hasher{sum: sha256.New(), buf: make([]byte, bufferSize)}
			for f := range work {
				if err := v.read(ctx, src, f, &h); err != nil {
					return fmt.Errorf("read %s: %w", f.name, err)
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(work)
		for _, f := range files {
			select {
			case work <- f:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

// read hashes one file, and keeps what is to be parsed: the bytes that were hashed are the bytes that are parsed.
func (v *verifier) read(ctx context.Context, src Source, f *file, h *hasher) error {
	r, err := src.Open(ctx, f.name)
	if err != nil {
		return err
	}
	defer r.Close()
	limit, bundle := keep(f.name)
	f.size, f.sha256, f.content, err = h.hash(ctx, r, limit)
	if err != nil {
		return err
	}
	if bundle {
		f.bundle, f.content = v.attestation(f.content), nil
	}
	return nil
}

// keep says how many bytes of a file are kept to be parsed, and whether they are a provenance bundle.
func keep(name string) (limit int64, bundle bool) {
	name = strings.TrimPrefix(name, stage.FilesFolder+"/")
	switch {
	case strings.HasPrefix(name, chain.Folder+"/"): // read before
		return 0, false
	case name == stage.FileName, name == stage.ReleaseBundle, name == sums256, name == sums512:
		return stage.MaxSize, false
	case name == tlog.ProofFile:
		return tlog.MaxProof, false
	case IsSummary(name):
		return sign.MaxBundle, false
	case strings.HasPrefix(name, stage.SignOffFolder+"/"):
		return maxSignOff, false
	case strings.HasSuffix(name, stage.BundleSuffix):
		return sign.MaxBundle, true
	}
	return 0, false
}

func irregular(name string) error {
	return &gate.Refusal{Code: "release-file-irregular", What: "a release holds files and folders only", Where: name, Expected: "a regular file", Actual: "a link, a device or the like",
		Fix: "download the release again; do not replace its files by links"}
}

// hasher computes SHA-256 with a buffer of its own.
type hasher struct {
	sum hash.Hash
	buf []byte
}

// hash reads r to its end. It keeps the content up to limit bytes and one more, so that what is too large cannot pass for whole.
func (h *hasher) hash(ctx context.Context, r io.Reader, limit int64) (size int64, sum string, content []byte, err error) {
	h.sum.Reset()
	var kept bytes.Buffer
	for {
		n, err := r.Read(h.buf)
		h.sum.Write(h.buf[:n])
		size += int64(n)
		if room := limit + 1 - int64(kept.Len()); limit > 0 && room > 0 {
			kept.Write(h.buf[:min(int64(n), room)])
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, "", nil, err
		}
	}
	return size, hex.EncodeToString(h.sum.Sum(nil)), kept.Bytes(), nil
}

// below gives the files under a folder, by their names in it.
func (t *tree) below(folder string) map[string]*file {
	out := map[string]*file{}
	for name, f := range t.files {
		if rest, ok := strings.CutPrefix(name, folder+"/"); ok {
			out[rest] = f
		}
	}
	return out
}

// signOffs gives the sign-off bundles, by file name without its ending.
func (t *tree) signOffs() map[string][]byte {
	out, found := map[string][]byte{}, t.below(stage.SignOffFolder)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		f := found[name]
		if id, ok := strings.CutSuffix(name, stage.BundleSuffix); ok && path.Base(id) == id && len(out) < maxSignOffs {
			out[id] = f.content
		}
	}
	return out
}
