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
	dev  string // device nodes of the step's own, as root; "" otherwise
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
	if err := s.makeDevices(); err != nil {
		lock.Close()
		return nil, err
	}
	return s, nil
}

// makeDevices gives the step device nodes of its own: the host's are root's, and in root's sandbox the
// step could change their modes for the whole machine. An ordinary user's step cannot, and an ordinary user cannot make nodes.
func (s *scratch) makeDevices() error {
	if os.Geteuid() != 0 {
		return nil
	}
	dev := filepath.Join(s.dir, "dev")
	if err := os.Mkdir(dev, 0o755); err != nil {
		return err
	}
	for _, d := range devices {
		node := filepath.Join(dev, d)
		var host unix.Stat_t
		if err := unix.Stat("/dev/"+d, &host); err != nil {
			return fmt.Errorf("look at device %s: %w", d, err)
		}
		if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(host.Rdev)); err != nil {
			return fmt.Errorf("make device %s: %w", d, err)
		}
		if err := os.Chmod(node, 0o666); err != nil { // whatever the umask
			return err
		}
	}
	null, err := os.OpenFile(filepath.Join(dev, "null"), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("use device nodes in %s (set TMPDIR to a folder on a disk that is not mounted nodev): %w", s.dir, err)
	}
	s.dev = dev
	return null.Close()
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
