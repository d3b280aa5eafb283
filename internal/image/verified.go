package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
)

// copyBuffer is the size of one read, in bytes.
const copyBuffer = 256 << 10

// checkDescriptor refuses digests other than SHA-256 and impossible sizes.
func checkDescriptor(d ocispec.Descriptor) error {
	if err := checkDigest(d.Digest); err != nil {
		return err
	}
	if d.Size < 0 {
		return malformed(d.Digest.String(), fmt.Errorf("a descriptor with size %d", d.Size))
	}
	return nil
}

func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return malformed("", fmt.Errorf("digest %.100q: %w", string(d), err))
	}
	if d.Algorithm() != digest.SHA256 {
		return unsupported("digest", string(d.Algorithm()), "sha256")
	}
	return nil
}

// fetch opens the blob of d. The reader's last Read fails when the blob is not what d says.
func fetch(ctx context.Context, from Fetcher, d ocispec.Descriptor) (io.ReadCloser, error) {
	if err := checkDescriptor(d); err != nil {
		return nil, err
	}
	r, err := from.Fetch(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", d.Digest, err)
	}
	return verified(contextReader{ctx, r}, d), nil
}

// ReadBlob reads the blob of d into memory, verified. It refuses one of more than limit bytes before it asks for it.
func ReadBlob(ctx context.Context, from Fetcher, d ocispec.Descriptor, limit int64) ([]byte, error) {
	if d.Size > limit {
		return nil, tooLarge(d.Digest.String(), limit, d.Size)
	}
	r, err := fetch(ctx, from, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// verifiedReader gives the bytes of r, never more than the descriptor's size, and
// io.EOF only after they had its size and digest.
type verifiedReader struct {
	r    io.ReadCloser
	desc ocispec.Descriptor
	hash digest.Digester
	left int64
	err  error // sticky
}

func verified(r io.ReadCloser, d ocispec.Descriptor) *verifiedReader {
	return &verifiedReader{r: r, desc: d, hash: digest.SHA256.Digester(), left: d.Size}
}

func (v *verifiedReader) Read(p []byte) (int, error) {
	if v.err != nil || len(p) == 0 {
		return 0, v.err
	}
	if int64(len(p)) > v.left {
		p = p[:v.left+1] // one more, to meet the end
	}
	n, err := v.r.Read(p)
	if int64(n) > v.left {
		v.err = mismatch(v.desc, "more bytes")
		return int(v.left), v.err
	}
	v.left -= int64(n)
	v.hash.Hash().Write(p[:n])
	switch {
	case errors.Is(err, io.EOF):
		v.err = v.end()
	case err != nil:
		v.err = err
	}
	return n, v.err
}

func (v *verifiedReader) end() error {
	if v.left > 0 {
		return mismatch(v.desc, fmt.Sprintf("%d bytes", v.desc.Size-v.left))
	}
	if d := v.hash.Digest(); d != v.desc.Digest {
		return mismatch(v.desc, d.String())
	}
	return io.EOF
}

func (v *verifiedReader) Close() error { return v.r.Close() }

// contextReader stops reading when ctx is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func (c contextReader) Close() error {
	if rc, ok := c.r.(io.Closer); ok {
		return rc.Close()
	}
	return nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// onlyWriter hides ReadFrom, so that the buffer's size is ours.
type onlyWriter struct{ io.Writer }

func mismatch(d ocispec.Descriptor, actual string) error {
	return &gate.Refusal{Code: CodeDigestMismatch, What: "a blob of an image is not what its digest and size say", Where: d.Digest.String(),
		Expected: fmt.Sprintf("%d bytes with this digest", d.Size), Actual: actual, Fix: "fetch it again; if it stays so, do not trust where it came from"}
}

func malformed(where string, err error) error {
	var r *gate.Refusal
	if errors.As(err, &r) {
		if r.Where == "" {
			r.Where = where
		}
		return err
	}
	return &gate.Refusal{Code: CodeMalformed, What: "a document of an image is malformed", Where: where, Cause: err, Fix: "do not use the image"}
}

func unsupported(what, actual, expected string) error {
	return &gate.Refusal{Code: CodeUnsupported, What: "an image is of a kind that cannot be used: " + what, Expected: expected,
		Actual: fmt.Sprintf("%.200q", actual), Fix: "use another image"}
}

func tooLarge(where string, limit, size int64) error {
	return &gate.Refusal{Code: CodeTooLarge, What: "a document of an image is too large", Where: where,
		Expected: fmt.Sprintf("at most %d bytes", limit), Actual: fmt.Sprint(size), Fix: "use another image"}
}
