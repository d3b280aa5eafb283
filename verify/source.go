package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// Source is a tree of files that is verified: a folder, a part of a bucket, or what else a program keeps releases in. What it
// gives is taken for hostile. It may be used by several goroutines.
type Source interface {
	// List gives every file whose name starts with prefix, in any order. prefix is empty or ends in a slash.
	List(ctx context.Context, prefix string) ([]Entry, error)
	// Open opens a regular file for reading once; the error wraps fs.ErrNotExist when there is none of that name.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Entry is one file of a Source.
type Entry struct {
	Name      string // slash-separated, relative and clean, without the source's own prefix
	Size      int64  // bytes, as listed: the biggest files are read first
	Irregular bool   // a link, a device or the like, which is refused and never opened
}

// Files verifies a whole release or a whole stage in src, as Dir does. name is what the report and errors call it.
func Files(ctx context.Context, name string, src Source, o Options) (*Report, error) {
	v, err := newVerifier(o)
	if err != nil {
		return nil, err
	}
	return v.files(ctx, name, src)
}

// folderSource is a folder that is never left, and in which no link is followed.
type folderSource struct{ root *os.Root }

// List implements Source.
func (s folderSource) List(ctx context.Context, prefix string) ([]Entry, error) {
	var entries []Entry
	top := "."
	if prefix != "" {
		top = strings.TrimSuffix(prefix, "/")
	}
	err := fs.WalkDir(s.root.FS(), top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && strings.Count(name, "/") >= maxDepth, len(entries) >= maxFiles:
			return tooLarge()
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			entries = append(entries, Entry{Name: name, Irregular: true})
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		entries = append(entries, Entry{Name: name, Size: info.Size()})
		return nil
	})
	if prefix != "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// Open implements Source.
func (s folderSource) Open(_ context.Context, name string) (io.ReadCloser, error) {
	f, err := openRegular(s.root, name)
	if err != nil {
		return nil, err // no *os.File in the interface
	}
	return f, nil
}

// openRegular opens a regular file below root without following a link, and without waiting on a pipe that took its place.
func openRegular(root *os.Root, name string) (*os.File, error) {
	r, err := root.OpenFile(name, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	info, err := r.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = irregular(name)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// below is the part of src under prefix, which ends in a slash or is empty.
func below(src Source, prefix string) Source {
	if prefix == "" {
		return src
	}
	return part{src, prefix}
}

type part struct {
	src    Source
	prefix string
}

func (p part) List(ctx context.Context, prefix string) ([]Entry, error) {
	entries, err := p.src.List(ctx, p.prefix+prefix)
	out := make([]Entry, 0, len(entries))
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name, p.prefix)
		if !ok {
			return nil, fmt.Errorf("list %s: the source gives %.200q", p.prefix, e.Name)
		}
		e.Name = name
		out = append(out, e)
	}
	return out, err
}

func (p part) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return p.src.Open(ctx, p.prefix+name)
}

func tooLarge() error {
	return &gate.Refusal{Code: "folder-too-large", What: "the folder is too large or too deep to be a release", Expected: fmt.Sprintf("at most %d files, %d levels", maxFiles, maxDepth),
		Fix: "give the folder of one release: the one with stage.json in it"}
}
