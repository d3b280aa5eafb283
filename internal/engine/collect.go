package engine

import (
	"context"
	"crypto/sha1" // #nosec G505 -- see Output
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

// Output is one regular file that a step left in its output folder.
type Output struct {
	Path       string // relative to the folder, slash-separated, clean
	Executable bool   // its owner may execute it
	digest.Sums
	SHA1  string // lower-case hex; SPDX 2.3 asks for it, nothing relies on it
	CRC32 uint32 // IEEE 802.3: to notice that a file is another one later, for next to nothing
}

// CollectLimits bound what Collect takes. Zero means the default: 100 000 files, 20 GiB.
type CollectLimits struct {
	Files int
	Bytes int64 // of all files together
}

// Collect hashes everything that a step left in the folder dir, and refuses what a release cannot
// hold: output-symlink, output-special-file (device, pipe, socket), output-hard-link (to a file elsewhere),
// output-bad-mode (setuid, setgid, sticky, unreadable), output-bad-name (control and other unprintable characters,
// backslash, not UTF-8, too long), output-too-large, output-too-many. It follows nothing, opens nothing but regular files,
// and gives the outputs sorted by path.
//
// It must only be called after Run has returned, when nobody can change the folder any
// more; a file that changes all the same is refused (output-changed).
func Collect(ctx context.Context, dir string, limits CollectLimits) ([]Output, error) {
	return collect(ctx, dir, nil, limits)
}

// Selection says what of a folder is wanted, by paths as in Output.
type Selection struct {
	File   func(path string) bool // whether a file is wanted
	Folder func(path string) bool // whether something in a folder may be
}

// CollectSome is Collect of what is wanted of a folder that a step worked in. Everything else is passed over,
// whatever it is: folders that hold nothing that is wanted are not read, symlinks in their place are not followed. A wanted file may have further
// names in the folder, by which nobody can change it any more. More than 1,000,000 entries are refused (output-too-many).
func CollectSome(ctx context.Context, dir string, wanted Selection, limits CollectLimits) ([]Output, error) {
	return collect(ctx, dir, &wanted, limits)
}

// maxEntries is how many entries of a folder are looked at to find what is wanted.
const maxEntries = 1_000_000

func collect(ctx context.Context, dir string, wanted *Selection, limits CollectLimits) ([]Output, error) {
	if limits.Files == 0 {
		limits.Files = 100_000
	}
	if limits.Bytes == 0 {
		limits.Bytes = DefaultOutput
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open outputs: %w", err)
	}
	defer root.Close()
	c := collector{root: root, wanted: wanted, limits: limits, links: map[[2]uint64]*link{}}
	if err := c.list("."); err != nil {
		return nil, err
	}
	for _, l := range c.links {
		if l.seen != l.names {
			return nil, c.refuse("output-hard-link", l.path, "an output is a hard link to a file elsewhere", fmt.Sprintf("%d name(s), all in the output folder", l.seen), fmt.Sprintf("%d", l.names))
		}
	}
	outputs, err := c.hash(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(outputs, func(a, b Output) int { return strings.Compare(a.Path, b.Path) })
	return outputs, nil
}

type collector struct {
	root    *os.Root
	wanted  *Selection // nil for everything
	limits  CollectLimits
	files   []found
	bytes   int64
	seen    int // entries that are taken, or looked into
	entries int // all, when not everything is wanted
	links   map[[2]uint64]*link
}

type found struct {
	path string
	info fs.FileInfo
}

type link struct {
	path        string
	seen, names uint64
}

// list walks the folder at p by hand: a hostile tree must not be followed, nor be too deep for the stack.
func (c *collector) list(p string) error {
	if strings.Count(p, "/") > MaxDepth {
		return c.refuse("output-too-many", p, "outputs are nested too deep", fmt.Sprintf("at most %d levels", MaxDepth), "more")
	}
	d, err := c.root.Open(p)
	if errors.Is(err, fs.ErrPermission) {
		return c.refuse("output-bad-mode", p, "an output folder cannot be read", "a folder its owner may read", "no permission")
	}
	if err != nil {
		return fmt.Errorf("list outputs: %w", err)
	}
	defer d.Close()
	for {
		batch, err := d.ReadDir(1024)
		for _, e := range batch {
			if err := c.visit(path.Join(p, e.Name()), e.Name()); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list outputs: %w", err)
		}
	}
}

func (c *collector) visit(p, name string) error {
	switch wants, err := c.wants(p); {
	case err != nil:
		return err
	case !wants:
		return nil
	}
	if c.seen++; c.seen > c.limits.Files {
		return c.refuse("output-too-many", "", "the step left too many outputs", fmt.Sprintf("at most %d", c.limits.Files), "more")
	}
	if why := badName(name, p); why != "" {
		return c.refuse("output-bad-name", p, "an output's name cannot be in a release", "printable UTF-8 without backslashes", why)
	}
	fi, err := c.root.Lstat(p)
	if err != nil {
		return fmt.Errorf("list outputs: %w", err)
	}
	switch mode := fi.Mode(); {
	case mode.Type() == fs.ModeSymlink:
		return c.refuse("output-symlink", p, "an output is a symlink", "a regular file", "a symlink")
	case mode.Type()&^fs.ModeDir != 0:
		return c.refuse("output-special-file", p, "an output is not a regular file", "a regular file", mode.Type().String())
	case mode.IsDir() && mode.Perm()&0o500 != 0o500, mode.IsRegular() && (mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 || mode.Perm()&0o400 == 0):
		return c.refuse("output-bad-mode", p, "an output's mode cannot be in a release", "readable by its owner, without setuid, setgid and sticky", mode.String())
	case mode.IsDir():
		return c.list(p)
	}
	if c.bytes += fi.Size(); c.bytes > c.limits.Bytes || c.bytes < 0 {
		return c.refuse("output-too-large", p, "the outputs are too large", "at most "+Bytes(c.limits.Bytes), "more")
	}
	c.countLink(p, fi)
	c.files = append(c.files, found{p, fi})
	return nil
}

// wants reports whether the entry at p is taken, or looked into.
func (c *collector) wants(p string) (bool, error) {
	if c.wanted == nil {
		return true, nil
	}
	if c.entries++; c.entries > maxEntries {
		return false, c.refuse("output-too-many", "", "the step left too many files beside its outputs", fmt.Sprintf("at most %d", maxEntries), "more")
	}
	fi, err := c.root.Lstat(p)
	if err != nil {
		return false, fmt.Errorf("list outputs: %w", err)
	}
	if fi.IsDir() {
		return c.wanted.Folder(p), nil
	}
	return c.wanted.File(p), nil
}

func (c *collector) countLink(p string, fi fs.FileInfo) {
	id, names, ok := inode(fi)
	if !ok || names < 2 || c.wanted != nil {
		return
	}
	l := c.links[id]
	if l == nil {
		l = &link{path: p, names: names}
		c.links[id] = l
	}
	l.seen++
}

// hash reads every file once, on all cores.
func (c *collector) hash(ctx context.Context) ([]Output, error) {
	outputs := make([]Output, len(c.files))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range c.files {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			out, err := c.hashFile(ctx, f)
			outputs[i] = out
			return err
		})
	}
	return outputs, g.Wait()
}

