// Package download gets files of releases over HTTPS, and gives them their names only when they verify.
package download

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/sello-release/sello/verify"
)

// Get puts a file of the release at base into the folder into, under its own name, once it is known to be what was released.
func Get(ctx context.Context, trustFile []byte, base, name, into string) error {
	scratch, err := os.MkdirTemp(into, ".download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	file := filepath.Join(scratch, filepath.Base(name))
	for path, url := range map[string]string{file: base + "/" + name, file + ".sigstore.json": base + "/" + name + ".sigstore.json"} {
		if err := fetch(ctx, path, url); err != nil {
			return err
		}
	}
	report, err := verify.File(ctx, file, verify.Options{TrustFile: trustFile})
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		return err
	}
	return os.Rename(file, filepath.Join(into, filepath.Base(name)))
}

func fetch(ctx context.Context, path, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, io.LimitReader(answer.Body, 4<<30)); err != nil {
		return err
	}
	return f.Close()
}
