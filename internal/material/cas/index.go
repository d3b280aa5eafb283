package cas

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/digest"
)

// Kinds of files that a module version has in the proxy protocol.
const (
	Zip  = "zip"
	Mod  = "mod"
	Info = "info"
)

// maxEntry bounds an index entry that is read, in bytes.
const maxEntry = 64 << 10

// Key names one file of a module version.
type Key struct {
	Module  string
	Version string // canonical
	Kind    string // Zip, Mod or Info
}

func (k Key) String() string { return k.Module + "@" + k.Version + " " + k.Kind }

// Entry is what is remembered of a file: which bytes it had, where they came
// from, and who vouched for them.
type Entry struct {
	SHA256   string    `json:"sha256"`
	Size     int64     `json:"size"`
	H1       string    `json:"h1,omitempty"` // of a zip or a go.mod file, as go.sum has it
	Location string    `json:"location"`     // where it was downloaded, without credentials
	Time     time.Time `json:"time"`         // when it was downloaded
	// VerifiedBy is the name of the checksum database that has H1, and VerifiedAt when it was asked. Empty when it was not.
	VerifiedBy string     `json:"verifiedBy,omitempty"`
	VerifiedAt *time.Time `json:"verifiedAt,omitempty"`
}

// Index remembers entries as one small file a key, below one folder.
type Index struct{ root string }

// NewIndex gives the index at root, creating the folder.
func NewIndex(root string) (*Index, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("locate index: %w", err)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("create index: %w", err)
	}
	return &Index{root: root}, nil
}

// path refuses keys that are not a module version, so a key cannot leave the folder.
func (x *Index) path(k Key) (string, error) {
	if k.Kind != Zip && k.Kind != Mod && k.Kind != Info {
		return "", fmt.Errorf("locate index entry: unknown kind %q", k.Kind)
	}
	mod, err := module.EscapePath(k.Module)
	if err != nil {
		return "", fmt.Errorf("locate index entry: %w", err)
	}
	if module.CanonicalVersion(k.Version) != k.Version {
		return "", fmt.Errorf("locate index entry: version %q is not canonical", k.Version)
	}
	version, err := module.EscapeVersion(k.Version)
	if err != nil {
		return "", fmt.Errorf("locate index entry: %w", err)
	}
	return filepath.Join(x.root, filepath.FromSlash(mod), "@v", version+"."+k.Kind+".json"), nil
}

// Get gives the entry for k, if there is a readable one. A spoiled entry is no entry.
func (x *Index) Get(k Key) (Entry, bool) {
	path, err := x.path(k)
	if err != nil {
		return Entry{}, false
	}
	f, err := openRegular(path)
	if err != nil {
		return Entry{}, false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEntry+1))
	if err != nil || len(data) > maxEntry {
		return Entry{}, false
	}
	e, err := ParseEntry(data)
	return e, err == nil
}

// ParseEntry reads an index entry.
func ParseEntry(data []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, fmt.Errorf("parse index entry: %w", err)
	}
	switch {
	case !digest.IsSHA256(e.SHA256):
		return Entry{}, errors.New("parse index entry: sha256 is not a digest")
	case e.Size < 0:
		return Entry{}, errors.New("parse index entry: negative size")
	case e.H1 != "" && !strings.HasPrefix(e.H1, "h1:"):
		return Entry{}, errors.New("parse index entry: h1 is not a module hash")
	case e.VerifiedBy != "" && e.H1 == "":
		return Entry{}, errors.New("parse index entry: verified, but without a hash")
	}
	return e, nil
}

// Put remembers e for k, in place of what was there.
func (x *Index) Put(k Key, e Entry) error {
	path, err := x.path(k)
	if err != nil {
		return err
	}
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode index entry: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write index entry: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".put-*")
	if err != nil {
		return fmt.Errorf("write index entry: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(data, '\n'))
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write index entry: %w", err)
	}
	return nil
}

// Drop forgets k.
func (x *Index) Drop(k Key) error {
	path, err := x.path(k)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop index entry: %w", err)
	}
	return nil
}
