package vuln

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

// fileKind is what a file of a folder is taken for.
type fileKind int

const (
	aFile    fileKind = iota // nothing that could be checked
	aProgram                 // of Go or not
	aDocument
	anArchive
)

// walker collects what is in a folder, and what in it cannot be checked.
type walker struct {
	ctx      context.Context
	dir      string
	files    int
	targets  []Target
	layout   string   // of images
	links    []string // links out of the folder, pipes and devices
	archives []packed
	programs []packed // that say nothing of themselves
}

// packed is a file of which only a document could say what is in it.
type packed struct{ name, sha256 string }

// readFolder takes every program and document of a folder. In a module's source they would be anybody's: of a folder with a
// go.mod only that is taken, and the rest is named.
func readFolder(ctx context.Context, dir string) ([]Target, error) {
	t, err := readModFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	if t != nil {
		beside, err := besideModFile(ctx, dir)
		if err != nil {
			return nil, err
		}
		t.Notes = append(t.Notes, beside...)
		return []Target{*t}, nil
	}
	w := &walker{ctx: ctx, dir: dir}
	if err := filepath.WalkDir(dir, w.visit); err != nil {
		return nil, err
	}
	if len(w.targets) == 0 || w.layout == "." {
		return unpacked(ctx, dir, nil)
	}
	if err := w.unpack(); err != nil {
		return nil, err
	}
	w.targets[0].Notes = append(w.targets[0].Notes, w.notes()...)
	return w.targets, nil
}

func (w *walker) visit(p string, e fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return notReadable(p, err)
	case w.ctx.Err() != nil:
		return w.ctx.Err()
	case e.IsDir() && e.Name() == ".git":
		return fs.SkipDir
	case e.IsDir():
		return nil
	}
	rel, err := filepath.Rel(w.dir, p)
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	name := filepath.ToSlash(rel)
	if !e.Type().IsRegular() {
		if !w.within(p, e) {
			w.links = append(w.links, name)
		}
		return nil
	}
	if w.files++; w.files > maxFiles {
		return &gate.Refusal{Code: "vuln-input-too-large", Where: w.dir, What: "there is more than is read", Expected: fmt.Sprintf("at most %d files", maxFiles), Fix: "give the folder of one release"}
	}
	if e.Name() == "oci-layout" {
		w.layout = filepath.ToSlash(filepath.Dir(rel))
	}
	return w.take(p, name)
}

// take reads a file, or notes that it cannot be looked into.
func (w *walker) take(p, name string) error {
	kind, err := kindOf(p)
	if err != nil {
		return notReadable(p, err)
	}
	switch kind {
	case anArchive:
		sums, err := fileSums(w.ctx, p)
		w.archives = append(w.archives, packed{name, sums.SHA256})
		return err
	case aProgram, aDocument:
		t, err := readFile(w.ctx, p, name)
		if err != nil {
			return err
		}
		if t != nil {
			w.targets = append(w.targets, *t)
			return nil
		}
		sums, err := fileSums(w.ctx, p)
		w.programs = append(w.programs, packed{name, sums.SHA256})
		return err
	}
	return nil
}

// unpack looks into the archives that no document there describes. Those into which nobody can look stay to be named.
func (w *walker) unpack() error {
	var left []packed
	for _, f := range w.archives {
		if slices.ContainsFunc(w.targets, func(t Target) bool { return t.hashes[f.sha256] }) {
			continue
		}
		found, err := unpacked(w.ctx, filepath.Join(w.dir, filepath.FromSlash(f.name)), nil)
		switch {
		case w.ctx.Err() != nil:
			return w.ctx.Err()
		case err != nil:
			left = append(left, f)
			continue
		}
		for i := range found {
			found[i].Name = f.name
		}
		w.targets = append(w.targets, found...)
	}
	w.archives = left
	return nil
}

// within holds for a link to something in the folder, which is found there.
func (w *walker) within(p string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return false
	}
	to, err := filepath.EvalSymlinks(p)
	if err != nil {
		return false
	}
	dir, err := filepath.EvalSymlinks(w.dir)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, to)
	return err == nil && filepath.IsLocal(rel)
}

