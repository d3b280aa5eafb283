package inventory

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
)

// unpack looks into an archive, or into a file that is compressed by itself.
func (l *looker) unpack(n *node, r io.Reader, kind string, depth int) error {
	if depth >= l.limits.Depth {
		n.format = kind
		return tooLarge("Archives lie in archives more than %d deep; this one was not looked into", l.limits.Depth)
	}
	n.format = kind
	switch kind {
	case formatTar:
		return l.tar(n, l.budget(r), depth)
	case formatAr:
		return l.ar(n, l.budget(r), depth)
	case formatRPM:
		return l.rpm(n, l.budget(r), depth)
	}
	plain, done, err := decompress(r, kind)
	if err != nil {
		return damaged("%v", err)
	}
	defer done()
	in := bufio.NewReaderSize(l.budget(plain), 64<<10)
	head, err := in.Peek(HeadSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return l.broken(err)
	}
	switch inner := archiveKind(head); {
	case inner == formatTar:
		n.format = "tar." + kind
		return l.tar(n, in, depth)
	case inner == "" && !isProgram(head): // a compressed text: its own digest says all
		_, err := io.Copy(io.Discard, in)
		return l.broken(err)
	}
	m, _, err := l.look("content", input{Reader: in}, depth+1)
	if err != nil {
		return l.broken(err)
	}
	n.members = []*node{m}
	return l.count()
}

// maxDictionary bounds what a compressed file may ask to be kept in memory, in bytes: what xz -9 and zstd --ultra ask for at most.
const maxDictionary = 64 << 20

// isCompression tells the formats that decompress reads.
func isCompression(kind string) bool {
	return kind == formatGzip || kind == formatZstd || kind == formatBzip || kind == formatXz
}

func decompress(r io.Reader, kind string) (io.Reader, func(), error) {
	switch kind {
	case formatGzip:
		z, err := gzip.NewReader(r)
		return z, func() {}, err
	case formatBzip:
		return bzip2.NewReader(r), func() {}, nil
	case formatXz:
		x, err := xz.NewReader(r, maxDictionary)
		return x, func() {}, err
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxDictionary))
	if err != nil {
		return nil, nil, err
	}
	return z, z.Close, nil
}

// budget counts what is unpacked.
func (l *looker) budget(r io.Reader) io.Reader { return &budgetReader{l, r} }

type budgetReader struct {
	l *looker
	r io.Reader
}

func (b *budgetReader) Read(p []byte) (int, error) {
	if err := b.l.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	if b.l.left -= int64(n); b.l.left < 0 {
		return 0, tooLarge("The archive unpacks to more than is allowed (a bomb?); what follows is not described")
	}
	return n, err
}

// count takes up one more file.
func (l *looker) count() error {
	if l.files.Add(-1) < 0 {
		return tooLarge("There are more than %d files; what follows is not described", l.limits.Files)
	}
	return nil
}

// isMachine tells whether an error is one of the disk, and not of a file that is looked at.
func isMachine(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p)
}

// broken turns an error of a reader of archives into a defect. Those of the machine and of deeper archives stay what they are.
func (l *looker) broken(err error) error {
	var d *defect
	if err == nil || errors.As(err, &d) || l.ctx.Err() != nil || isMachine(err) {
		return err
	}
	return damaged("%v", err)
}

// behind reads r to its end, and reports whether there is more than zeros.
func behind(r io.Reader) (more bool, err error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		more = more || bytes.ContainsFunc(buf[:n], func(c rune) bool { return c != 0 })
		if errors.Is(err, io.EOF) {
			return more, nil
		}
		if err != nil {
			return more, err
		}
	}
}

func (l *looker) tar(n *node, r io.Reader, depth int) error {
	if n.format == "" {
		n.format = formatTar
	}
	end := &endReader{r: r}
	r = end
	tr := tar.NewReader(r)
	all, lists := members{}, databases{}
	defer lists.Close()
	defer func() { n.members = all.sorted(n) }()
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			more, err := behind(r) // and the checksum behind it
			if err != nil {
				return l.broken(err)
			}
			if more {
				n.notes = append(n.notes, "the archive goes on after its end: what follows is not read, and some programs would")
			}
			if !end.marked() {
				n.notes = append(n.notes, noEnd)
			}
			n.system, err = lists.read()
			return n.told(err)
		}
		if err != nil {
			return l.broken(err)
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeLink {
			all.special(n, h.Typeflag, h.Name)
			continue
		}
		if err := l.count(); err != nil {
			return err
		}
		name := cleanName(h.Name)
		if h.Typeflag == tar.TypeLink {
			all.link(n, name, cleanName(h.Linkname))
			continue
		}
		content := io.Reader(tr)
		if kept := l.database(n, name); kept != "" {
			if content, err = lists.keep(kept, tr); err != nil {
				return l.broken(err)
			}
		}
		m, _, err := l.look(name, input{Reader: content}, depth+1)
		if err != nil {
			return l.broken(err)
		}
		all.add(n, m)
	}
}

