package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Limits on downloads.
const (
	defaultMaxDownload = 8 << 30 // bytes of one file
	maxRedirects       = 5
	answerTime         = 30 * time.Second // until a server answers
	stallTime          = 60 * time.Second // without a single byte
)

// download fetches files into a folder of its own.
type download struct {
	dir     string
	maxFile int64
	stall   time.Duration
	client  *http.Client
}

func newDownload(dir string, maxFile int64) *download {
	if maxFile <= 0 {
		maxFile = defaultMaxDownload
	}
	return &download{dir: dir, maxFile: maxFile, stall: stallTime, client: &http.Client{
		CheckRedirect: checkRedirect,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: answerTime}).DialContext,
			TLSHandshakeTimeout:   answerTime,
			ResponseHeaderTimeout: answerTime,
			ForceAttemptHTTP2:     true,
			DisableCompression:    true, // the bytes as they were published
		},
	}}
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("a redirect from https to " + req.URL.Scheme)
	}
	return nil
}

// get downloads u to name below the folder; found is false when the server does not have it.
func (d *download) get(ctx context.Context, u *url.URL, name string, limit int64) (found bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, failed(u, err)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return false, failed(u, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return false, nil
	default:
		return false, failed(u, fmt.Errorf("the server answers %s", resp.Status))
	}
	stalled := time.AfterFunc(d.stall, func() { cancel(fmt.Errorf("no data for %s", d.stall)) })
	defer stalled.Stop()
	body := progress{resp.Body, func() { stalled.Reset(d.stall) }}
	if err := d.save(name, io.LimitReader(body, limit+1), limit); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
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

// progress calls seen whenever bytes arrive.
type progress struct {
	io.Reader
	seen func()
}

func (p progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n > 0 {
		p.seen()
	}
	return n, err
}

func failed(u *url.URL, err error) error {
	code, fix := "download-failed", "check the URL and the connection, and run the command again"
	if errors.Is(err, errTooLarge) {
		code, fix = "download-too-large", "if a file of that size is expected, allow it; otherwise do not trust this server"
	}
	return &gate.Refusal{Code: code, Class: gate.Failed, What: "the file could not be downloaded", Where: u.Redacted(), Cause: err, Fix: fix}
}
