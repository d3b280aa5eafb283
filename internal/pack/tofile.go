package pack

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"github.com/sello-release/sello/internal/digest"
)

// TempPrefix starts the names of files that ToFile has not finished. What bears
// it after a crash can be deleted.
const TempPrefix = ".sello-tmp-"

// ToFile gives write a file to fill and hashes what is written on its way, so
// that nothing is read again. The file appears at name (slash-separated, below
// dir; its folders are made), whole and on disk, with mode 0644 whatever the
// umask, or not at all. An earlier file of that name is replaced.
func ToFile(dir *os.Root, name string, write func(io.Writer) error) (sums digest.Sums, err error) {
	if err := CheckName(name); err != nil {
		return digest.Sums{}, err
	}
	defer func() {
		if err != nil {
			sums, err = digest.Sums{}, fmt.Errorf("write %s: %w", name, err)
		}
	}()
	parent := filepath.FromSlash(path.Dir(name))
	if err := dir.MkdirAll(parent, 0o755); err != nil {
		return sums, err
	}
	temp := filepath.Join(parent, TempPrefix+rand.Text())
	f, err := dir.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return sums, err
	}
	kept := false
	defer func() {
		if !kept { // also when write panics
			_ = f.Close()
			_ = dir.Remove(temp)
		}
	}()
	if sums, err = fill(f, write); err != nil {
		return sums, err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return sums, err
	}
	if err := dir.Rename(temp, filepath.FromSlash(name)); err != nil {
		return sums, err
	}
	kept = true
	return sums, SyncFolder(dir, parent)
}

func fill(f *os.File, write func(io.Writer) error) (sums digest.Sums, err error) {
	h := newHasher()
	defer func() { sums = h.finish() }()
	return sums, write(io.MultiWriter(f, h))
}

// SyncFolder makes a rename last through a power cut. Windows has nothing of the kind.
func SyncFolder(dir *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := dir.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
