package bubblewrap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/engine"
)

const scratchPrefix = "sello-step-"

// scratch is a step's own folder on the host, locked while in use.
type scratch struct {
	dir  string
	tmp  string // the step's /tmp
	lock *os.File
}

// newScratch makes a folder below base, after removing what killed processes left there.
func newScratch(base string) (*scratch, error) {
	if base == "" {
		base = os.TempDir()
	}
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fmt.Errorf("make scratch: %w", err)
	}
	sweepScratch(base)
	for range 3 { // another process may sweep between making and locking
		s, err := lockedScratch(base)
		if err != nil {
			return nil, fmt.Errorf("make scratch: %w", err)
		}
		if s != nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("make scratch below %s: it disappears", base)
}

func lockedScratch(base string) (*scratch, error) {
	dir, err := os.MkdirTemp(base, scratchPrefix)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	lock, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &scratch{dir: dir, tmp: filepath.Join(dir, "tmp"), lock: lock}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, nil
	}
	if err := os.Mkdir(s.tmp, 0o700); err != nil {
		lock.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	return s, nil
}

// remove removes the folder with everything in it. It must be called when the step is gone.
func (s *scratch) remove() error {
	defer s.lock.Close()
	return engine.RemoveAll(s.dir)
}

// sweepScratch removes our folders that no living process has locked.
func sweepScratch(base string) {
	dirs, err := filepath.Glob(filepath.Join(base, scratchPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		sweepOne(dir)
	}
}

func sweepOne(dir string) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil || int(st.Uid) != os.Geteuid() {
		return
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = engine.RemoveAll(dir) // best effort: the step that made it is long gone
	}
}
