package gomod

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sync/errgroup"
)

// hashTree computes the h1: hash of the files below root, as
// golang.org/x/mod/sumdb/dirhash does, with all cores. Names get prefix and a slash in
// front. Anything but folders and regular files is an error; skip leaves files out by their slash-separated path.
func hashTree(root, prefix string, skip func(rel string) bool) (string, error) {
	names, err := treeFiles(root, skip)
	if err != nil {
		return "", err
	}
	sums := make([][]byte, len(names))
	var next atomic.Int64
	var g errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			buf := make([]byte, 128<<10)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(names) {
					return nil
				}
				sum, err := hashFile(filepath.Join(root, filepath.FromSlash(names[i])), buf)
				if err != nil {
					return fmt.Errorf("hash tree: %w", err)
				}
				sums[i] = sum
			}
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	return combine(names, prefix, sums), nil
}

// combine is the second half of Hash1: the hash of the sorted list of hashes and names.
func combine(names []string, prefix string, sums [][]byte) string {
	order := make([]int, len(names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(names[a], names[b]) })
	h := sha256.New()
	if prefix != "" {
		prefix += "/"
	}
	for _, i := range order {
		fmt.Fprintf(h, "%x  %s%s\n", sums[i], prefix, names[i])
	}
	return "h1:" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func hashFile(path string, buf []byte) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, buf); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// treeFiles lists the regular files below root.
func treeFiles(root string, skip func(rel string) bool) ([]string, error) {
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if skip != nil && skip(rel) {
			return nil
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", rel)
		}
		if strings.Contains(rel, "\n") {
			return errors.New("a file name holds a newline")
		}
		names = append(names, rel)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tree: %w", err)
	}
	return names, nil
}

// goModHash is the hash that go.sum has for a go.mod file.
func goModHash(data []byte) (string, error) {
	return dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
}

// hexHash gives the bytes of an h1: hash in lower-case hex, as an in-toto DigestSet wants them.
func hexHash(h1 string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(h1, "h1:"))
	if err != nil || len(b) != sha256.Size || !strings.HasPrefix(h1, "h1:") {
		return "", fmt.Errorf("read module hash: %q is not an h1: hash", h1)
	}
	return hex.EncodeToString(b), nil
}
