package download_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/sello-release/sello/docs/examples/download"
	"github.com/sello-release/sello/internal/gate"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// A file of a release gets its name; one that was changed leaves nothing behind.
func TestGet(t *testing.T) {
	w := vt.NewWorld(t)
	release := w.Release(t)
	s := httptest.NewServer(http.FileServer(http.Dir(release)))
	defer s.Close()
	into := t.TempDir()
	if err := download.Get(context.Background(), w.TrustFile, s.URL, vt.Archive, into); err != nil {
		t.Fatal(err)
	}
	if string(vt.Read(t, into, vt.Archive)) != "an archive" {
		t.Error("another file")
	}
	if err := os.Remove(filepath.Join(into, vt.Archive)); err != nil {
		t.Fatal(err)
	}
	if err := download.Get(context.Background(), vt.NewWorld(t).TrustFile, s.URL, vt.Archive, into); gate.Code(err) != "no-trusted-signer" {
		t.Errorf("another project's trust file: %v", err)
	}
	vt.Write(t, release, vt.Archive, []byte("an archive, changed"))
	if err := download.Get(context.Background(), w.TrustFile, s.URL, vt.Archive, into); gate.Code(err) != "subject-mismatch" {
		t.Errorf("a changed file: %v", err)
	}
	if err := os.Remove(filepath.Join(release, vt.Archive+".sigstore.json")); err != nil {
		t.Fatal(err)
	}
	if err := download.Get(context.Background(), w.TrustFile, s.URL, vt.Archive, into); err == nil {
		t.Error("accepted without a bundle")
	}
	if left := vt.Names(t, into); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
