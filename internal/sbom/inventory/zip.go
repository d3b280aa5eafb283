package inventory

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"

	"github.com/klauspost/compress/flate"
)

// maxDirectory bounds how much of a zip's directory is taken into memory, in bytes.
const maxDirectory = 256 << 20

func (l *looker) zip(n *node, at io.ReaderAt, size int64, depth int) error {
	n.format = formatZip
	if depth >= l.limits.Depth {
		return tooLarge("Archives lie in archives more than %d deep; this one was not looked into", l.limits.Depth)
	}
	directory := &budgetReaderAt{r: at, left: maxDirectory}
	z, err := zip.NewReader(directory, size)
	if err != nil {
		return l.broken(err)
	}
	directory.left = -1
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	all := members{}
	defer func() { n.members = all.sorted(n) }()
	for _, f := range z.File {
		mode := f.Mode()
		switch {
		case mode.IsDir(), mode&fs.ModeSymlink != 0:
			continue
		case f.Flags&1 != 0:
			n.notes = append(n.notes, "Not described, since it is encrypted: "+cleanName(f.Name))
			continue
		}
		if err := l.count(); err != nil {
			return err
		}
		content, err := f.Open()
		if err != nil {
			return l.broken(err)
		}
		m, _, err := l.look(cleanName(f.Name), input{Reader: l.budget(content)}, depth+1)
		content.Close()
		if err != nil {
			return l.broken(err)
		}
		all.add(n, m)
	}
	return nil
}

// budgetReaderAt bounds what is read for a directory. With left below 0 there is no bound.
type budgetReaderAt struct {
	r    io.ReaderAt
	left int64
}

func (b *budgetReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if b.left >= 0 {
		if b.left -= int64(len(p)); b.left < 0 {
			b.left = 0
			return 0, errors.New("its list of files is too large")
		}
	}
	return b.r.ReadAt(p, off)
}
