package inventory

import (
	"crypto/sha1" // #nosec G505 -- SPDX demands it for files; nothing relies on it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"sync"

	"github.com/sello-release/sello/internal/sbom"
)

// node is a file that was looked at.
type node struct {
	name    string // in the folder or archive that it lies in
	size    int64
	sums    sums
	program *sbom.Binary // a Go program's build information
	measure *measured    // what the program's symbols say, nil when they were not read
	format  string       // of an archive: tar, tar.gz, zip …; "" for none
	members []*node      // of an archive, by name
	system  *system      // what a distribution installed in an archive
	imports []string     // of a Go file that is no test, in a folder
	notes   []string
}

// sums are the digests of a file, in lower-case hex.
type sums struct{ sha1, sha256, sha512 string }

func (s sums) file(name string) sbom.File {
	return sbom.File{Name: name, SHA1: s.sha1, SHA256: s.sha256}
}

func (s sums) checksums() []sbom.Checksum {
	return []sbom.Checksum{{Algorithm: sbom.SHA256, Value: s.sha256}, {Algorithm: sbom.SHA512, Value: s.sha512}}
}

// hasher computes the digests of a file that passes by.
type hasher struct {
	size   int64
	hashes [3]hash.Hash // SHA-1, SHA-256, SHA-512; those that nobody wants are nil
}

// newHasher wants SHA-1 and SHA-256 for a file in something, and SHA-256 and SHA-512 for something that was asked for.
func newHasher(asked bool) *hasher {
	if asked {
		return &hasher{hashes: [3]hash.Hash{nil, sha256.New(), sha512.New()}}
	}
	return &hasher{hashes: [3]hash.Hash{sha1.New(), sha256.New()}} // #nosec G401 -- as above
}

func (h *hasher) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	for _, x := range h.hashes {
		if x != nil {
			x.Write(p)
		}
	}
	return len(p), nil
}

func (h *hasher) sums() sums {
	text := func(x hash.Hash) string {
		if x == nil {
			return ""
		}
		return hex.EncodeToString(x.Sum(nil))
	}
	return sums{text(h.hashes[0]), text(h.hashes[1]), text(h.hashes[2])}
}

// Sizes of what is read at once, and from which size on digests are computed side by side.
const (
	chunk      = 256 << 10
	sideBySide = 1 << 20
)

var chunks = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// readAll reads r to its end.
func (h *hasher) readAll(r io.Reader) error {
	buf := chunks.Get().(*[]byte)
	defer chunks.Put(buf)
	_, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, *buf)
	return err
}

// readAllSideBySide does so with each digest on a core of its own.
func (h *hasher) readAllSideBySide(r io.Reader) error {
	type part struct {
		data []byte
		left *sync.WaitGroup
	}
	var workers sync.WaitGroup
	var feeds []chan part
	for _, x := range h.hashes {
		if x == nil {
			continue
		}
		feed := make(chan part, 2)
		feeds = append(feeds, feed)
		workers.Go(func() {
			for p := range feed {
				x.Write(p.data)
				p.left.Done()
			}
		})
	}
	defer workers.Wait()
	defer func() {
		for _, f := range feeds {
			close(f)
		}
	}()
	var buffers [3][]byte
	var busy [3]sync.WaitGroup
	for i := 0; ; i = (i + 1) % len(buffers) {
		busy[i].Wait()
		if buffers[i] == nil {
			buffers[i] = make([]byte, 1<<20)
		}
		n, err := io.ReadFull(r, buffers[i])
		h.size += int64(n)
		busy[i].Add(len(feeds))
		for _, f := range feeds {
			f <- part{buffers[i][:n], &busy[i]}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // io.ReadFull gives these very values
			return nil
		}
		if err != nil {
			return err
		}
	}
}
