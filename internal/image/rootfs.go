package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
)

// Rootfs says what a tree on disk is.
type Rootfs struct {
	// Digest is the SHA-256 over one line for each name, folders before what they hold, each folder's names sorted by bytes:
	// kind (d, f or l), mode in octal with sticky as 1000, time in seconds of Unix, size, SHA-256 of the content in hex, path and
	// target as Go strings in quotes. A folder has neither size nor SHA-256, a symlink only path and target; - stands
	// for what there is not.
	Digest digest.Digest `json:"digest"`
	// Entries are folders, files and links, the root included.
	Entries int `json:"entries"`
	// Size is that of all files in bytes; a file with several names counts for each.
	Size int64 `json:"size"`
}

type treeSum struct {
	hash    hash.Hash
	entries int
	size    int64
}

func newTreeSum() *treeSum { return &treeSum{hash: sha256.New()} }

func (t *treeSum) add(r record) {
	t.entries++
	t.size += r.size
	mode := uint32(r.mode.Perm())
	if r.mode&fs.ModeSticky != 0 {
		mode |= 0o1000
	}
	switch {
	case r.mode.IsDir():
		fmt.Fprintf(t.hash, "d %o %d - - %q\n", mode, r.modified.Unix(), r.path)
	case r.mode&fs.ModeSymlink != 0:
		fmt.Fprintf(t.hash, "l - - - - %q %q\n", r.path, r.link)
	default:
		fmt.Fprintf(t.hash, "f %o %d %d %x %q\n", mode, r.modified.Unix(), r.size, r.sum, r.path)
	}
}

func (t *treeSum) rootfs() Rootfs {
	return Rootfs{Digest: digest.NewDigest(digest.SHA256, t.hash), Entries: t.entries, Size: t.size}
}

// VerifyTree reads the whole tree in dir, on all cores, and refuses one that is not want.
func VerifyTree(ctx context.Context, dir *os.Root, want Rootfs) error {
	l := &lister{ctx: ctx, dir: dir, want: want}
	if err := l.list("."); err != nil {
		return fmt.Errorf("verify unpacked image: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for batch := range slices.Chunk(l.found, 64) {
		group.Go(func() error {
			buf := make([]byte, 64<<10)
			for i := range batch {
				if err := hashFile(ctx, dir, &batch[i], buf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("verify unpacked image: %w", err)
	}
	sum := newTreeSum()
	for _, r := range l.found {
		sum.add(r)
	}
	if got := sum.rootfs(); got != want {
		return treeChanged(".", want.Digest.String(), got.Digest.String())
	}
	return nil
}

// lister finds the names of a tree in the order of Rootfs.Digest, and no more of them than wanted.
type lister struct {
	ctx   context.Context
	dir   *os.Root
	want  Rootfs
	found []record
	size  int64
}

func (l *lister) list(name string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	info, err := l.dir.Lstat(name)
	if err != nil {
		return err
	}
	r := record{path: filepath.ToSlash(name), mode: info.Mode(), modified: info.ModTime()}
	switch info.Mode() &^ (fs.ModePerm | fs.ModeSticky) {
	case 0:
		r.size = info.Size()
		l.size += r.size
	case fs.ModeDir:
	case fs.ModeSymlink:
		if r.link, err = l.dir.Readlink(name); err != nil {
			return err
		}
	default:
		return treeChanged(name, "a file, folder or symlink without setuid and setgid", info.Mode().String())
	}
	l.found = append(l.found, r)
	if len(l.found) > l.want.Entries || l.size > l.want.Size {
		return treeChanged(name, fmt.Sprintf("%d entries with %d bytes", l.want.Entries, l.want.Size), "more")
	}
	if !info.IsDir() {
		return nil
	}
	names, err := l.names(name)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := l.list(filepath.Join(name, n)); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) names(name string) ([]string, error) {
	f, err := l.dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(l.want.Entries + 1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	slices.SortFunc(names, strings.Compare)
	return names, err
}

func hashFile(ctx context.Context, dir *os.Root, r *record, buf []byte) error {
	if !r.mode.IsRegular() {
		return nil
	}
	f, err := dir.Open(filepath.FromSlash(r.path))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	// One byte more than expected, so that a file that grows meanwhile is another.
	if _, err := io.CopyBuffer(onlyWriter{h}, io.LimitReader(contextReader{ctx, f}, r.size+1), buf); err != nil {
		return err
	}
	h.Sum(r.sum[:0])
	return nil
}

func treeChanged(where, expected, actual string) error {
	return &gate.Refusal{Code: CodeTreeChanged, What: "an unpacked image is not any more what was unpacked", Where: where, Expected: expected, Actual: actual,
		Fix: "delete the folder, and unpack the image again"}
}
