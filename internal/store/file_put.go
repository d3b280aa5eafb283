package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/digest"
)

// Modes of what a bucket holds, whatever the umask: published files are for everyone to read.
const (
	fileMode   = 0o644
	folderMode = 0o755
)

// Put implements Bucket: a temporary file in the bucket's own folder for them,
// fsync, a rename or link that does not replace, fsync of the folder.
func (b *fileBucket) Put(ctx context.Context, name string, r io.Reader, o PutOptions) error {
	return b.put(ctx, name, o, func(f *os.File) error {
		_, err := io.CopyBuffer(onlyWriter{f}, digest.Until(ctx, r), make([]byte, 1<<20))
		return err
	})
}

// CopyFrom implements Copier. On Linux the kernel copies, and shares the blocks where the
// file system can; the copy is then read once, to compare its digest.
func (b *fileBucket) CopyFrom(ctx context.Context, name string, from Bucket, fromName string, want digest.Sums, o PutOptions) error {
	source, ok := from.(*fileBucket)
	if !ok {
		return fmt.Errorf("copy %s: from another kind of bucket: %w", name, errors.ErrUnsupported)
	}
	src, _, err := source.openFile(ctx, fromName)
	if err != nil {
		return err
	}
	defer src.Close()
	return b.put(ctx, name, o, func(f *os.File) error {
		if err := copyFile(ctx, f, src); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.CopyBuffer(onlyWriter{io.Discard}, verify(digest.Until(ctx, f), name, want), make([]byte, 1<<20))
		return err
	})
}

func (b *fileBucket) put(ctx context.Context, name string, o PutOptions, fill func(*os.File) error) error {
	if err := errors.Join(ctx.Err(), CheckName(name)); err != nil {
		return err
	}
	root, err := b.create()
	if err != nil {
		return explain("write", b.String(), err)
	}
	if o.Exclusive {
		if _, err := root.Lstat(name); err == nil {
			return fmt.Errorf("write %s: %w", b.where(name), fs.ErrExist)
		}
	}
	temp, err := writeTemp(root, fill)
	if err != nil {
		return explain("write", b.where(name), err)
	}
	if err := b.commit(root, temp, name, o); err != nil {
		_ = root.Remove(temp)
		return explain("write", b.where(name), err)
	}
	return nil
}

// link implements linker.
func (b *fileBucket) link(ctx context.Context, name string, f *os.File, o PutOptions) error {
	if err := errors.Join(ctx.Err(), CheckName(name)); err != nil {
		return err
	}
	root, err := b.create()
	if err != nil {
		return explain("write", b.String(), err)
	}
	temp, err := linkTemp(root, b.String(), f)
	if err != nil {
		return fmt.Errorf("link %s: %w: %w", b.where(name), errors.ErrUnsupported, err)
	}
	if err := b.commit(root, temp, name, o); err != nil {
		_ = root.Remove(temp)
		return explain("write", b.where(name), err)
	}
	return nil
}

// linkTemp gives an open file a temporary name in the bucket, and makes its content durable.
func linkTemp(root *os.Root, dir string, f *os.File) (string, error) {
	if err := makeFolder(root, tempFolder); err != nil {
		return "", err
	}
	temp, err := tempName()
	if err != nil {
		return "", err
	}
	if err := os.Link(f.Name(), filepath.Join(dir, filepath.FromSlash(temp))); err != nil {
		return "", err
	}
	if err := sameFile(root, temp, f); err != nil {
		_ = root.Remove(temp)
		return "", err
	}
	return temp, nil
}

// sameFile holds that name is the very file that is open as f, and fit to be published.
func sameFile(root *os.Root, name string, f *os.File) error {
	want, err := f.Stat()
	if err != nil {
		return err
	}
	linked, err := root.Open(name)
	if err != nil {
		return err
	}
	defer linked.Close()
	have, err := linked.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(want, have) || !have.Mode().IsRegular() || runtime.GOOS != "windows" && have.Mode().Perm() != fileMode {
		return fmt.Errorf("%s is another file, or one with another mode", f.Name())
	}
	return linked.Sync()
}

