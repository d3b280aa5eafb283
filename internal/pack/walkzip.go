package pack

import (
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/klauspost/compress/flate"
)

// directoryBytes is how much of a zip's directory may be read for each member that the limits allow.
const directoryBytes = 512

func (w *walker) zip(r io.ReaderAt, size int64) error {
	budget := &budgetReaderAt{r: r, left: int64(w.limits.Members)*directoryBytes + 1<<20}
	z, err := zip.NewReader(budget, size)
	if err != nil {
		return malformed("", err)
	}
	if len(z.File) > w.limits.Members {
		return tooLarge("", fmt.Sprintf("at most %d members", w.limits.Members))
	}
	budget.unlimited = true
	if err := noOverlap(z.File); err != nil {
		return err
	}
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	for _, f := range z.File {
		if err := w.zipMember(f); err != nil {
			return err
		}
	}
	return nil
}

// noOverlap refuses members that share bytes: a small file that unpacks to a
// large one many times over.
func noOverlap(files []*zip.File) error {
	type span struct {
		start, end int64
		name       string
	}
	spans := make([]span, 0, len(files))
	for _, f := range files {
		start, err := f.DataOffset()
		if err != nil {
			return malformed(f.Name, err)
		}
		spans = append(spans, span{start, start + int64(f.CompressedSize64), f.Name})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	for i, s := range spans {
		if s.end < s.start || i > 0 && s.start < spans[i-1].end {
			return malformed(s.name, errors.New("members share bytes"))
		}
	}
	return nil
}

func (w *walker) zipMember(f *zip.File) error {
	m := Member{Name: f.Name, Mode: f.Mode().Perm() | f.Mode().Type()}
	switch {
	case m.Mode.IsDir() != strings.HasSuffix(f.Name, "/"):
		return malformed(f.Name, errors.New("name and mode disagree about whether this is a folder"))
	case m.Mode.IsDir():
		m.Name = strings.TrimSuffix(m.Name, "/")
		if f.UncompressedSize64 != 0 {
			return malformed(f.Name, errors.New("folder with content"))
		}
		return w.visit(m, nil)
	case !m.Mode.IsRegular() && m.Mode.Type() != fs.ModeSymlink:
		return badFile(f.Name, m.Mode.Type().String())
	case f.UncompressedSize64 > uint64(w.limits.Member):
		return tooLarge(f.Name, fmt.Sprintf("at most %d bytes in a file", w.limits.Member))
	}
	content, err := f.Open()
	if err != nil {
		return malformed(f.Name, err)
	}
	defer content.Close()
	if m.Mode.IsRegular() {
		m.Size = int64(f.UncompressedSize64)
		return w.visit(m, content)
	}
	target, err := io.ReadAll(io.LimitReader(content, maxName+1))
	if err != nil {
		return malformed(f.Name, err)
	}
	m.Link = string(target)
	return w.visit(m, nil)
}

// budgetReaderAt bounds how much of a hostile directory is taken into memory.
type budgetReaderAt struct {
	r         io.ReaderAt
	left      int64
	unlimited bool
}

func (b *budgetReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if !b.unlimited {
		if b.left -= int64(len(p)); b.left < 0 {
			return 0, tooLarge("", "a smaller directory of members")
		}
	}
	return b.r.ReadAt(p, off)
}
