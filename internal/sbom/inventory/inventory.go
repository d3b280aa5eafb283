// Package inventory finds out what a file, a folder, an archive, an image layout or a stage consists of, and gives it as a
// bill of materials.
//
// It looks at bytes, never at names alone: Go programs are known by their build information (stripped or not, whatever they are
// called), archives by their first bytes, archives in archives too; packages of distributions by the databases of dpkg, apk
// and RPM; the modules of a source folder by go.mod, go.sum and the sources that import them, and the packages of other languages by their
// lock files. Nothing is run and nothing is fetched: what is not on this machine is named as not known.
//
// Nothing is left out in silence. What cannot be read, is damaged, packed, nested too deep or unpacks to more than Limits
// allow is a Note on the element that it concerns; when it is the very thing that was asked for, it is refused by a code.
// Symbolic links are not followed, .git is not looked into, and both are said.
//
// The same bytes give the same document. Memory is bounded by what there is to say, not by the size of files; programs in archives
// are copied to the system's temporary folder, one for each core at a time, and removed.
package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
)

// Codes of the refusals of this package.
const (
	CodeUnreadable = "sbom-input-unreadable" // what was asked for is not there, is no file or folder, or cannot be read
	CodeChanged    = "sbom-input-changed"    // a file changed while it was read
	CodeDamaged    = "sbom-archive-damaged"  // the archive that was asked for is truncated or contradicts itself
	CodeTooLarge   = "sbom-input-too-large"  // what was asked for exceeds Limits
)

// Options say how to describe something.
type Options struct {
	Meta    sbom.Meta  // Project is the name to give it, "" for its own; Created is never the zero time
	Files   bool       // list all files, not only those that there is something to say about
	GoCache string     // GOMODCACHE: where the sources of modules are looked for; "" for nowhere
	Go      string     // the toolchain that builds the Go sources, where somebody knows it better than go.mod tells: go1.26.8
	Graph   sbom.Graph // which modules import which, where somebody knows it better than the files tell
	Except  string     // path of a file that is not described, since it is the document itself; "" for none
	Limits  Limits
}

// Limits bound what is read. Zero means the default.
type Limits struct {
	Files    int   // in a folder, an archive and all archives in it; default 1,000,000
	Unpacked int64 // bytes out of one archive that was asked for, or lies in a folder; default 32 GiB
	Ratio    int64 // how many times its size an archive may unpack to, beyond 64 MiB; default 200
	Depth    int   // archives in archives; default 8
}

func (l Limits) withDefaults() Limits {
	if l.Files == 0 {
		l.Files = 1_000_000
	}
	if l.Unpacked == 0 {
		l.Unpacked = 32 << 30
	}
	if l.Ratio == 0 {
		l.Ratio = 200
	}
	if l.Depth == 0 {
		l.Depth = 8
	}
	return l
}

// Of describes what is at path.
func Of(ctx context.Context, path string, o Options) (*sbom.Document, error) {
	o.Limits = o.Limits.withDefaults()
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	switch {
	case info.Mode().IsRegular():
		return ofFile(ctx, path, o)
	case !info.IsDir():
		return nil, unreadable(path, errors.New("neither a file nor a folder"))
	}
	for name, describe := range map[string]func(context.Context, string, Options) (*sbom.Document, error){"oci-layout": ofLayout, "stage.json": ofStage} {
		if info, err := os.Stat(filepath.Join(path, name)); err == nil && info.Mode().IsRegular() {
			return describe(ctx, path, o)
		}
	}
	return Folder(ctx, path, o)
}

func unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &gate.Refusal{Code: CodeUnreadable, Class: gate.Usage, What: "there is nothing to describe", Where: path, Cause: err,
			Fix: "give the path of a file, a folder, an archive, an OCI image layout or a stage"}
	}
	return &gate.Refusal{Code: CodeUnreadable, Class: gate.Failed, What: "what is to be described cannot be read", Where: path, Cause: err,
		Fix: "make it readable, or describe a copy"}
}

func changed(path string) error {
	return &gate.Refusal{Code: CodeChanged, Class: gate.Failed, What: "a file changed while it was read", Where: path,
		Fix: "describe it when nothing writes to it any more, or describe a copy"}
}

// baseName gives the last part of a path as a name.
func baseName(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	return filepath.Base(abs), nil
}
