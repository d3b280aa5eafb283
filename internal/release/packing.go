package release

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/pack"
	"github.com/sello-release/sello/internal/stage"
)

// packArchive packs one archive: the binaries and other outputs of its builds on its platform, and files of the source.
func (a *assembly) packArchive(ctx context.Context, ar build.Archive) (stage.Artifact, error) {
	entries, err := a.sourceFiles(ar.Files)
	if err != nil {
		return stage.Artifact{}, err
	}
	name := func(s stage.Artifact) string {
		if s.Kind == stage.KindBinary {
			return path.Base(s.Name)
		}
		return strings.TrimPrefix(s.Name, build.FilePath(ar.Platform, "")+"/")
	}
	outputs := a.binariesOf(ar)
	for _, f := range a.filesOf(ar.Platform.String()) {
		if slices.Contains(ar.Builds, f.Build) {
			outputs = append(outputs, f)
		}
	}
	for _, s := range outputs {
		entries = append(entries, pack.Entry{Name: name(s), Executable: s.Kind == stage.KindBinary, Size: s.Size, Open: a.open(s.Name)})
	}
	known := a.contents(outputs, func(s stage.Artifact) string { return path.Join(ar.Prefix, name(s)) })
	made, err := a.pack(ctx, ar.Name, entries, known, pack.Options{Format: ar.Format, Time: a.plan.Time, Prefix: ar.Prefix})
	made.Kind, made.Platform, made.Build = stage.KindArchive, ar.Platform.String(), onlyBuild(ar)
	return made, err
}

// packSource packs the whole exported source.
func (a *assembly) packSource(ctx context.Context) (stage.Artifact, error) {
	name := a.plan.Source
	root, err := os.OpenRoot(a.sourceRoot())
	if err != nil {
		return stage.Artifact{}, fmt.Errorf("open source: %w", err)
	}
	defer root.Close()
	entries, err := pack.FromTree(root)
	if err != nil {
		return stage.Artifact{}, fmt.Errorf("list source: %w", err)
	}
	made, err := a.pack(ctx, name, entries, nil, pack.Options{Format: "tar.gz", Time: a.plan.Time, Prefix: strings.TrimSuffix(name, ".tar.gz")})
	made.Kind = stage.KindSource
	return made, err
}

// checksums writes SHA256SUMS and SHA512SUMS over all artifacts so far.
func (a *assembly) checksums() ([]stage.Artifact, error) {
	var out []stage.Artifact
	all := a.shipped()
	for _, algo := range []struct {
		file, name string
		sum        func(stage.Artifact) string
	}{
		{"SHA256SUMS", "sha256", func(s stage.Artifact) string { return s.SHA256 }},
		{"SHA512SUMS", "sha512", func(s stage.Artifact) string { return s.SHA512 }},
	} {
		var items []pack.Checksum
		for _, s := range all {
			items = append(items, pack.Checksum{Name: s.Name, Sum: algo.sum(s)})
		}
		sums, err := a.spool(algo.file, func(w io.Writer) error { return pack.Checksums(w, algo.name, items) })
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", algo.file, err)
		}
		out = append(out, stage.Artifact{Name: algo.file, Kind: stage.KindChecksum, Sums: sums})
	}
	return out, nil
}

func (a *assembly) sourceRoot() string {
	if a.origin.published != nil {
		return a.origin.published.Dir
	}
	return a.path("src")
}

// open gives a reader of a release file in the work folder.
func (a *assembly) open(name string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(a.filePath(name)) }
}

// binariesOf gives the binaries that go into an archive, from all its builds on its platform.
func (a *assembly) binariesOf(ar build.Archive) []stage.Artifact {
	var out []stage.Artifact
	for _, s := range a.binaries(ar.Platform.String()) {
		if len(ar.Builds) == 0 || slices.Contains(ar.Builds, s.Build) {
			out = append(out, s)
		}
	}
	return out
}

// onlyBuild names the build of an archive that has just one.
func onlyBuild(ar build.Archive) string {
	if len(ar.Builds) == 1 {
		return ar.Builds[0]
	}
	return ""
}

// sourceFiles gives the files of the source that match the globs, under their own paths. A pattern
// written by the user that matches nothing is refused; the default ones may match nothing.
func (a *assembly) sourceFiles(globs []string) ([]pack.Entry, error) {
	root, err := os.OpenRoot(a.sourceRoot())
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	defer root.Close()
	seen := map[string]bool{}
	var entries []pack.Entry
	for _, glob := range globs {
		names, err := fs.Glob(root.FS(), glob)
		if err != nil {
			return nil, fmt.Errorf("match %s: %w", glob, err)
		}
		if len(names) == 0 && !build.DefaultFile(glob) {
			return nil, noSourceFile("sello.yaml: archives[].files", glob)
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			more, err := a.sourceEntries(root, name)
			if err != nil {
				return nil, err
			}
			entries = append(entries, more...)
		}
	}
	return entries, nil
}

func noSourceFile(where, glob string) error {
	return &gate.Refusal{Code: "archive-file-missing", Class: gate.Usage, Where: where, What: fmt.Sprintf("%q matches no file of the source", glob),
		Expected: "at least one file at the released commit", Fix: "correct the pattern, or commit the file"}
}

// sourceEntries gives one file, or all files of a folder.
func (a *assembly) sourceEntries(root *os.Root, name string) ([]pack.Entry, error) {
	var entries []pack.Entry
	err := fs.WalkDir(root.FS(), name, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := root.Stat(p) // follows links, which never leave the root
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		full := filepath.Join(a.sourceRoot(), filepath.FromSlash(p))
		entries = append(entries, pack.Entry{Name: p, Executable: info.Mode()&0o111 != 0, Size: info.Size(),
			Open: func() (io.ReadCloser, error) { return os.Open(full) }})
		return nil
	})
	return entries, err
}

// spool writes one release file, hashing it on its way; it has its final name only when it is whole.
func (a *assembly) spool(name string, write func(io.Writer) error) (digest.Sums, error) {
	root, err := os.OpenRoot(a.path("files"))
	if err != nil {
		return digest.Sums{}, fmt.Errorf("open files: %w", err)
	}
	defer root.Close()
	return pack.ToFile(root, name, write)
}
