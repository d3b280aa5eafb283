package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Unpack writes the merged file system of the manifest into dir: Scan, and Tree.Unpack.
func Unpack(ctx context.Context, from Fetcher, manifest ocispec.Descriptor, dir *os.Root, l Limits) (Rootfs, error) {
	t, err := Scan(ctx, from, manifest, l)
	if err != nil {
		return Rootfs{}, err
	}
	return t.Unpack(ctx, dir)
}

// Unpack writes the tree into dir, which has to be empty, for use as the read-only root of a sandbox. What stands
// in dir after an error is not the image: write into a temporary folder, and rename it.
//
// Everything belongs to the caller, setuid and setgid are dropped, and the owner can read
// every file and read, write and enter every folder, whatever the image says. Times are those of the layers, in whole seconds; folders that
// are only implied are of 1970, and symlinks of now. Symlinks are written as they are, after all else, and never followed.
func (t *Tree) Unpack(ctx context.Context, dir *os.Root) (Rootfs, error) {
	if err := checkEmpty(dir); err != nil {
		return Rootfs{}, fmt.Errorf("unpack image: %w", err)
	}
	u := &unpacker{dir: dir, buf: make([]byte, copyBuffer)}
	defer u.close()
	for _, step := range []func() error{
		func() error { return t.root.walk(u.folder, nil) },
		func() error { return t.stream(ctx, u.file) },
		func() error { return t.root.walk(u.links, nil) },
		func() error { return t.root.walk(func(*node) error { return ctx.Err() }, u.seal) },
	} {
		if err := step(); err != nil {
			return Rootfs{}, fmt.Errorf("unpack image: %w", err)
		}
	}
	sum := newTreeSum()
	err := t.root.walk(func(n *node) error { sum.add(n.record()); return nil }, nil)
	return sum.rootfs(), err
}

func checkEmpty(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	if names, err := f.Readdirnames(1); len(names) > 0 {
		return fmt.Errorf("the folder is not empty: it holds %q", names[0])
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// unpacker writes folders first, then files, then links, and gives folders their modes and times when nothing changes in them any more.
type unpacker struct {
	dir *os.Root
	buf []byte

	at   *node    // the folder that was worked in last
	open *os.Root // is kept open, for what follows is mostly in it too
}

// in opens the folder, which this unpacker made.
func (u *unpacker) in(folder *node) (*os.Root, error) {
	if u.at == folder {
		return u.open, nil
	}
	r, err := u.dir.OpenRoot(filepath.FromSlash(folder.path()))
	if err != nil {
		return nil, err
	}
	u.close()
	u.at, u.open = folder, r
	return r, nil
}

func (u *unpacker) close() {
	if u.open != nil {
		u.open.Close()
	}
	u.at, u.open = nil, nil
}

func (u *unpacker) folder(n *node) error {
	if !n.isFolder() || n.parent == nil {
		return nil
	}
	in, err := u.in(n.parent)
	if err != nil {
		return err
	}
	return in.Mkdir(n.name, 0o700)
}

func (u *unpacker) file(f *inode, r io.Reader) error {
	n := f.names[0]
	in, err := u.in(n.parent)
	if err != nil {
		return err
	}
	out, err := in.OpenFile(n.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.CopyBuffer(onlyWriter{io.MultiWriter(out, h)}, r, u.buf)
	if err := errors.Join(err, out.Chmod(fileMode(f.mode)), out.Close()); err != nil {
		return err
	}
	h.Sum(f.sum[:0])
	return in.Chtimes(n.name, f.modified, f.modified)
}

// links writes symlinks, and the further names of files.
func (u *unpacker) links(n *node) error {
	switch {
	case n.isSymlink():
		in, err := u.in(n.parent)
		if err != nil {
			return err
		}
		return in.Symlink(n.file.link, n.name)
	case !n.isFolder() && n.file.names[0] != n:
		return u.dir.Link(filepath.FromSlash(n.file.names[0].path()), filepath.FromSlash(n.path()))
	}
	return nil
}

func (u *unpacker) seal(n *node) error {
	name := filepath.FromSlash(n.path())
	if err := u.dir.Chmod(name, folderMode(n.mode)); err != nil {
		return err
	}
	return u.dir.Chtimes(name, n.modified, n.modified)
}

// fileMode lets the owner read.
func fileMode(m fs.FileMode) fs.FileMode { return m&fs.ModePerm | 0o400 }

// folderMode lets the owner do everything, so that ordinary users can verify and delete the tree.
func folderMode(m fs.FileMode) fs.FileMode { return m&(fs.ModePerm|fs.ModeSticky) | 0o700 }

// record gives what Rootfs.Digest covers of n.
func (n *node) record() record {
	switch {
	case n.isFolder():
		return record{path: n.path(), mode: fs.ModeDir | folderMode(n.mode), modified: n.modified}
	case n.isSymlink():
		return record{path: n.path(), mode: fs.ModeSymlink, link: n.file.link}
	}
	return record{path: n.path(), mode: fileMode(n.file.mode), modified: n.file.modified, size: n.file.size, sum: n.file.sum}
}

// record is what is known of one name of a tree on disk.
type record struct {
	path     string
	mode     fs.FileMode
	modified time.Time // not of symlinks
	size     int64
	link     string
	sum      [32]byte
}
