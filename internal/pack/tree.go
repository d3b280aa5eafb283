package pack

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sello-release/sello/internal/gate"
)

// FromTree gives an entry for every file and symlink below root, as they are
// now; a file is executable when any execute bit is set. Devices, sockets and
// pipes are refused. The entries can be opened as long as root is open.
func FromTree(root *os.Root) ([]Entry, error) {
	var entries []Entry
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		e, err := FromFile(root, name, name)
		if err == nil {
			entries = append(entries, e)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list files to pack: %w", err)
	}
	return entries, nil
}

// FromFile gives the entry called name for the file or symlink at path below root.
// Opening it fails when the file was replaced in the meantime.
func FromFile(root *os.Root, path, name string) (Entry, error) {
	path = filepath.FromSlash(path)
	info, err := root.Lstat(path)
	if err != nil {
		return Entry{}, err
	}
	switch info.Mode().Type() {
	case fs.ModeSymlink:
		target, err := root.Readlink(path)
		if err != nil {
			return Entry{}, err
		}
		return Entry{Name: name, Link: filepath.ToSlash(target)}, nil
	case 0:
		return Entry{Name: name, Size: info.Size(), Executable: info.Mode()&0o111 != 0,
			Open: func() (io.ReadCloser, error) { return openSame(root, path, info) }}, nil
	}
	return Entry{}, &gate.Refusal{Code: CodeBadFile, What: "only files and symlinks can be packed", Where: fmt.Sprintf("%q", name),
		Actual: info.Mode().Type().String(), Fix: "remove it, or leave it out"}
}

// openSame opens a file that was seen before, and nothing that took its place.
func openSame(root *os.Root, path string, seen fs.FileInfo) (io.ReadCloser, error) {
	f, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, seen) {
		err = &gate.Refusal{Code: CodeBadFile, What: "a file was replaced before it was packed", Where: fmt.Sprintf("%q", path),
			Fix: "let nothing write to the files, and pack them again"}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
