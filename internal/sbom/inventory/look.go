package inventory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
)

// looker looks at one file and at all that is packed in it.
type looker struct {
	ctx    context.Context
	limits Limits
	files  *atomic.Int64      // how many may still come, in everything that is described
	left   int64              // bytes that may still be unpacked
	met    func(*sbom.Binary) // is told of each program as soon as its build information is known; nil for nobody
	debian bool               // right in a package of Debian's
}

// newLooker gives one for a file of size bytes.
func newLooker(ctx context.Context, l Limits, files *atomic.Int64, size int64) *looker {
	return &looker{ctx: ctx, limits: l, files: files, left: min(l.Unpacked, max(64<<20, size*l.Ratio))}
}

// defect is why something is not described whole. It belongs to the file, not to the machine.
type defect struct {
	code string
	text string
}

func (d *defect) Error() string { return d.text }

func damaged(format string, args ...any) error {
	return &defect{CodeDamaged, "The archive is damaged: " + fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) error {
	return &defect{CodeTooLarge, fmt.Sprintf(format, args...)}
}

// refusal is the error for a defect of the thing that was asked for.
func (d *defect) refusal(path string) error {
	if d.code == CodeTooLarge {
		return &gate.Refusal{Code: CodeTooLarge, What: "there is more in it than is described", Where: path, Actual: d.text,
			Fix: "do not trust it; what is known to be harmless can be unpacked and described as a folder"}
	}
	return &gate.Refusal{Code: CodeDamaged, What: "the archive cannot be read to its end", Where: path, Actual: d.text, Fix: "fetch or build the archive again"}
}

// input is a file's content: a stream, and where there is one a way to read it at any place.
type input struct {
	io.Reader
	at    io.ReaderAt
	size  int64 // with at
	asked bool  // for this very file
}

// look reads a file to its end. The error is the machine's; what is wrong with the file is in the node, and the first defect is returned, too.
func (l *looker) look(name string, in input, depth int) (*node, *defect, error) {
	n := &node{name: name}
	head := make([]byte, HeadSize)
	count, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, err
	}
	head, err = head[:count], nil
	h := newHasher(in.asked)
	rest := io.MultiReader(bytes.NewReader(head), in.Reader)
	kind, program := archiveKind(head), isProgram(head)
	var flaw error
	switch {
	case program && in.at != nil && in.asked:
		flaw, err = l.sideBySide(n, h, rest, in, head, depth)
	case (program || kind == formatZip) && in.at != nil:
		if err := l.hash(h, rest, in); err != nil {
			return nil, nil, err
		}
		flaw = l.inside(n, in.at, h.size, kind, head, depth, in.asked)
	case program || kind == formatZip:
		flaw, err = l.spooled(n, io.TeeReader(rest, h), kind, head, depth)
	case kind != "":
		flaw = l.unpack(n, io.TeeReader(rest, h), kind, depth)
	}
	if err == nil {
		err = l.hash(h, rest, in)
	}
	if err != nil {
		return nil, nil, err
	}
	n.size, n.sums = h.size, h.sums()
	return n, n.note(flaw), l.machine(flaw)
}

// sideBySide hashes a program while it is looked into. Whoever opened it compares its size with what was hashed.
func (l *looker) sideBySide(n *node, h *hasher, rest io.Reader, in input, head []byte, depth int) (flaw, err error) {
	var g errgroup.Group
	g.Go(func() error { return l.hash(h, rest, in) })
	flaw = l.inside(n, in.at, in.size, "", head, depth, in.asked)
	return flaw, g.Wait()
}

// hash reads what is left of a file.
func (l *looker) hash(h *hasher, rest io.Reader, in input) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if in.asked && in.size >= sideBySide {
		return h.readAllSideBySide(rest)
	}
	return h.readAll(rest)
}

// note takes up a defect.
func (n *node) note(err error) *defect {
	var d *defect
	if !errors.As(err, &d) {
		return nil
	}
	n.notes = append(n.notes, d.text)
	return d
}

// machine gives the error when it is none of the file's.
func (l *looker) machine(err error) error {
	var d *defect
	if errors.As(err, &d) {
		return nil
	}
	return err
}

// spooled copies a program or zip to where it can be read at any place.
func (l *looker) spooled(n *node, r io.Reader, kind string, head []byte, depth int) (flaw, err error) {
	s, err := sbom.NewSpool(r, l.limits.Unpacked)
	if errors.Is(err, sbom.ErrSpoolFull) {
		return tooLarge("The file is too large to be looked into: more than %d bytes", l.limits.Unpacked), nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return l.inside(n, s, s.Size, kind, head, depth, false), nil
}

// inside looks into a program or a zip.
func (l *looker) inside(n *node, at io.ReaderAt, size int64, kind string, head []byte, depth int, asked bool) error {
	at = io.NewSectionReader(at, 0, size) // headers ask for what lies before the beginning and behind the end
	if kind == formatZip {
		return l.zip(n, at, size, depth)
	}
	b, err := sbom.ReadBinary(at)
	switch {
	case err == nil:
		n.program = b
		if l.met != nil {
			l.met(b)
		}
		n.measure = measure(at, b)
	case errors.Is(err, sbom.ErrNotGo):
		beginning := make([]byte, 4096)
		count, _ := at.ReadAt(beginning, 0)
		if isUPX(beginning[:count]) {
			n.notes = append(n.notes, "Packed with UPX: what the program consists of cannot be told from its bytes")
		} else {
			n.notes = append(n.notes, noBuildInfo)
		}
	case gate.Code(err) == sbom.CodeBuildInfo && !asked:
		n.notes = append(n.notes, "The build information of this Go program is malformed, and nothing of it is believed: "+err.Error())
	default:
		return err
	}
	return nil
}

const noBuildInfo = "A program without Go's build information: what it consists of is not known from its bytes"