// debianControl is what a package of Debian's says of itself, in its member control.tar (deb(5)).
const debianControl = "control"

// database gives the name under which a list of packages is known that a file of an archive is; "" for other files.
func (l *looker) database(archive *node, name string) string {
	switch {
	case sbom.IsDatabase(name):
		return name
	case l.debian && strings.HasPrefix(archive.name, "control.tar") && name == debianControl:
		return "var/lib/dpkg/status.d/" + debianControl // of the same form
	}
	return ""
}

const noEnd = "The archive does not have tar's mark at its end: it may be cut off"

// endReader remembers how many zeros came last: tar ends with two blocks of them.
type endReader struct {
	r     io.Reader
	zeros int
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	last := n
	for last > 0 && n-last < 1024 && p[last-1] == 0 {
		last--
	}
	if last > 0 && n-last < 1024 {
		e.zeros = 0
	}
	e.zeros = min(e.zeros+n-last, 1024)
	return n, err
}

func (e *endReader) marked() bool { return e.zeros >= 1024 }

// told makes a note of a refusal about what somebody put into an archive; other errors stay.
func (n *node) told(err error) error {
	if gate.Code(err) == "" {
		return err
	}
	n.notes = append(n.notes, "The lists of installed packages were not read: "+err.Error())
	return nil
}

// members are the files of an archive by name: the last one of a name counts, as for whoever unpacks it.
type members map[string]*node

func (all members) add(n, m *node) {
	if _, ok := all[m.name]; ok {
		n.notes = append(n.notes, "The archive holds this file twice, and the later one is described: "+m.name)
	}
	all[m.name] = m
}

func (all members) link(n *node, name, target string) {
	m, ok := all[target]
	if !ok {
		n.notes = append(n.notes, "A hard link leads to nothing: "+name)
		return
	}
	second := *m
	second.name = name
	all.add(n, &second)
}

func (all members) special(n *node, flag byte, name string) {
	switch flag {
	case tar.TypeDir, tar.TypeSymlink, tar.TypeXGlobalHeader:
	default:
		n.notes = append(n.notes, fmt.Sprintf("Not described, since it is no file (tar's type %q): %s", flag, cleanName(name)))
	}
}

func (all members) sorted(n *node) []*node {
	out := make([]*node, 0, len(all))
	for _, m := range all {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	slices.Sort(n.notes)
	n.notes = slices.Compact(n.notes)
	return out
}

// cleanName gives a member's name as one that can be written down: it is never used to open anything.
func cleanName(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, `\`, "/")), "/")
	if strings.ContainsFunc(name, func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) }) {
		name = strings.Trim(strconv.QuoteToASCII(name), `"`)
	}
	if name == "" {
		return "unnamed"
	}
	return name
}

// ar reads the archives of ar, which Debian's packages are: a header of 60 bytes before each file.
func (l *looker) ar(n *node, r io.Reader, depth int) error {
	magic := make([]byte, 8)
	if _, err := io.ReadFull(r, magic); err != nil {
		return l.broken(err)
	}
	all, before := members{}, l.debian
	l.debian = false
	defer func() { n.members, l.debian = all.sorted(n), before }()
	header := make([]byte, 60)
	for {
		if _, err := io.ReadFull(r, header); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return l.broken(err)
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(header[48:58])), 10, 64)
		if err != nil || size < 0 || !bytes.Equal(header[58:], []byte("`\n")) {
			return damaged("a header of ar that is none")
		}
		name := strings.TrimSuffix(strings.TrimSpace(string(header[:16])), "/")
		if err := l.count(); err != nil {
			return err
		}
		part := &io.LimitedReader{R: r, N: size}
		l.debian = name == "debian-binary" || l.debian
		m, _, err := l.look(cleanName(name), input{Reader: part}, depth+1)
		switch {
		case err != nil:
			return l.broken(err)
		case part.N > 0:
			return damaged("%v", io.ErrUnexpectedEOF)
		}
		if name != "" && name != "/" { // the tables of libraries
			all.add(n, m)
		}
		if size%2 == 1 {
			if _, err := io.CopyN(io.Discard, r, 1); err != nil && !errors.Is(err, io.EOF) {
				return l.broken(err)
			}
		}
	}
}
