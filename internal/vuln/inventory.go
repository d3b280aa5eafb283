package vuln

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/inventory"
)

// Bounds of what is read.
const (
	maxDocument = 128 << 20 // bytes of an SBOM
	maxFiles    = 100_000   // files of a folder
	maxPrefix   = 64 << 10  // bytes of a file that say what it is
	maxModFile  = 8 << 20
)

// Read finds what can be checked at a path: a Go program, an SPDX or CycloneDX document in JSON, a folder of them (a stage
// or a release), the go.mod of a folder that has one; or an archive, an OCI image layout or the root of a file system, with what internal/sbom/inventory
// finds in it.
func Read(ctx context.Context, path string) ([]Target, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &gate.Refusal{Code: "file-missing", Class: gate.Usage, Where: path, What: "there is nothing to look for vulnerabilities in", Expected: "a Go program, an SBOM, or a folder of them", Fix: "give the path of one that is there"}
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", path, err)
	case info.IsDir():
		return readFolder(ctx, path)
	case !info.Mode().IsRegular():
		return nil, notReadable(path, errors.New("neither a file nor a folder"))
	}
	if archive, err := isArchive(path); err != nil || archive {
		return unpacked(ctx, path, err)
	}
	t, err := readFile(ctx, path, filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, notReadable(path, nil)
	}
	return []Target{*t}, nil
}

// isArchive tells an archive by its first bytes.
func isArchive(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	head := make([]byte, inventory.HeadSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return inventory.IsArchive(head[:n]), nil
}

// unpacked makes the bill of materials of what is at a path, and takes what that lists.
func unpacked(ctx context.Context, path string, err error) ([]Target, error) {
	if err != nil {
		return nil, err
	}
	doc, err := inventory.Of(ctx, path, inventory.Options{Meta: sbom.Meta{Created: time.Unix(0, 0)}})
	if err != nil {
		return nil, err
	}
	t, err := OfDocument(filepath.Base(path), "", doc)
	if err != nil {
		return nil, err
	}
	return []Target{t}, nil
}

// OfDocument gives what a bill of materials lists as something to check. sha256 is that of what it describes; "" takes it
// from the document. A document in which nothing can be looked up is refused.
func OfDocument(name, sha256 string, doc *sbom.Document) (Target, error) {
	t := Target{Name: name, SHA256: sha256}
	if err := takeDocument(&t, doc, name); err != nil {
		return t, err
	}
	inside := slices.ContainsFunc(doc.Packages, func(p sbom.Package) bool { return !slices.Contains(t.holders.roots, p.ID) })
	if len(t.Packages) == 0 && !inside {
		return t, notReadable(name, nil)
	}
	for _, p := range doc.Packages {
		if sum := p.Checksum(sbom.SHA256); sha256 == "" && sum != "" && slices.Contains(doc.Relations, sbom.Relation{From: sbom.DocumentID, Kind: sbom.Describes, To: p.ID}) {
			t.SHA256 = sum
		}
	}
	if n := len(doc.Notes); n > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%s: %d notes in its bill of materials tell what was only claimed or not read", name, n))
	}
	return t, nil
}

func notReadable(path string, cause error) error {
	return &gate.Refusal{Code: "vuln-input-invalid", Where: path, What: "this cannot be checked for vulnerabilities", Expected: "a Go program with build information, an SPDX or CycloneDX document, or an archive, layout or folder with packages in it", Fix: "give a program, an SBOM, an archive, an image layout, or a folder of them", Cause: cause}
}

func isProgram(magic [4]byte) bool {
	switch string(magic[:]) {
	case "\x7fELF", "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xfe\xed\xfa\xcf", "\xfe\xed\xfa\xce", "\xca\xfe\xba\xbe", "\x01\xdf\x00\x4c", "\x01\xf7\x00\x4c":
		return true
	}
	return string(magic[:2]) == "MZ"
}

