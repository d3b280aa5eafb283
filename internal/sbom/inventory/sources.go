package inventory

import (
	"context"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// sources are the projects that a folder holds the sources of.
type sources struct {
	modules []*goMain
	locks   []lockFile
	notes   []string
}

func (s *sources) any() bool { return len(s.modules)+len(s.locks) > 0 }

// name is the path of the module at the folder's root.
func (s *sources) name() string {
	for _, m := range s.modules {
		if m.dir == "" {
			return m.path
		}
	}
	return ""
}

// readSources reads the files in which projects say what they depend on.
func readSources(ctx context.Context, dir *os.Root, found *folder, o Options) (*sources, error) {
	s := &sources{}
	passed := 0
	for _, n := range found.files {
		in, base := path.Split(n.name)
		if base != "go.mod" || slices.Contains(strings.Split(in, "/"), "vendor") {
			continue
		}
		if slices.Contains(strings.Split(in, "/"), "testdata") {
			passed++
			continue
		}
		m, err := readGoMain(ctx, dir, found, strings.TrimSuffix(in, "/"), o)
		if err != nil {
			return nil, err
		}
		s.modules = append(s.modules, m)
	}
	if passed > 0 {
		s.notes = append(s.notes, "Modules below folders called testdata were passed over, as the Go command does")
	}
	var err error
	if s.locks, err = readLocks(ctx, dir, found); err != nil {
		return nil, err
	}
	s.notes = append(s.notes, found.unread(s.locks)...)
	return s, nil
}

// sources takes up what was read.
func (d *describer) sources(root string, s *sources) error {
	for _, text := range s.notes {
		d.b.Note(root, "%s", text)
	}
	for _, m := range s.modules {
		if err := d.goMain(root, m); err != nil {
			return err
		}
	}
	d.locks(root, s.locks)
	return nil
}

// maxText bounds the files of text that are read whole, in bytes.
const maxText = 32 << 20

// readText reads a file of a folder.
func readText(dir *os.Root, name string) ([]byte, error) {
	f, err := dir.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(b) > maxText {
		err = tooLarge("more than %d bytes", maxText)
	}
	return b, err
}
