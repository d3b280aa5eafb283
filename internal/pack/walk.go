package pack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/sello-release/sello/internal/gate"
)

// Member is one file, symlink or folder of an archive that is read.
type Member struct {
	Name    string      // clean, relative, slash-separated; folders without their final slash
	Mode    fs.FileMode // type and permissions
	Link    string      // target, of a symlink
	Size    int64       // bytes, of a file
	Content io.Reader   // of a file; valid until the callback returns
}

// Limits bound what an archive may unpack to. Zero means the default.
type Limits struct {
	Members int   // default 200,000
	Member  int64 // bytes in one file; default 8 GiB
	Total   int64 // bytes of all, headers included; default 32 GiB
}

func (l Limits) withDefaults() Limits {
	if l.Members == 0 {
		l.Members = 200_000
	}
	if l.Member == 0 {
		l.Member = 8 << 30
	}
	if l.Total == 0 {
		l.Total = 32 << 30
	}
	return l
}

// Walk reads the archive in r, of size bytes, and calls fn for each member in
// the archive's order. What fn leaves unread is read for it, so that checksums
// inside the archive are verified. An error of fn ends the walk and is returned as it is.
//
// Unsafe names, links that leave the archive, duplicates, hard links and devices,
// archives that exceed the limits, damaged ones, a tar.gz with bytes behind its end and a zip
// whose members overlap are refused. Members before the refused one have been seen by then.
func Walk(r io.ReaderAt, size int64, format string, l Limits, fn func(Member) error) error {
	w := &walker{limits: l.withDefaults(), seen: names{}, fn: fn}
	switch format {
	case TarGz:
		return w.tarGz(io.NewSectionReader(r, 0, size))
	case Zip:
		return w.zip(r, size)
	}
	return unknownFormat(format)
}

// walker holds what the members of one archive have in common.
type walker struct {
	limits  Limits
	seen    names
	members int
	total   int64
	fn      func(Member) error
}

// visit checks m, calls fn, and reads what fn has left. declared is the size that the archive gives.
func (w *walker) visit(m Member, content io.Reader) error {
	w.members++
	if w.members > w.limits.Members {
		return tooLarge(m.Name, fmt.Sprintf("at most %d members", w.limits.Members))
	}
	if err := CheckName(m.Name); err != nil {
		return err
	}
	if m.Mode&fs.ModeSymlink != 0 {
		if err := checkLink(m.Name, m.Link, ""); err != nil {
			return err
		}
	}
	if _, err := w.seen.add(m.Name, m.Mode.IsDir()); err != nil {
		return err
	}
	if !m.Mode.IsRegular() {
		return w.fn(m)
	}
	if m.Size < 0 || m.Size > w.limits.Member {
		return tooLarge(m.Name, fmt.Sprintf("at most %d bytes in a file", w.limits.Member))
	}
	if m.Size > w.limits.Total-w.total {
		return tooLarge(m.Name, fmt.Sprintf("at most %d bytes in all", w.limits.Total))
	}
	w.total += m.Size
	c := &exactReader{r: content, left: m.Size, name: m.Name}
	m.Content = c
	if err := w.fn(m); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c)
	return err
}

// exactReader gives a member's content. It refuses one that is longer or shorter
// than declared, and tells damage of the archive from errors of the disk.
type exactReader struct {
	r    io.Reader
	left int64
	name string
	err  error // sticky
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.err != nil || len(p) == 0 {
		return 0, e.err
	}
	if e.left < math.MaxInt64 && int64(len(p)) > e.left+1 {
		p = p[:e.left+1] // one more, to meet the end and the checksum behind it
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	switch {
	case e.left < 0:
		n, e.err = n+int(e.left), malformed(e.name, errors.New("more bytes than declared"))
	case errors.Is(err, io.EOF) && e.left > 0:
		e.err = malformed(e.name, io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		e.err = io.EOF
	case err != nil:
		e.err = malformed(e.name, err)
	}
	return n, e.err
}

// malformed refuses a damaged archive. Refusals, and errors of the disk, stay what they are.
func malformed(where string, err error) error {
	var pathErr *fs.PathError
	if gate.Code(err) != "" || errors.As(err, &pathErr) {
		return err
	}
	r := &gate.Refusal{Code: CodeMalformed, What: "archive is damaged", Cause: err, Fix: "fetch or build the archive again"}
	if where != "" {
		r.Where = fmt.Sprintf("%q", short(where))
	}
	return r
}

func tooLarge(where, limit string) error {
	r := &gate.Refusal{Code: CodeTooLarge, What: "archive unpacks to more than is allowed", Expected: limit, Fix: "do not trust the archive"}
	if where != "" {
		r.Where = fmt.Sprintf("%q", short(where))
	}
	return r
}

func badFile(name, kind string) error {
	return &gate.Refusal{Code: CodeBadFile, What: "archive holds something that is neither file, folder nor symlink",
		Where: fmt.Sprintf("%q", short(name)), Actual: kind, Fix: "do not trust the archive"}
}