func tempName() (string, error) {
	var id [12]byte
	_, err := rand.Read(id[:])
	return tempFolder + "/" + hex.EncodeToString(id[:]), err
}

// writeTemp fills a new temporary file and makes it durable. It gives the file's name, or leaves nothing.
func writeTemp(root *os.Root, fill func(*os.File) error) (string, error) {
	if err := makeFolder(root, tempFolder); err != nil {
		return "", err
	}
	temp, err := tempName()
	if err != nil {
		return "", err
	}
	f, err := root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return "", err
	}
	err = f.Chmod(fileMode)
	if err == nil {
		err = fill(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = root.Remove(temp)
		return "", err
	}
	return temp, nil
}

// commit gives a finished temporary file its name.
func (b *fileBucket) commit(root *os.Root, temp, name string, o PutOptions) error {
	dir := path.Dir(name)
	if err := makeFolder(root, dir); err != nil {
		return err
	}
	if !o.Exclusive {
		if st, err := root.Lstat(name); err == nil && !st.Mode().IsRegular() {
			return notAFile(b.where(name), st.Mode())
		}
		if err := root.Rename(temp, name); err != nil {
			return err
		}
		return syncFolder(root, dir)
	}
	if err := moveExclusive(root, temp, name); err != nil {
		return err
	}
	return syncFolder(root, dir)
}

// moveExclusive renames without replacing; where the file system cannot, it links and removes.
func moveExclusive(root *os.Root, temp, name string) error {
	err := renameNoReplace(root, temp, name)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := root.Link(temp, name); err != nil {
		return err
	}
	return root.Remove(temp)
}

// create gives the bucket's folder and makes it first if need be.
func (b *fileBucket) create() (*os.Root, error) {
	root, err := b.open()
	if !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	if b.rel != "." {
		base, err := os.OpenRoot(b.base)
		if err != nil {
			return nil, err
		}
		defer base.Close()
		if err := makeFolder(base, b.rel); err != nil {
			return nil, err
		}
		return b.open()
	}
	existing := b.base // the deepest folder on the way that exists
	for {
		if st, err := os.Stat(existing); err == nil && st.IsDir() || filepath.Dir(existing) == existing {
			break
		}
		existing = filepath.Dir(existing)
	}
	base, err := os.OpenRoot(existing)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	rel, err := filepath.Rel(existing, b.base)
	if err != nil {
		return nil, err
	}
	if err := makeFolder(base, filepath.ToSlash(rel)); err != nil {
		return nil, err
	}
	return b.open()
}

// makeFolder makes dir and its parents, world-readable whatever the umask, and durable.
func makeFolder(root *os.Root, dir string) error {
	if dir == "." || dir == "" {
		return nil
	}
	if st, err := root.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	done := "."
	for _, e := range strings.Split(dir, "/") {
		parent := done
		done = path.Join(done, e)
		err := root.Mkdir(done, folderMode)
		if errors.Is(err, fs.ErrExist) {
			continue // a file here shows when the next element is made
		}
		if err != nil {
			return err
		}
		if err := root.Chmod(done, folderMode); err != nil {
			return err
		}
		if err := syncFolder(root, parent); err != nil {
			return err
		}
	}
	return nil
}

// Sweep implements Sweeper.
func (b *fileBucket) Sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	root, err := b.open()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, explain("sweep", b.String(), err)
	}
	entries, err := b.readFolder(root, tempFolder)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range entries {
		st, err := e.Info()
		if err != nil || !st.Mode().IsRegular() || time.Since(st.ModTime()) < olderThan || e.Name() == lockName {
			continue
		}
		if err := errors.Join(ctx.Err(), root.Remove(tempFolder+"/"+e.Name())); err != nil {
			return n, explain("sweep", b.String(), err)
		}
		n++
	}
	return n, nil
}

// onlyWriter hides ReadFrom, so that the buffer's size is ours.
type onlyWriter struct{ io.Writer }
