package sbom

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sello-release/sello/internal/gate"
)

// ErrNotGo says that a file is not a Go program, or is too damaged to be read as one.
var ErrNotGo = errors.New("not a Go program")

// CodeBuildInfo refuses a Go program whose build information cannot be what the Go command writes.
const CodeBuildInfo = "sbom-bad-build-info"

// maxRead bounds how much of a program is read to find its build information:
// headers, and the symbol table in some formats. It bounds memory with it.
const maxRead = 64 << 20

// ReadBinary reads the build information of the Go program in r: ELF, Mach-O, PE,
// XCOFF and Plan 9, stripped or not. It reads a small part of r and uses a few MB, at
// most some 250 MB on a file made to use much.
//
// The error wraps ErrNotGo for files that are no Go programs, and is a refusal with
// CodeBuildInfo when the build information is malformed. Other errors are those of r.
func ReadBinary(r io.ReaderAt) (b *Binary, err error) {
	in := &boundedReaderAt{r: r, left: maxRead}
	defer func() {
		// The readers of executables are written for hostile files, but their promise
		// ends before ours: one bad file must not end a release.
		if p := recover(); p != nil {
			b, err = nil, fmt.Errorf("%w: %v", ErrNotGo, p)
		}
	}()
	info, err := buildinfo.Read(in)
	switch {
	case in.err != nil:
		return nil, fmt.Errorf("read program: %w", in.err)
	case in.left < 0:
		return nil, fmt.Errorf("%w: no build information in the first %d bytes read", ErrNotGo, maxRead)
	case err != nil && strings.HasPrefix(err.Error(), "could not parse"):
		return nil, badBuildInfo(err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNotGo, err)
	}
	if err := checkInfo(info); err != nil {
		return nil, badBuildInfo(err)
	}
	return &Binary{BuildInfo: *info}, nil
}

func badBuildInfo(err error) error {
	return &gate.Refusal{Code: CodeBuildInfo, What: "build information of a Go program is malformed", Cause: err,
		Fix: "build the program with the Go command, and change nothing in it afterwards"}
}

// checkInfo holds the build information to what can be written into a document.
func checkInfo(info *debug.BuildInfo) error {
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		for ; m != nil; m = m.Replace {
			if err := checkModule(m); err != nil {
				return err
			}
		}
	}
	if strings.ContainsFunc(info.GoVersion+info.Path, isUnprintable) {
		return fmt.Errorf("control characters in %q", info.Path)
	}
	return nil
}

func checkModule(m *debug.Module) error {
	if s := m.Path + m.Version; !utf8.ValidString(s) || strings.ContainsFunc(s, isUnprintable) {
		return fmt.Errorf("module %q at %q", m.Path, m.Version)
	}
	if m.Sum != "" && !IsH1(m.Sum) {
		return fmt.Errorf("module %s with sum %q", m.Path, m.Sum)
	}
	return nil
}

// IsH1 reports whether s is a sum as in go.sum: h1: and 32 bytes as base64.
func IsH1(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	rest, ok := strings.CutPrefix(s, "h1:")
	return ok && len(rest) == 44 && strings.Trim(rest[:43], letters) == "" && rest[43] == '='
}

func isUnprintable(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) }

// boundedReaderAt stops reading after left bytes, and keeps the first error of r that is not its end.
type boundedReaderAt struct {
	r    io.ReaderAt
	left int64
	err  error
}

func (b *boundedReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, io.EOF
	}
	if off < 0 { // a header can say so; a file would call it an error of its own
		return 0, io.EOF
	}
	n, err := b.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) && b.err == nil {
		b.err = err
	}
	return n, err
}