func (c *collector) hashFile(ctx context.Context, f found) (Output, error) {
	h, err := c.root.Open(f.path)
	if err != nil {
		return Output{}, fmt.Errorf("open output: %w", err)
	}
	defer h.Close()
	changed := func() error {
		return c.refuse("output-changed", f.path, "an output changed while it was read", "the file that was listed", "another")
	}
	fi, err := h.Stat()
	if err != nil {
		return Output{}, fmt.Errorf("open output: %w", err)
	}
	if !os.SameFile(fi, f.info) || !fi.Mode().IsRegular() {
		return Output{}, changed()
	}
	sum, crc := sha1.New(), crc32.NewIEEE() // #nosec G401 -- see Output
	sums, err := digest.Reader(io.TeeReader(digest.Until(ctx, io.LimitReader(h, f.info.Size()+1)), io.MultiWriter(sum, crc)))
	if err != nil {
		return Output{}, fmt.Errorf("read output %s: %w", f.path, err)
	}
	if sums.Size != f.info.Size() {
		return Output{}, changed()
	}
	return Output{Path: f.path, Executable: f.info.Mode().Perm()&0o100 != 0, Sums: sums, SHA1: hex.EncodeToString(sum.Sum(nil)), CRC32: crc.Sum32()}, nil
}

func badName(name, p string) string {
	switch {
	case !utf8.ValidString(name):
		return "not UTF-8"
	case strings.Contains(name, `\`):
		return "a backslash"
	case len(name) > 255 || len(p) > 1024:
		return "too long a name"
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return fmt.Sprintf("the character %U", r)
		}
	}
	return ""
}

func (c *collector) refuse(code, p, what, expected, actual string) *gate.Refusal {
	return &gate.Refusal{Code: code, What: what, Where: fmt.Sprintf("%q", clip(path.Join("outputs", p))), Expected: expected, Actual: actual,
		Fix: "change the build so that it leaves only regular files with plain names in its output folder"}
}
