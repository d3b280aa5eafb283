package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/sello-release/sello/internal/gate"
)

// maxObjects bounds what one List gives.
const maxObjects = 1 << 20

// fileBucket is a bucket in a folder. All access goes through an os.Root, so that
// neither a name nor a symbolic link inside the folder leads out of it.
type fileBucket struct {
	base string // absolute
	rel  string // slash-separated, below base: reached without leaving base

	mu   sync.Mutex
	root *os.Root
}

// String gives the bucket's place, for messages.
func (b *fileBucket) String() string { return filepath.Join(b.base, filepath.FromSlash(b.rel)) }

// where names an object in messages.
func (b *fileBucket) where(name string) string {
	return filepath.Join(b.String(), filepath.FromSlash(name))
}

// open gives the bucket's folder, and fs.ErrNotExist when there is none yet.
func (b *fileBucket) open() (*os.Root, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.root != nil {
		return b.root, nil
	}
	base, err := os.OpenRoot(b.base)
	if err != nil {
		return nil, err
	}
	if b.rel == "." {
		b.root = base
		return base, nil
	}
	defer base.Close()
	b.root, err = base.OpenRoot(b.rel)
	return b.root, err
}

// Close gives back the bucket's folder. Later calls open it again.
func (b *fileBucket) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.root == nil {
		return nil
	}
	err := b.root.Close()
	b.root = nil
	return err
}

// Get implements Bucket.
func (b *fileBucket) Get(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	f, info, err := b.openFile(ctx, name)
	if err != nil {
		return nil, Info{}, err // no *os.File in the interface
	}
	return f, info, nil
}

func (b *fileBucket) openFile(ctx context.Context, name string) (*os.File, Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, Info{}, err
	}
	if err := CheckName(name); err != nil {
		return nil, Info{}, err
	}
	f, st, err := b.openRegular(name)
	if err != nil {
		return nil, Info{}, explain("read", b.where(name), err)
	}
	return f, Info{Name: name, Size: st.Size(), ModTime: st.ModTime()}, nil
}

// openRegular opens a regular file and nothing else: not through a link as its
// last element, and without waiting for the other end of a pipe.
func (b *fileBucket) openRegular(name string) (*os.File, fs.FileInfo, error) {
	root, err := b.open()
	if err != nil {
		return nil, nil, err
	}
	st, err := root.Lstat(name)
	if err != nil {
		return nil, nil, notThere(err)
	}
	if !st.Mode().IsRegular() {
		return nil, nil, notAFile(b.where(name), st.Mode())
	}
	f, err := root.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, nil, err
	}
	now, err := f.Stat()
	if err == nil && !now.Mode().IsRegular() { // replaced since; another regular file is as good
		err = notAFile(b.where(name), now.Mode())
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, now, nil
}

// notThere makes "a part of the path is a file" the same as "does not exist".
func notThere(err error) error {
	if isNotDir(err) {
		return fmt.Errorf("%w (%w)", fs.ErrNotExist, err)
	}
	return err
}

// List implements Bucket.
func (b *fileBucket) List(ctx context.Context, prefix string) ([]Info, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	root, err := b.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("list", b.String(), err)
	}
	var infos []Info
	if err := b.walk(ctx, root, strings.TrimSuffix(prefix, "/"), &infos); err != nil {
		return nil, err
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Name < infos[j].Name })
	return infos, nil
}

// walk adds everything below the folder dir ("" is the root) to infos. It follows no links.
func (b *fileBucket) walk(ctx context.Context, root *os.Root, dir string, infos *[]Info) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := b.readFolder(root, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if err := CheckName(name); err != nil {
			return err
		}
		if e.IsDir() {
			if err := b.walk(ctx, root, name, infos); err != nil {
				return err
			}
			continue
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return explain("list", b.where(name), err)
		}
		if !st.Mode().IsRegular() {
			return notAFile(b.where(name), st.Mode())
		}
		if len(*infos) == maxObjects {
			return tooMany(b.String())
		}
		*infos = append(*infos, Info{Name: name, Size: st.Size(), ModTime: st.ModTime()})
	}
	return nil
}

// readFolder gives the entries of a folder, without the one for temporary files.
// A folder that is not there has none; one behind a link is refused.
func (b *fileBucket) readFolder(root *os.Root, dir string) ([]fs.DirEntry, error) {
	if dir != "" {
		st, err := root.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) || isNotDir(err) || err == nil && st.Mode().IsRegular() {
			return nil, nil
		}
		if err == nil && !st.IsDir() {
			err = notAFile(b.where(dir), st.Mode())
		}
		if err != nil {
			return nil, explain("list", b.where(dir), err)
		}
	}
	f, err := root.Open(path.Join(".", dir))
	if err != nil {
		return nil, explain("list", b.where(dir), err)
	}
	defer f.Close()
	entries, err := f.ReadDir(maxObjects + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, explain("list", b.where(dir), err)
	}
	if len(entries) > maxObjects {
		return nil, tooMany(b.where(dir))
	}
	if dir == "" {
		for i, e := range entries {
			if e.Name() == tempFolder {
				entries = append(entries[:i], entries[i+1:]...)
				break
			}
		}
	}
	return entries, nil
}

func tooMany(where string) error {
	return &gate.Refusal{
		Code: "store-too-many", What: "there are too many objects to list", Where: where,
		Expected: fmt.Sprintf("at most %d", maxObjects), Fix: "find out what filled the bucket, and move it elsewhere",
	}
}

// Folders implements FolderLister.
func (b *fileBucket) Folders(ctx context.Context, prefix string) ([]string, error) {
	if err := errors.Join(ctx.Err(), checkPrefix(prefix)); err != nil {
		return nil, err
	}
	root, err := b.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("list", b.String(), err)
	}
	entries, err := b.readFolder(root, strings.TrimSuffix(prefix, "/"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names, nil
}
