package inventory

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/sbom"
)

// layer is what one layer brings into an image, and what it hides of those below.
type layer struct {
	desc    ocispec.Descriptor
	entries map[string]*node // files by path; nil for whatever is no file
	gone    []string         // whiteouts: paths of the layers below
	opaque  []string         // folders of which nothing below is seen
	lists   databases
	visible []*node // in the image
	notes   []string
}

// Marks of whiteouts (OCI image specification, layer.md).
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// read reads all layers, several at a time, and works out what is visible.
func (i *layoutImage) read(ctx context.Context, blobs image.Fetcher, o Options) error {
	i.layers = make([]*layer, len(i.manifest.Layers))
	defer func() {
		for _, l := range i.layers {
			if l != nil {
				l.lists.Close()
			}
		}
	}()
	var left atomic.Int64
	left.Store(int64(o.Limits.Files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for at, desc := range i.manifest.Layers {
		i.layers[at] = &layer{desc: desc, entries: map[string]*node{}, lists: databases{}}
		g.Go(func() error {
			looker := newLooker(gctx, o.Limits, &left, desc.Size)
			err := i.layers[at].read(gctx, blobs, looker, i.config.RootFS.DiffIDs[at])
			var d *defect
			if errors.As(err, &d) {
				return d.refusal(desc.Digest.String())
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return i.merge()
}

// read reads a layer once: its digest, its diffID, and its files.
func (l *layer) read(ctx context.Context, blobs image.Fetcher, looker *looker, diffID digest.Digest) error {
	raw, err := blobs.Fetch(ctx, l.desc) // fails at its end when it is not what the descriptor says
	if err != nil {
		return err
	}
	defer raw.Close()
	in := bufio.NewReaderSize(raw, chunk)
	plain, done, err := layerStream(in, l.desc.MediaType)
	if err != nil {
		return err
	}
	defer done()
	ahead := readAhead(plain)
	defer ahead.Close()
	verifier := digest.SHA256.Digester()
	content := &endReader{r: io.TeeReader(looker.budget(ahead), verifier.Hash())}
	flaw := l.files(looker, tar.NewReader(content))
	if flaw == nil {
		_, flaw = io.Copy(io.Discard, content)
	}
	ahead.Close()
	if _, err := io.Copy(io.Discard, in); err != nil { // that it is another blob says more than what is wrong in it
		return err
	}
	if flaw != nil {
		return looker.broken(flaw)
	}
	if !content.marked() {
		l.notes = append(l.notes, noEnd)
	}
	if got := verifier.Digest(); got != diffID {
		return &gate.Refusal{Code: image.CodeDiffID, What: "a layer unpacks to other bytes than the image's configuration says", Where: l.desc.Digest.String(),
			Expected: diffID.String(), Actual: got.String(), Fix: "make or fetch the image again"}
	}
	return nil
}

func layerStream(in io.Reader, mediaType string) (io.Reader, func(), error) {
	switch {
	case strings.HasSuffix(mediaType, "gzip"):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, damaged("%v", err)
		}
		return z, func() {}, nil
	case strings.HasSuffix(mediaType, "zstd"):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, nil, damaged("%v", err)
		}
		return z, z.Close, nil
	case strings.HasSuffix(mediaType, "tar"):
		return in, func() {}, nil
	}
	return nil, nil, &gate.Refusal{Code: image.CodeUnsupported, What: "a layer has a media type that is not read", Actual: fmt.Sprintf("%.100q", mediaType), Fix: "use an image with layers of tar, tar+gzip or tar+zstd"}
}

// files looks at everything in a layer.
func (l *layer) files(looker *looker, tr *tar.Reader) error {
	n := &node{}
	defer func() { l.notes = append(l.notes, n.notes...) }()
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return looker.broken(err)
		}
		name := cleanName(h.Name)
		dir, base := path.Split(name)
		switch {
		case base == opaque:
			l.opaque = append(l.opaque, strings.TrimSuffix(dir, "/"))
			continue
		case strings.HasPrefix(base, whiteout):
			l.gone = append(l.gone, dir+strings.TrimPrefix(base, whiteout))
			continue
		case h.Typeflag == tar.TypeDir:
			continue
		case h.Typeflag == tar.TypeLink:
			target, ok := l.entries[cleanName(h.Linkname)]
			if ok && target != nil {
				second := *target
				second.name = name
				l.entries[name] = &second
			} else if !ok {
				n.notes = append(n.notes, "A hard link leads to nothing in its layer, and its file is not described under this name: "+name)
			}
			continue
		case h.Typeflag != tar.TypeReg:
			l.entries[name] = nil
			members{}.special(n, h.Typeflag, h.Name)
			continue
		}
		if err := looker.count(); err != nil {
			return err
		}
		content := io.Reader(tr)
		if sbom.IsDatabase(name) {
			if content, err = l.lists.keep(name, tr); err != nil {
				return looker.broken(err)
			}
		}
		file, _, err := looker.look(name, input{Reader: content}, 0)
		if err != nil {
			return looker.broken(err)
		}
		l.entries[name] = file
	}
}

// merge works out which files are seen in the image, and reads the databases among them.
func (i *layoutImage) merge() error {
	type place struct {
		n  *node
		by *layer
	}
	seen := map[string]place{}
	for _, l := range i.layers {
		hidden, emptied := map[string]bool{}, map[string]bool{}
		for _, p := range l.gone {
			hidden[p] = true
		}
		for _, p := range l.opaque {
			emptied[p] = true
		}
		for p := range l.entries {
			hidden[p] = true // also what lies below a path that was a folder
		}
		for p := range seen {
			if hides(p, hidden, emptied) {
				delete(seen, p)
			}
		}
		for p, n := range l.entries {
			seen[p] = place{n, l}
		}
	}
	lists := databases{}
	for p, at := range seen {
		if at.n == nil {
			continue
		}
		at.by.visible = append(at.by.visible, at.n)
		if s := at.by.lists[p]; s != nil {
			lists[p] = s
		}
	}
	for _, l := range i.layers {
		if hidden := l.regular() - len(l.visible); hidden > 0 {
			l.notes = append(l.notes, fmt.Sprintf("Files of this layer that later ones hide or replace, and that are not described: %d", hidden))
		}
	}
	s, err := lists.read()
	i.system = s
	return err
}

func (l *layer) regular() int {
	count := 0
	for _, n := range l.entries {
		if n != nil {
			count++
		}
	}
	return count
}

// hides reports whether a path of the layers below is not seen any more.
func hides(p string, hidden, emptied map[string]bool) bool {
	if hidden[p] {
		return true
	}
	if emptied[""] {
		return true
	}
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if hidden[dir] || emptied[dir] {
			return true
		}
	}
	return false
}
