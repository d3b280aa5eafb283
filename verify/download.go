package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/web"
)

// defaultMaxDownload bounds one file that is downloaded, in bytes.
const defaultMaxDownload = 8 << 30

// download fetches files into a folder of its own.
type download struct {
	dir     string
	maxFile int64
	client  *web.Client
}

func newDownload(dir string, maxFile int64) *download {
	if maxFile <= 0 {
		maxFile = defaultMaxDownload
	}
	return &download{dir: dir, maxFile: maxFile, client: web.New()}
}

// get downloads u to name below the folder; found is false when the server does not have it.
func (d *download) get(ctx context.Context, u *url.URL, name string, limit int64) (found bool, err error) {
	body, err := d.client.Get(ctx, u)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, failed(u, err)
	}
	defer body.Close()
	if err := d.save(name, io.LimitReader(body, limit+1), limit); err != nil {
		return false, failed(u, err)
	}
	return true, nil
}

func (d *download) save(name string, r io.Reader, limit int64) error {
	root, err := os.OpenRoot(d.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	local := filepath.FromSlash(name)
	if err := root.MkdirAll(filepath.Dir(local), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(local, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // fetched already, by another of its names
	}
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, bufferSize))
	if err == nil && n > limit {
		err = fmt.Errorf("%w: %d bytes", errTooLarge, limit)
	}
	return errors.Join(err, f.Close())
}

func (d *download) read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(d.dir, name))
}

func failed(u *url.URL, err error) error {
	code, fix := "download-failed", "check the URL and the connection, and run the command again"
	if errors.Is(err, errTooLarge) {
		code, fix = "download-too-large", "if a file of that size is expected, allow it; otherwise do not trust this server"
	}
	return &gate.Refusal{Code: code, Class: gate.Failed, What: "the file could not be downloaded", Where: u.Redacted(), Cause: err, Fix: fix}
}
