package bubblewrap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
)

// maxTop is how many entries a root may have at its top; each is a mount.
const maxTop = 256

// top is what a step's root has at its top. Each folder and file is mounted by itself, and symlinks are made again, so that the sandbox
// can have its own /proc, /dev and /tmp, and the step's mounts, whether or not the root has folders to mount them on.
type top struct {
	mounts []engine.Mount
	links  []link
}

type link struct{ at, to string }

// readTop lists a step's root; without one there is nothing.
func readTop(s engine.Step) (top, error) {
	var t top
	if s.Root == nil {
		return t, nil
	}
	taken := []string{"/proc", "/dev", "/tmp"} // the sandbox's own; it has no /sys, and that of a root is a folder like any other
	for _, m := range s.Mounts {
		taken = append(taken, m.Target)
	}
	d, err := os.Open(s.Root.Host)
	if err != nil {
		return t, fmt.Errorf("read root: %w", err)
	}
	defer d.Close()
	entries, err := d.ReadDir(maxTop + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return t, fmt.Errorf("read root: %w", err)
	}
	if len(entries) > maxTop {
		return t, badRoot(s, "the root has too many entries at its top", fmt.Sprintf("at most %d", maxTop), "more")
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		at, host := "/"+e.Name(), filepath.Join(s.Root.Host, e.Name())
		if slices.Contains(taken, at) {
			continue
		}
		switch e.Type() {
		case 0, fs.ModeDir:
			t.mounts = append(t.mounts, engine.Mount{Host: host, Target: at, Materials: s.Root.Materials})
		case fs.ModeSymlink:
			to, err := os.Readlink(host)
			if err != nil {
				return t, fmt.Errorf("read root: %w", err)
			}
			t.links = append(t.links, link{at, to})
		default:
			return t, badRoot(s, "the root holds something that is no file, folder or symlink", "a root file system that Sello unpacked", at+" "+e.Type().String())
		}
	}
	return t, nil
}

func badRoot(s engine.Step, what, expected, actual string) error {
	return &gate.Refusal{Code: "step-root", Where: s.Name, What: what, Expected: expected, Actual: actual, Fix: "use another image as root"}
}
