package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"crypto/sha256"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/sello-release/sello/internal/gate"
)

// readErrors reads the registry's own words (distribution-spec v1.1, Error Codes).
func readErrors(body io.Reader) errcode.Errors {
	var said struct {
		Errors errcode.Errors `json:"errors"`
	}
	if json.NewDecoder(io.LimitReader(body, 8<<10)).Decode(&said) != nil {
		return nil
	}
	return said.Errors
}

// finalError is one that another attempt would only meet again.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

func final(err error) error { return finalError{err} }

// retry calls f until it succeeds, with the transport's pauses. Refusals and final
// errors end it.
func (t *transport) retry(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		var r *gate.Refusal
		var end finalError
		if err == nil || errors.As(err, &r) || errors.As(err, &end) || ctx.Err() != nil || attempt >= t.o.Attempts {
			return err
		}
		if err := sleep(ctx, t.backoff(attempt)); err != nil {
			return err
		}
	}
}

// verified marks content that whoever reads it need not digest again.
type verified struct {
	io.Reader
	io.Closer
}

// Close implements io.Closer.
func (v *verified) Close() error {
	if v.Closer == nil {
		return nil
	}
	return v.Closer.Close()
}

// verifier gives r's bytes, but never the last of them before all are what desc says.
type verifier struct {
	r     io.Reader
	where string
	desc  ocispec.Descriptor
	hash  hash.Hash
	n     int64
	err   error
}

func verify(r io.Reader, where string, desc ocispec.Descriptor) *verifier {
	return &verifier{r: r, where: where, desc: desc, hash: sha256.New()}
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil || len(p) == 0 {
		return 0, v.err
	}
	n, err := v.r.Read(p)
	v.n += int64(n)
	v.hash.Write(p[:n])
	if v.n == v.desc.Size && err == nil {
		err = v.atEnd()
	}
	switch {
	case v.n > v.desc.Size:
		v.err = mismatch(v.where, describe(v.desc), fmt.Sprintf("more than %d bytes", v.desc.Size))
	case errors.Is(err, io.EOF):
		if v.err = v.compare(); v.err == nil {
			v.err = io.EOF
			return n, io.EOF
		}
	case err != nil:
		v.err = err
	default:
		return n, nil
	}
	return 0, v.err
}

// atEnd gives io.EOF when nothing follows.
func (v *verifier) atEnd() error {
	var more [1]byte
	for range 100 {
		n, err := v.r.Read(more[:])
		if v.n += int64(n); n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (v *verifier) compare() error {
	if got := digest.NewDigest(digest.SHA256, v.hash); v.n != v.desc.Size || got != v.desc.Digest {
		return mismatch(v.where, describe(v.desc), fmt.Sprintf("%s (%d bytes)", got, v.n))
	}
	return nil
}

// fetchBlob opens a blob. When the connection breaks, it goes on where it broke off.
func (r *Repository) fetchBlob(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	b := &blobReader{ctx: ctx, repo: r, desc: desc}
	if err := b.open(); err != nil {
		return nil, explain(r.at(desc.Digest), "image-missing", err)
	}
	return &verified{Reader: verify(b, r.at(desc.Digest), desc), Closer: b}, nil
}

type blobReader struct {
	ctx    context.Context
	repo   *Repository
	desc   ocispec.Descriptor
	body   io.ReadCloser
	n      int64 // bytes given so far
	failed int   // times in a row that the connection broke without a byte
}

// open asks for what is missing.
func (b *blobReader) open() error {
	header := http.Header{}
	if b.n > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", b.n, b.desc.Size-1))
	}
	resp, err := b.repo.request(b.ctx, http.MethodGet, "blobs", b.desc.Digest.String(), header)
	if err != nil {
		return err
	}
	skip := b.n
	want := b.desc.Size
	if resp.StatusCode == http.StatusPartialContent && b.n > 0 {
		if !strings.HasPrefix(strings.TrimSpace(resp.Header.Get("Content-Range")), fmt.Sprintf("bytes %d-", b.n)) {
			resp.Body.Close()
			return notOCI("another part of the content than was asked for")
		}
		skip, want = 0, b.desc.Size-b.n
	}
	if resp.ContentLength >= 0 && resp.ContentLength != want {
		resp.Body.Close()
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			return notOCI("a web page")
		}
		return mismatch("", describe(b.desc), fmt.Sprintf("%d bytes", resp.ContentLength+b.n-skip))
	}
	b.body = resp.Body
	if _, err := io.CopyN(io.Discard, b.body, skip); err != nil {
		b.body.Close()
		return fmt.Errorf("read again what was read before: %w", err)
	}
	return nil
}

// Read implements io.Reader.
func (b *blobReader) Read(p []byte) (int, error) {
	for {
		n, err := b.body.Read(p)
		b.n += int64(n)
		if n > 0 {
			b.failed = 0
			if err != nil && !errors.Is(err, io.EOF) {
				err = nil // the next Read meets it again
			}
			return n, err
		}
		if err == nil || errors.Is(err, io.EOF) && b.n >= b.desc.Size || b.ctx.Err() != nil {
			return 0, err
		}
		if err := b.reopen(err); err != nil {
			return 0, explain(b.repo.at(b.desc.Digest), "image-missing", err)
		}
	}
}

func (b *blobReader) reopen(why error) error {
	if errors.Is(why, io.EOF) {
		why = io.ErrUnexpectedEOF
	}
	b.body.Close()
	t := b.repo.client.http
	for {
		if b.failed++; b.failed >= t.o.Attempts {
			return why
		}
		if err := sleep(b.ctx, t.backoff(b.failed)); err != nil {
			return err
		}
		err := b.open()
		if err == nil {
			return nil
		}
		var r *gate.Refusal
		var answer *errcode.ErrorResponse
		if errors.As(err, &r) || errors.As(err, &answer) {
			b.body = http.NoBody
			return err
		}
		why, b.body = err, http.NoBody
	}
}

// Close implements io.Closer.
func (b *blobReader) Close() error { return b.body.Close() }
