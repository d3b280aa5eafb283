package release

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictyaml"
)

// patternsMatch refuses, where they stand in the definition, patterns for files of the source that match nothing in the working
// tree: packing would refuse them, long after the build. What git ignores is not in a source. A published module has no working tree.
func (p *Project) patternsMatch(ctx context.Context, name string, data []byte) error {
	var def definition.Definition
	doc, err := strictyaml.Decode(name, data, &def)
	if err != nil {
		return err
	}
	if strings.HasPrefix(def.Source, modulePrefix) {
		return nil
	}
	files, err := p.Repo.SnapshotFiles(ctx)
	if err != nil {
		return err
	}
	tree := sourceTree{files: files, root: p.Repo.Root()}
	refuse := func(code, at, pattern string) {
		doc.Refuse(at, gate.Refusal{Code: code, What: fmt.Sprintf("%q matches no file of the source", pattern),
			Expected: "at least one file that git does not ignore", Fix: "correct the pattern, or commit the file"})
	}
	for n, a := range def.Archives {
		for i, pattern := range a.Files {
			if !tree.has(pattern) {
				refuse("archive-file-missing", fmt.Sprintf("archives[%d].files[%d]", n, i), pattern)
			}
		}
	}
	for n, img := range def.Images {
		for i, f := range img.Files {
			if !tree.has(f.From) {
				refuse("archive-file-missing", fmt.Sprintf("images[%d].files[%d].from", n, i), f.From)
			}
		}
	}
	for n, b := range def.Builds {
		if b.Run == nil {
			continue
		}
		matched := make([]bool, len(b.Run.Inputs))
		globs := definition.NewGlobs(b.Run.Inputs)
		for _, file := range files {
			for _, i := range globs.Match(file) {
				matched[i] = true
			}
		}
		for i, ok := range matched {
			if !ok {
				refuse("build-input-missing", fmt.Sprintf("builds[%d].run.inputs[%d]", n, i), b.Run.Inputs[i])
			}
		}
	}
	return doc.Err()
}

// sourceTree are the files that a source has, or would have.
type sourceTree struct {
	files []string // sorted
	root  string
}

// has reports whether a pattern matches a file, or a folder with a file in it.
func (t sourceTree) has(pattern string) bool {
	want := strings.Split(pattern, "/")
	for _, file := range t.files {
		parts := strings.Split(file, "/")
		n := min(len(want), len(parts))
		ok, err := path.Match(strings.Join(want[:n], "/"), strings.Join(parts[:n], "/"))
		if err != nil || !ok {
			continue
		}
		if n == len(want) || t.isLink(file) { // what lies behind a link is seen when it is packed
			return true
		}
	}
	return false
}

func (t sourceTree) isLink(file string) bool {
	info, err := os.Lstat(filepath.Join(t.root, filepath.FromSlash(file)))
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}
