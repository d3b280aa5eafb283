// Package digest computes the digests that everything in a release is named by.
//
// Each byte is read once: SHA-256 and SHA-512 are computed side by side.
package digest

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"regexp"
)

// Sums are the size and digests of one sequence of bytes, as lower-case hex.
type Sums struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	SHA512 string `json:"sha512,omitempty"`
}

// Writer computes Sums over what is written to it. It never fails.
type Writer struct {
	size int64
	h256 hash.Hash
	h512 hash.Hash // nil when only SHA-256 is wanted
}

// NewWriter computes SHA-256 and SHA-512.
func NewWriter() *Writer { return &Writer{h256: sha256.New(), h512: sha512.New()} }

// NewSHA256 computes SHA-256 alone, for verification where speed counts.
func NewSHA256() *Writer { return &Writer{h256: sha256.New()} }

func (w *Writer) Write(p []byte) (int, error) {
	w.size += int64(len(p))
	w.h256.Write(p)
	if w.h512 != nil {
		w.h512.Write(p)
	}
	return len(p), nil
}

// Sums of everything written so far.
func (w *Writer) Sums() Sums {
	s := Sums{Size: w.size, SHA256: hex.EncodeToString(w.h256.Sum(nil))}
	if w.h512 != nil {
		s.SHA512 = hex.EncodeToString(w.h512.Sum(nil))
	}
	return s
}

// Bytes gives the SHA-256 of b as lower-case hex.
func Bytes(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// Until gives a reader of r that ends with ctx.
func Until(ctx context.Context, r io.Reader) io.Reader { return until{ctx, r} }

type until struct {
	ctx context.Context
	r   io.Reader
}

func (u until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// Reader consumes r and gives its Sums.
func Reader(r io.Reader) (Sums, error) {
	w := NewWriter()
	_, err := io.CopyBuffer(w, onlyReader{r}, make([]byte, 1<<20))
	return w.Sums(), err
}

// File gives the Sums of the file at path.
func File(path string) (Sums, error) {
	f, err := os.Open(path)
	if err != nil {
		return Sums{}, err
	}
	defer f.Close()
	return Reader(f)
}

// onlyReader hides WriteTo, so that the buffer's size is ours.
type onlyReader struct{ io.Reader }

var hex64 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// IsSHA256 reports whether s is a SHA-256 as lower-case hex.
func IsSHA256(s string) bool { return hex64.MatchString(s) }
