package verify

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A server that stops sending is given up on.
func TestStalledDownload(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	d := newDownload(t.TempDir(), 0)
	d.client.Stall = 50 * time.Millisecond
	start := time.Now()
	if _, err := d.get(context.Background(), parse(t, s.URL+"/x"), "x", 100); gate.Code(err) != "download-failed" || time.Since(start) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
}

func TestDownloadsStayInTheirFolder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../x", "/x", "a/../../x", "", ".", "C:x", `a\..\..\x`, "sign-offs/../../x.sigstore.json", "nul"} {
		if safe(name) {
			t.Errorf("%q is called safe", name)
		}
	}
	for _, name := range []string{"x", "bin/linux/amd64/age", "age.sigstore.json", "sign-offs/first.sigstore.json"} {
		if !safe(name) {
			t.Errorf("%q is called unsafe", name)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	parent := t.TempDir()
	dir := filepath.Join(parent, "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d := newDownload(dir, 0)
	if _, err := d.get(context.Background(), parse(t, s.URL), "../escaped", 10); err == nil {
		t.Error("written outside of the folder")
	}
	if _, err := os.Stat(filepath.Join(parent, "escaped")); err == nil {
		t.Error("the file is there")
	}
}

func TestSourceMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		canonical, uri, version string
		want                    bool
	}{
		{"https://git.example/age", "git+https://git.example/age", "v1", true},
		{"https://git.example/age", "https://git.example/age", "v1", false},
		{"https://git.example/age", "git+https://git.example/age/", "", false},
		{"https://git.example/age", "git+https://git.example/age.git", "", false},
		{"https://git.example/age", "git+https://git.example/agent", "", false},
		{"pkg:golang/a.example/b", "pkg:golang/a.example/b@v1", "v1", true},
		{"pkg:golang/a.example/b", "pkg:golang/a.example/b@v1", "", true},
		{"pkg:golang/a.example/b", "pkg:golang/a.example/b@v2", "v1", false},
		{"pkg:golang/a.example/b", "pkg:golang/a.example/b", "", false},
		{"pkg:golang/a.example/b", "pkg:golang/a.example/c@v1", "", false},
		{"pkg:golang/a.example/b@v1", "pkg:golang/a.example/b@v1", "v1", true},
		{"pkg:golang/a.example/b@v1", "pkg:golang/a.example/b@v2", "v2", false},
	} {
		if got := sourceMatches(tt.canonical, tt.uri, tt.version); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
