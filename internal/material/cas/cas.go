// Package cas keeps files by their SHA-256, below one folder.
//
// A file gets its name only after its last byte was hashed, by an atomic rename, so
// several processes may write at once and nothing half-written is ever seen.
// Stored files are read-only. Nothing that is read back is believed: Open hashes
// the whole file before it hands it out, and a file whose bytes do not give its name is removed.
// There is no fsync: a file that a power cut spoiled is found on the next Open, and fetched again.
//
// Index remembers which digest a name had. It is a hint and says nothing about
// bytes: whoever follows it goes through Open.
//
// The package does not collect garbage: the whole folder may be deleted at any time.
package cas

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sello-release/sello/internal/digest"
)

// ErrCorrupt is wrapped by the error for a file whose bytes did not give its name. The file is gone by then.
var ErrCorrupt = errors.New("stored file is corrupt")

// ErrTooLarge is wrapped by the error for content above the limit.
var ErrTooLarge = errors.New("content is too large")

// Store is a folder of files named by their SHA-256.
type Store struct{ root string }

// New gives the store at root, creating the folder.
func New(root string) (*Store, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("locate content store: %w", err)
	}
	for _, dir := range []string{"sha256", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return nil, fmt.Errorf("create content store: %w", err)
		}
	}
	return &Store{root: root}, nil
}

// Path is where the file with this digest is, if it is there. It is not verified.
func (s *Store) Path(sha256 string) (string, error) {
	if !digest.IsSHA256(sha256) {
		return "", fmt.Errorf("locate stored file: %q is not a SHA-256", sha256)
	}
	return filepath.Join(s.root, "sha256", sha256[:2], sha256), nil
}

// Put stores what r holds, at most limit bytes.
func (s *Store) Put(r io.Reader, limit int64) (digest.Sums, error) {
	tmp, err := os.CreateTemp(filepath.Join(s.root, "tmp"), "put-*")
	if err != nil {
		return digest.Sums{}, fmt.Errorf("create stored file: %w", err)
	}
	defer os.Remove(tmp.Name()) // fails after the rename, as it should
	defer tmp.Close()
	w := digest.NewSHA256()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(tmp, w)}, struct{ io.Reader }{io.LimitReader(r, limit+1)}, make([]byte, 256<<10))
	if err != nil {
		return digest.Sums{}, fmt.Errorf("write stored file: %w", err)
	}
	if n > limit {
		return digest.Sums{}, fmt.Errorf("write stored file: %w: more than %d bytes", ErrTooLarge, limit)
	}
	sums := w.Sums()
	return sums, s.name(tmp, sums.SHA256)
}

// name gives a complete temporary file its final name.
func (s *Store) name(tmp *os.File, sha256 string) error {
	path, err := s.Path(sha256)
	if err != nil {
		return err
	}
	if err := tmp.Chmod(0o444); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("protect stored file: %w", err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("write stored file: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("name stored file: %w", err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		// Where an open file cannot be replaced, another process may have stored the same bytes.
		if _, statErr := os.Stat(path); statErr == nil {
			return nil
		}
		return fmt.Errorf("name stored file: %w", err)
	}
	return nil
}

// Open gives the file with this digest, hashed from its first byte to its last and
// rewound. A corrupt file is removed and gives ErrCorrupt; a missing one fs.ErrNotExist.
func (s *Store) Open(sha256 string) (*os.File, error) {
	path, err := s.Path(sha256)
	if err != nil {
		return nil, err
	}
	f, err := openRegular(path)
	if errors.Is(err, ErrCorrupt) {
		os.RemoveAll(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open stored file: %w", err)
	}
	w := digest.NewSHA256()
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read stored file: %w", err)
	}
	if got := w.Sums().SHA256; got != sha256 {
		f.Close()
		os.Remove(path)
		return nil, fmt.Errorf("read stored file: %w: expected %s, found %s", ErrCorrupt, sha256, got)
	}
	return f, nil
}

// openRegular refuses anything but a regular file: a link could point anywhere, a pipe never ends.
func openRegular(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file", ErrCorrupt)
	}
	return os.Open(path)
}

// Verify reports whether the file with this digest is there and intact, as Open does.
func (s *Store) Verify(sha256 string) error {
	f, err := s.Open(sha256)
	if err != nil {
		return err
	}
	return f.Close()
}

// Has reports whether a file of this name exists; its bytes are not looked at.
func (s *Store) Has(sha256 string) bool {
	path, err := s.Path(sha256)
	if err != nil {
		return false
	}
	_, err = os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
