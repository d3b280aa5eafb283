package source

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// CopyWorkTree copies SnapshotFiles to the folder dest, which must be empty or not there, with the
// checks and the modes of Export. Files keep their times. What comes out is for a local try: no commit
// stands behind it, and Tree's Commit and Tree are empty.
func (r *Repository) CopyWorkTree(ctx context.Context, dest string, l Limits) (Tree, error) {
	files, err := r.SnapshotFiles(ctx)
	if err != nil {
		return Tree{}, err
	}
	b := &budget{Limits: l.withDefaults()}
	folders, order, err := grow(files, b)
	if err != nil {
		return Tree{}, err
	}
	from, err := os.OpenRoot(r.root)
	if err != nil {
		return Tree{}, fmt.Errorf("open work tree: %w", err)
	}
	defer from.Close()
	s, err := newSink(dest, time.Now(), b)
	if err != nil {
		return Tree{}, err
	}
	for _, at := range order {
		if err = s.copyFolder(ctx, from, at, folders[at]); err != nil {
			break
		}
	}
	if err = s.finish(err); err != nil {
		return Tree{}, err
	}
	return Tree{Files: s.files, Bytes: b.bytes, LFS: s.sortedLFS()}, nil
}

// grow makes folders of a list of paths and checks them like those of a commit. Parents come first in order.
func grow(files []string, b *budget) (folders map[string][]entry, order []string, err error) {
	folders = map[string][]entry{"": nil}
	order = []string{""}
	for _, file := range files {
		at := ""
		names := strings.Split(file, "/")
		for _, name := range names[:len(names)-1] {
			below := path.Join(at, name)
			if _, known := folders[below]; !known {
				folders[at] = append(folders[at], entry{mode: modeFolder, name: name})
				folders[below] = nil
				order = append(order, below)
			}
			at = below
		}
		folders[at] = append(folders[at], entry{mode: modeFile, name: names[len(names)-1]})
	}
	for _, at := range order {
		if err := b.addEntries(len(folders[at]), at); err != nil {
			return nil, nil, err
		}
		if err := b.checkDepth(strings.Count(at, "/")+min(len(at), 1), at); err != nil {
			return nil, nil, err
		}
		if err := checkFolder(at, folders[at]); err != nil {
			return nil, nil, err
		}
	}
	return folders, order, nil
}

// copyFolder copies the files of one folder.
func (s *sink) copyFolder(ctx context.Context, from *os.Root, at string, entries []entry) error {
	into, err := s.folder(at)
	if err != nil {
		return err
	}
	defer into.release()
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.mode == modeFolder {
			continue
		}
		if err := s.copyFile(from, job{into: into, name: e.name, where: path.Join(at, e.name)}); err != nil {
			return err
		}
	}
	return nil
}

func (s *sink) copyFile(from *os.Root, j job) error {
	name := filepath.FromSlash(j.where)
	info, err := from.Lstat(name)
	if err != nil {
		return fmt.Errorf("copy file: %w", err)
	}
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		target, err := from.Readlink(name)
		if err != nil {
			return fmt.Errorf("copy symbolic link: %w", err)
		}
		return s.addLink(j.where, filepath.ToSlash(target))
	case !info.Mode().IsRegular():
		return refusal{
			code: "source-unknown-mode", where: quote(j.where), what: "this is neither a file nor a symbolic link",
			actual: info.Mode().Type().String(), fix: "remove it, or list it in .gitignore",
		}.err()
	}
	if err := s.budget.addFile(info.Size(), j.where); err != nil {
		return err
	}
	j.executable = info.Mode()&0o100 != 0
	j.time = info.ModTime()
	in, err := from.Open(name)
	if err != nil {
		return fmt.Errorf("copy file: %w", err)
	}
	defer in.Close()
	return s.copyContent(j, in, info.Size())
}

// copyContent copies at most size bytes: what the limits have counted.
func (s *sink) copyContent(j job, in io.Reader, size int64) error {
	in = io.LimitReader(in, size)
	if size <= small {
		j.buffer = getBuffer(int(size))
		defer putBuffer(j.buffer)
		n, err := io.ReadFull(in, *j.buffer)
		if err != nil && err != io.ErrUnexpectedEOF {
			return fmt.Errorf("copy %s: %w", quote(j.where), err)
		}
		*j.buffer = (*j.buffer)[:n]
		return s.writeSmall(j, nil)
	}
	s.files++
	return s.create(j, func(f *os.File) error {
		_, err := io.Copy(f, in)
		return err
	})
}