// readFile reads a program or a document; nil for a program that is not Go's.
func readFile(ctx context.Context, path, name string) (*Target, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil {
		return nil, notReadable(path, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	sums, err := digest.Reader(digest.Until(ctx, f))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	t := &Target{Name: name, SHA256: sums.SHA256}
	if !isProgram(magic) {
		return t, readDocument(t, f, sums.Size, path)
	}
	b, err := sbom.ReadBinary(f)
	if errors.Is(err, sbom.ErrNotGo) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if t.program, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	t.Packages, t.main = modules(&b.BuildInfo), b.Main.Path
	for _, s := range b.Settings {
		switch s.Key {
		case "GOOS":
			t.goos = s.Value
		case "GOARCH":
			t.goarch = s.Value
		}
	}
	return t, nil
}

// modules gives what the build information of a program lists: its modules, as linked, and the standard library.
func modules(b *buildinfo.BuildInfo) []osv.Package {
	out := []osv.Package{{Ecosystem: "Go", Name: "stdlib", Version: osv.GoVersion(b.GoVersion)}}
	for _, m := range append(b.Deps[:len(b.Deps):len(b.Deps)], &b.Main) {
		version := m.Version
		if r := m.Replace; r != nil && !strings.HasPrefix(r.Path, ".") && !filepath.IsAbs(r.Path) {
			out = append(out, osv.Package{Ecosystem: "Go", Name: r.Path, Version: r.Version})
			if r.Path == m.Path {
				continue
			}
		} else if r != nil {
			version = "" // a folder took its place: what is in it is not known
		}
		if m == &b.Main && (version == "(devel)" || version == "") {
			continue // it is what is being released
		}
		if m.Path != "" {
			out = append(out, osv.Package{Ecosystem: "Go", Name: m.Path, Version: version})
		}
	}
	return out
}

// readModFile reads the requirements of a go.mod, which since Go 1.17 lists all that is needed to build.
func readModFile(path string) (*Target, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open go.mod: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxModFile+1))
	if err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	if len(data) > maxModFile {
		return nil, &gate.Refusal{Code: "vuln-input-too-large", Where: path, What: "there is more than is read", Expected: fmt.Sprintf("at most %d bytes", maxModFile), Fix: "give the go.mod of a module"}
	}
	m, err := modfile.Parse(path, data, nil)
	if err != nil {
		return nil, notReadable(path, err)
	}
	t := &Target{Name: "go.mod", SHA256: digest.Bytes(data), Notes: []string{"go.mod: only what it requires was checked; a built program says what is linked, and what is called"}}
	for _, r := range m.Require {
		p := osv.Package{Ecosystem: "Go", Name: r.Mod.Path, Version: r.Mod.Version}
		switch by := replacement(m, r.Mod); {
		case by == nil:
		case by.New.Version == "":
			p.Version = "" // a folder took its place: what is in it is not known
		default:
			p.Name, p.Version = by.New.Path, by.New.Version
		}
		t.Packages = append(t.Packages, p)
	}
	if m.Toolchain != nil {
		t.Packages = append(t.Packages, osv.Package{Ecosystem: "Go", Name: "stdlib", Version: osv.GoVersion(m.Toolchain.Name)})
	} else if m.Go != nil {
		t.Packages = append(t.Packages, osv.Package{Ecosystem: "Go", Name: "stdlib", Version: osv.GoVersion(m.Go.Version)})
		t.Notes = append(t.Notes, "go.mod: the standard library was checked as of the line go "+m.Go.Version+", the oldest that may build it")
	}
	return t, nil
}

// replacement gives the line that replaces a module: one for its version goes before one for all. See Go Modules Reference,
// replace directive.
func replacement(m *modfile.File, of module.Version) *modfile.Replace {
	for _, version := range []string{of.Version, ""} {
		for _, r := range m.Replace {
			if r.Old.Path == of.Path && r.Old.Version == version {
				return r
			}
		}
	}
	return nil
}
