package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of what a step may leave in its writable folders, besides their size. They keep
// walking those folders cheap.
const (
	MaxEntries = 1 << 20
	MaxDepth   = 128
)

// ErrUnmeasurable says that the size of a step's folders cannot be told: it hides files in a folder
// that cannot be read, or nests them too deep, or there are too many.
var ErrUnmeasurable = errors.New("cannot be measured")

// Usage adds up what the files and folders at paths occupy, in bytes: the size of each
// file or the space it takes on the disk, whichever is more. It follows no symlinks
// and may run while a step writes. It stops early once the sum is above limit.
func Usage(paths []string, limit int64) (int64, error) {
	u := usage{limit: limit}
	for _, p := range paths {
		if err := u.add(p); err != nil && !errors.Is(err, fs.SkipAll) {
			return u.sum, err
		}
	}
	return u.sum, nil
}

type usage struct{ sum, limit, entries int64 }

func (u *usage) add(p string) error {
	fi, err := os.Lstat(p)
	if err != nil {
		return fmt.Errorf("measure output: %w", err)
	}
	if !fi.IsDir() {
		u.sum += occupied(fi)
		return nil
	}
	root, err := os.OpenRoot(p)
	if err != nil {
		return fmt.Errorf("measure output: %w", err)
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while we looked
		}
		if err != nil {
			return fmt.Errorf("%s %w: %w", filepath.Join(p, clip(name)), ErrUnmeasurable, err)
		}
		if u.entries++; u.entries > MaxEntries || strings.Count(name, "/") > MaxDepth {
			return fmt.Errorf("%s %w: more than %d entries or %d levels", filepath.Join(p, clip(name)), ErrUnmeasurable, MaxEntries, MaxDepth)
		}
		fi, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s %w: %w", filepath.Join(p, clip(name)), ErrUnmeasurable, err)
		}
		if u.sum += occupied(fi); u.sum > u.limit {
			return fs.SkipAll
		}
		return nil
	})
}

// clip keeps a hostile name from filling a message.
func clip(name string) string {
	if len(name) > 200 {
		return name[:200] + "…"
	}
	return name
}
