package sbom

import (
	"crypto/sha1" // #nosec G505 -- SPDX 2.3 demands it; nothing relies on it
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// FileHash computes what a document says of a file while the file passes by. It never fails.
type FileHash struct {
	name   string
	sha1   hash.Hash
	sha256 hash.Hash
}

// NewFileHash starts hashing the file of that name.
func NewFileHash(name string) *FileHash {
	return &FileHash{name: name, sha1: sha1.New(), sha256: sha256.New()} // #nosec G401 -- as above
}

func (h *FileHash) Write(p []byte) (int, error) {
	h.sha1.Write(p)
	h.sha256.Write(p)
	return len(p), nil
}

// File gives the hashes of everything written so far.
func (h *FileHash) File() File {
	return File{Name: h.name, SHA1: hex.EncodeToString(h.sha1.Sum(nil)), SHA256: hex.EncodeToString(h.sha256.Sum(nil))}
}

func (f File) check() error {
	switch {
	case f.Name == "" || strings.ContainsFunc(f.Name, isUnprintable):
		return fmt.Errorf("file name %q cannot be described", f.Name)
	case !isHex(f.SHA1, 40) || !isHex(f.SHA256, 64):
		return fmt.Errorf("file %q has no proper SHA-1 and SHA-256", f.Name)
	}
	return nil
}

// verificationCode is the SHA-1 over the files' sorted SHA-1s. See SPDX 2.3, 7.9.
func verificationCode(files []File) string {
	sums := make([]string, 0, len(files))
	for _, f := range files {
		sums = append(sums, f.SHA1)
	}
	slices.Sort(sums)
	h := sha1.New() // #nosec G401 -- as above
	for _, s := range sums {
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// isHex reports whether s is n lower-case hex digits.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
