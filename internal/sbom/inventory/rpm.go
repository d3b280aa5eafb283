package inventory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/sello-release/sello/internal/sbom"
)

// Parts of a package of RPM's: a lead, a header with signatures, the header, a compressed cpio archive.
const (
	rpmLead    = 96
	rpmMagic   = "\x8e\xad\xe8\x01\x00\x00\x00\x00"
	maxHeaders = 64 << 20 // bytes of a header
)

// rpm looks into a package of RPM's: it is itself a package, and its files are in an archive.
func (l *looker) rpm(n *node, r io.Reader, depth int) error {
	if _, err := io.CopyN(io.Discard, r, rpmLead); err != nil {
		return l.broken(err)
	}
	signatures, err := rpmHeader(r)
	if err != nil {
		return l.broken(err)
	}
	if _, err := io.CopyN(io.Discard, r, int64(-len(signatures)&7)); err != nil { // filled up to eight bytes
		return l.broken(err)
	}
	header, err := rpmHeader(r)
	if err != nil {
		return l.broken(err)
	}
	p, err := sbom.RPMHeader(header)
	if err != nil {
		return l.broken(err)
	}
	n.system = &system{packages: []sbom.OSPackage{p}}
	return l.payload(n, r, depth)
}

// rpmHeader reads a header without its magic: the numbers of entries and of bytes of data, and both.
func rpmHeader(r io.Reader) ([]byte, error) {
	intro := make([]byte, len(rpmMagic)+8)
	if _, err := io.ReadFull(r, intro); err != nil {
		return nil, noEOF(err)
	}
	if !bytes.HasPrefix(intro, []byte(rpmMagic)) {
		return nil, errors.New("an RPM header without its mark")
	}
	sizes := intro[len(rpmMagic):]
	size := int64(binary.BigEndian.Uint32(sizes))*16 + int64(binary.BigEndian.Uint32(sizes[4:]))
	if size > maxHeaders {
		return nil, errors.New("an RPM header that is too large")
	}
	rest, err := io.ReadAll(io.LimitReader(r, size)) // grows with what is there, whatever the sizes say
	if err == nil && int64(len(rest)) < size {
		err = io.ErrUnexpectedEOF
	}
	return append(sizes, rest...), err
}

// payload looks into the files of a package: cpio, compressed by something that its first bytes tell.
func (l *looker) payload(n *node, r io.Reader, depth int) error {
	head := make([]byte, HeadSize)
	count, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	all := io.MultiReader(bytes.NewReader(head[:count]), r)
	switch kind := archiveKind(head[:count]); {
	case isCompression(kind):
		plain, done, err := decompress(all, kind)
		if err != nil {
			return damaged("%v", err)
		}
		defer done()
		return l.cpio(n, l.budget(plain), depth)
	case bytes.HasPrefix(head, []byte(cpioMagic)):
		return l.cpio(n, l.budget(all), depth)
	}
	return &defect{CodeDamaged, "Not looked into: the files of this package are packed in a way that is not read"}
}

// The format "newc" of cpio: a mark, thirteen numbers of eight hex digits, the name, the content; each filled up to four bytes.
const (
	cpioMagic   = "07070"
	cpioHeader  = 110
	cpioEnd     = "TRAILER!!!"
	maxCpioName = 4096
	modeType    = 0o170000
	modeRegular = 0o100000
)

// cpioEntry is the header of a file in a cpio archive.
type cpioEntry struct {
	inode, mode, links, size int64
	name                     string
}

// cpio reads the format "newc".
func (l *looker) cpio(n *node, r io.Reader, depth int) error {
	all := members{}
	defer func() { n.members = all.sorted(n) }()
	waiting := map[int64][]string{} // names of a file with several, whose content comes with the last one
	for {
		e, err := readCPIO(r)
		if err != nil {
			return l.broken(err)
		}
		if e.name == cpioEnd {
			_, err := io.Copy(io.Discard, r) // the checksum behind it
			return l.broken(err)
		}
		name := cleanName(strings.TrimPrefix(e.name, "."))
		if e.mode&modeType != modeRegular {
			if _, err := io.CopyN(io.Discard, r, e.size+(-e.size&3)); err != nil {
				return l.broken(noEOF(err))
			}
			continue
		}
		if err := l.count(); err != nil {
			return err
		}
		if e.links > 1 && e.size == 0 {
			waiting[e.inode] = append(waiting[e.inode], name)
			continue
		}
		content := &io.LimitedReader{R: r, N: e.size}
		m, _, err := l.look(name, input{Reader: content}, depth+1)
		if err != nil {
			return l.broken(err)
		}
		if content.N > 0 {
			return damaged("%v", io.ErrUnexpectedEOF)
		}
		all.add(n, m)
		for _, other := range waiting[e.inode] {
			all.link(n, other, name)
		}
		delete(waiting, e.inode)
		if _, err := io.CopyN(io.Discard, r, -e.size&3); err != nil {
			return l.broken(noEOF(err))
		}
	}
}

func readCPIO(r io.Reader) (e cpioEntry, err error) {
	header := make([]byte, cpioHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return e, noEOF(err)
	}
	if s := string(header[:6]); s != cpioMagic+"1" && s != cpioMagic+"2" {
		return e, errors.New("a header of cpio that is none")
	}
	number := func(field int) int64 {
		v, bad := strconv.ParseUint(string(header[6+8*field:14+8*field]), 16, 32)
		err = errors.Join(err, bad)
		return int64(v) // #nosec G115 -- of 32 bits
	}
	e.inode, e.mode, e.links, e.size = number(0), number(1), number(4), number(6)
	length := number(11)
	if err != nil || length < 1 || length > maxCpioName {
		return e, errors.New("a header of cpio that is none")
	}
	name := make([]byte, length+(-(cpioHeader+length)&3))
	if _, err := io.ReadFull(r, name); err != nil {
		return e, noEOF(err)
	}
	e.name = string(bytes.TrimRight(name[:length], "\x00"))
	return e, nil
}

// noEOF makes an error of an end that comes too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