// notes says what of the folder was not checked. What a document says the contents of was.
func (w *walker) notes() (notes []string) {
	names := func(all []packed) (out []string) {
		for _, f := range all {
			if !slices.ContainsFunc(w.targets, func(t Target) bool { return t.hashes[f.sha256] }) {
				out = append(out, f.name)
			}
		}
		return out
	}
	for _, n := range []struct {
		what  string
		names []string
	}{
		{"archives that cannot be looked into, or have nothing that could be looked up; give their bills of materials", names(w.archives)},
		{"programs that do not say what is in them (not of Go, or without build information)", names(w.programs)},
		{"links out of the folder, pipes and devices", w.links},
	} {
		if len(n.names) > 0 {
			notes = append(notes, fmt.Sprintf("not checked: %d %s: %s", len(n.names), n.what, some(n.names)))
		}
	}
	if w.layout != "" {
		notes = append(notes, "not checked: the images in "+w.layout+"; give their bills of materials")
	}
	return notes
}

// besideModFile names programs and documents that lie in a module's source and are not checked.
func besideModFile(ctx context.Context, dir string) ([]string, error) {
	var found []string
	files := 0
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case files > maxFiles:
			return fs.SkipAll
		case e == nil || e.IsDir() && (err != nil || e.Name() == ".git"):
			return fs.SkipDir
		case err != nil || !e.Type().IsRegular():
			return nil
		}
		files++
		kind, _ := kindOf(p)
		inner := e.Name() == "go.mod" && filepath.Dir(p) != filepath.Clean(dir)
		if kind != aProgram && kind != aDocument && !inner {
			return nil
		}
		if rel, err := filepath.Rel(dir, p); err == nil {
			found = append(found, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	note := fmt.Sprintf("not checked: %d programs, documents and modules beside go.mod; give them by their names: %s", len(found), some(found))
	if files > maxFiles {
		note += fmt.Sprintf("; there are more than %d files", maxFiles)
	}
	return []string{note}, nil
}

// kindOf looks at a file's name and first bytes.
func kindOf(path string) (fileKind, error) {
	name := strings.ToLower(filepath.Base(path))
	ends := func(all ...string) bool {
		return slices.ContainsFunc(all, func(end string) bool { return strings.HasSuffix(name, end) })
	}
	if ends(".spdx.json", ".cdx.json", "bom.json", ".spdx", ".cdx", ".spdx3.json") {
		return aDocument, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return aFile, err
	}
	defer f.Close()
	start := make([]byte, maxPrefix)
	n, err := io.ReadFull(f, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return aFile, err
	}
	start = start[:n]
	has := func(all ...string) bool {
		return slices.ContainsFunc(all, func(mark string) bool { return bytes.Contains(start, []byte(mark)) })
	}
	begins := func(all ...string) bool {
		return slices.ContainsFunc(all, func(magic string) bool { return bytes.HasPrefix(start, []byte(magic)) })
	}
	text := bytes.TrimLeft(start, " \t\r\n\ufeff")
	switch {
	case n >= 4 && isProgram([4]byte(start)):
		return aProgram, nil
	case ends(".tar", ".tar.gz", ".tgz", ".zip", ".jar", ".war", ".whl", ".deb", ".rpm", ".apk"), begins("PK\x03\x04", "\x1f\x8b", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "BZh", "!<arch>\n", "\xed\xab\xee\xdb", "7z\xbc\xaf"), n >= 262 && string(start[257:262]) == "ustar":
		return anArchive, nil
	case bytes.HasPrefix(text, []byte("{")) && has(`"spdxVersion"`, `"bomFormat"`, `https://spdx.org/rdf/3`), bytes.HasPrefix(text, []byte("SPDXVersion:")), bytes.HasPrefix(text, []byte("<")) && has("http://cyclonedx.org/schema/bom"):
		return aDocument, nil
	}
	return aFile, nil
}

func fileSums(ctx context.Context, path string) (digest.Sums, error) {
	f, err := os.Open(path)
	if err != nil {
		return digest.Sums{}, fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	sums, err := digest.Reader(digest.Until(ctx, f))
	if err != nil {
		return sums, fmt.Errorf("read %s: %w", path, err)
	}
	return sums, nil
}

// some names the first few.
func some(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}
