package image

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/pack"
)

// Blobs is a folder with blobs/sha256/<hex>, as an OCI image layout has it. Any
// number of goroutines and processes can use one folder: a blob appears whole or not at all.
type Blobs struct{ dir *os.Root }

// NewBlobs uses dir, which the caller keeps open and closes.
func NewBlobs(dir *os.Root) (*Blobs, error) {
	if err := dir.MkdirAll(filepath.Dir(blobPath("x")), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of blobs: %w", err)
	}
	return &Blobs{dir: dir}, nil
}

func blobPath(hex string) string { return filepath.Join("blobs", "sha256", hex) }

// Put gives write a file to fill, and hashes what is written on its way. A blob that is there already is replaced by
// the same bytes. It does not wait for the disk: after a power cut, Good tells whether the blob is whole.
func (b *Blobs) Put(ctx context.Context, mediaType string, write func(w io.Writer) error) (ocispec.Descriptor, error) {
	h := sha256.New()
	desc := ocispec.Descriptor{MediaType: mediaType}
	err := b.place(false, func(f io.Writer) (string, error) {
		w := &countingWriter{w: io.MultiWriter(f, h)}
		if err := write(w); err != nil {
			return "", err
		}
		desc.Size, desc.Digest = w.n, digest.NewDigest(digest.SHA256, h)
		return desc.Digest.Encoded(), ctx.Err()
	})
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("write blob: %w", err)
	}
	return desc, nil
}

// Push copies the blob of expected out of content, and refuses one that is not what expected says.
func (b *Blobs) Push(ctx context.Context, expected ocispec.Descriptor, content io.Reader) error {
	if err := checkDescriptor(expected); err != nil {
		return err
	}
	return b.place(true, func(f io.Writer) (string, error) {
		v := verified(io.NopCloser(contextReader{ctx, content}), expected)
		if _, err := io.CopyBuffer(onlyWriter{f}, v, make([]byte, copyBuffer)); err != nil {
			return "", fmt.Errorf("copy %s: %w", expected.Digest, err)
		}
		return expected.Digest.Encoded(), nil
	})
}

// place writes a temporary file and renames it to the digest that write gives; lasting, once the disk has it.
func (b *Blobs) place(lasting bool, write func(io.Writer) (hex string, err error)) error {
	temp := pack.TempPrefix + rand.Text()
	f, err := b.dir.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	kept := false
	defer func() {
		if !kept { // also when write panics
			_ = f.Close()
			_ = b.dir.Remove(temp)
		}
	}()
	hex, err := write(f)
	if err != nil {
		return err
	}
	err = f.Chmod(0o644)
	if lasting {
		err = errors.Join(err, f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := b.dir.Rename(temp, blobPath(hex)); err != nil {
		return err
	}
	kept = true
	if !lasting {
		return nil
	}
	return pack.SyncFolder(b.dir, filepath.Dir(blobPath(hex)))
}

// Exists reports whether a blob of that digest and size is there. It does not read it: see Good.
func (b *Blobs) Exists(_ context.Context, target ocispec.Descriptor) (bool, error) {
	if err := checkDescriptor(target); err != nil {
		return false, err
	}
	info, err := b.dir.Lstat(blobPath(target.Digest.Encoded()))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode().IsRegular() && info.Size() == target.Size, err
}

// Good reports whether the blob is there, and reads it to know that it is whole.
func (b *Blobs) Good(ctx context.Context, target ocispec.Descriptor) (bool, error) {
	if ok, err := b.Exists(ctx, target); !ok || err != nil {
		return false, err
	}
	r, err := fetch(ctx, b, target)
	if err != nil {
		return false, err
	}
	defer r.Close()
	_, err = io.CopyBuffer(onlyWriter{io.Discard}, r, make([]byte, copyBuffer))
	if gate.Code(err) == CodeDigestMismatch {
		return false, nil
	}
	return err == nil, err
}

// Open gives the blob's file, for whoever has to read it twice or in parts. Only
// its size is verified; Fetch verifies the content.
func (b *Blobs) Open(target ocispec.Descriptor) (*os.File, error) {
	if err := checkDescriptor(target); err != nil {
		return nil, err
	}
	f, err := b.dir.Open(blobPath(target.Digest.Encoded()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &gate.Refusal{Code: CodeBlobMissing, What: "a blob of an image is not there", Where: target.Digest.String(), Cause: err,
			Fix: "make or fetch the image again"}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = mismatch(target, "something that is no file")
	}
	if err == nil && info.Size() != target.Size {
		err = mismatch(target, fmt.Sprintf("%d bytes", info.Size()))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Fetch gives the blob's content. The last Read fails if it was not what target says.
func (b *Blobs) Fetch(_ context.Context, target ocispec.Descriptor) (io.ReadCloser, error) {
	f, err := b.Open(target)
	if err != nil {
		return nil, err
	}
	return verified(f, target), nil
}
