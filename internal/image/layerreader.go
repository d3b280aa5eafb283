package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
)

// layerReader gives a layer's uncompressed bytes. Its digest and diffID are known to be right only after finish.
type layerReader struct {
	desc   ocispec.Descriptor
	diffID digest.Digest
	raw    *verifiedReader
	in     *bufio.Reader // raw
	plain  io.Reader
	close  func()
	hash   digest.Digester
	left   *int64 // what all layers may still unpack to
}

// openLayer opens a layer that has one of OCI's media types.
func openLayer(ctx context.Context, from Fetcher, desc ocispec.Descriptor, diffID digest.Digest, left *int64) (*layerReader, error) {
	if err := checkDescriptor(desc); err != nil {
		return nil, err
	}
	r, err := from.Fetch(ctx, desc)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", desc.Digest, err)
	}
	l := &layerReader{desc: desc, diffID: diffID, raw: verified(contextReader{ctx, r}, desc), hash: digest.SHA256.Digester(), left: left, close: func() {}}
	l.in = bufio.NewReaderSize(l.raw, copyBuffer)
	switch desc.MediaType {
	case ocispec.MediaTypeImageLayerGzip:
		l.plain, err = gzip.NewReader(l.in)
	case ocispec.MediaTypeImageLayerZstd:
		var z *zstd.Decoder
		if z, err = zstd.NewReader(l.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			l.plain, l.close = z, z.Close
		}
	default:
		l.plain = l.in
	}
	if err != nil {
		err = l.damaged("", err)
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *layerReader) Read(p []byte) (int, error) {
	n, err := l.plain.Read(p)
	l.hash.Hash().Write(p[:n])
	if *l.left -= int64(n); *l.left < 0 {
		return 0, layerTooLarge("", "fewer bytes in all layers")
	}
	return n, err
}

// finish reads what follows after the tar's end, which has to be zeros, and holds the layer to its digest and diffID.
func (l *layerReader) finish() error {
	buf := make([]byte, 32<<10)
	for {
		n, err := l.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return l.damaged("", errors.New("bytes after the end of the tar archive"))
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return l.damaged("", err)
		}
	}
	if n, err := io.Copy(io.Discard, l.in); err != nil {
		return l.damaged("", err)
	} else if n > 0 {
		return l.damaged("", errors.New("bytes after the end of the compressed data"))
	}
	if d := l.hash.Digest(); d != l.diffID {
		return &gate.Refusal{Code: CodeDiffID, What: "a layer unpacks to other bytes than the image's configuration says", Where: l.desc.Digest.String(),
			Expected: l.diffID.String(), Actual: d.String(), Fix: "do not use the image"}
	}
	return nil
}

func (l *layerReader) Close() { l.close(); l.raw.Close() }

// damaged explains why decoding failed. That the blob is not the right one, or could not be read, goes
// before what its bytes look like.
func (l *layerReader) damaged(where string, err error) error {
	if gate.Code(err) != "" {
		return err
	}
	if l.raw.err == nil {
		_, _ = io.Copy(io.Discard, l.in)
	}
	if l.raw.err != nil && !errors.Is(l.raw.err, io.EOF) {
		return l.raw.err
	}
	r := &gate.Refusal{Code: CodeLayerMalformed, What: "a layer of an image is damaged", Where: l.desc.Digest.String(), Cause: err, Fix: "do not use the image"}
	if where != "" {
		r.Where += fmt.Sprintf(": %q", short(where))
	}
	return r
}
