package verify_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// published serves a folder as a bucket does: files, and no lists of them.
func published(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(r.URL.Path, "/age/v1.4.2/"))))
		if err != nil || !strings.HasPrefix(r.URL.Path, "/age/v1.4.2/") {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	})
}

func get(t *testing.T, url string, o verify.Options) *verify.Report {
	t.Helper()
	r, err := verify.URL(context.Background(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestURL(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	base := serve(t, published(release)) + "/age/v1.4.2/"
	for _, name := range []string{vt.Archive, vt.Binary} {
		r := get(t, base+name, options(w))
		accepted(t, r)
		if r.Scope != verify.ScopeFileInRelease || r.Artifact != base+name || len(r.SignOffs) != 2 {
			t.Error(show(r))
		}
	}
	r := get(t, base, options(w))
	accepted(t, r)
	if r.Scope != verify.ScopeRelease || r.Files != len(vt.Names(t, release)) {
		t.Error(show(r))
	}
	for _, c := range r.Checks {
		if strings.Contains(c.Where, os.TempDir()) {
			t.Errorf("a check speaks of the download folder: %+v", c)
		}
	}
}

func TestURLOfAStage(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	base := serve(t, published(w.StageFolder(t))) + "/age/v1.4.2/"
	r := get(t, base+"files/"+vt.Binary, options(w))
	accepted(t, r)
	if len(r.SignOffs) != 2 {
		t.Error(show(r))
	}
}

func TestURLOfAFileAlone(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	path := alone(t, w.Release(t), vt.Archive, "age.tar.gz")
	base := serve(t, published(filepath.Dir(path))) + "/age/v1.4.2/"
	r := get(t, base+"age.tar.gz", options(w))
	accepted(t, r)
	if r.Scope != verify.ScopeFile {
		t.Error(show(r))
	}
}

func TestURLRefuses(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for name, tt := range map[string]struct {
		code, at string
		damage   func(string)
	}{
		"artifact changed":        {"subject-mismatch", vt.Archive, func(dir string) { vt.Write(t, dir, vt.Archive, []byte("evil")) }},
		"bundle missing":          {"attestation-missing", vt.Archive, func(dir string) { os.Remove(filepath.Join(dir, vt.Archive+stage.BundleSuffix)) }},
		"statement missing":       {"release-statement-missing", vt.Archive, func(dir string) { os.Remove(filepath.Join(dir, stage.ReleaseBundle)) }},
		"stage missing":           {"stage-missing", vt.Archive, func(dir string) { os.Remove(filepath.Join(dir, stage.FileName)) }},
		"a page instead":          {"bad-json", vt.Archive, func(dir string) { vt.Write(t, dir, stage.FileName, []byte("<html>")) }},
		"release, a file missing": {"release-file-missing", "", func(dir string) { os.Remove(filepath.Join(dir, vt.Binary)) }},
		"release, nothing there":  {"stage-missing", "", func(dir string) { os.RemoveAll(dir) }},
	} {
		t.Run(name, func(t *testing.T) {
			release := w.Release(t)
			tt.damage(release)
			r := get(t, serve(t, published(release))+"/age/v1.4.2/"+tt.at, options(w))
			refused(t, r, tt.code)
			if !strings.Contains(r.Err().Error(), "/age/v1.4.2/") {
				t.Errorf("the refusal does not say where: %v", r.Err())
			}
		})
	}
}

// Names in a statement that nobody verified yet guide the download, and lead nowhere else.
func TestURLStaysInItsFolder(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	evil := vt.NewWorld(t).Release(t, func(d *vt.Draft) {
		d.Statement = func(s []attest.Subject) []attest.Subject {
			for _, name := range []string{"../../evil", "/evil", "x/../../../evil", `..\evil`, "sign-offs/../../../evil.sigstore.json", "//evil.example/evil"} {
				s = append(s, attest.Subject{Name: name, Digest: s[0].Digest})
			}
			return s
		}
	})
	vt.Write(t, release, stage.ReleaseBundle, vt.Read(t, evil, stage.ReleaseBundle))
	var asked []string
	base := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		published(release).ServeHTTP(rw, r)
	}))
	refused(t, get(t, base+"/age/v1.4.2/", options(w)), "no-trusted-signer")
	for _, path := range asked {
		if !strings.HasPrefix(path, "/age/v1.4.2/") || strings.Contains(path, "evil") {
			t.Errorf("asked for %s", path)
		}
	}
}

func TestURLFailures(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	big := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".json") {
			http.NotFound(rw, r)
			return
		}
		for range 100 {
			_, _ = rw.Write(make([]byte, 1000))
		}
	})
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tls.Close)
	o := options(w)
	o.MaxDownload = 5000
	for name, tt := range map[string]struct{ code, url string }{
		"not there":           {"download-missing", serve(t, http.NotFoundHandler()) + "/age"},
		"server is broken":    {"download-failed", serve(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) })) + "/age"},
		"asks to log in":      {"download-failed", serve(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(401) })) + "/age"},
		"goes in circles":     {"download-failed", serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.Path+"x", 302) })) + "/age"},
		"too large":           {"download-too-large", serve(t, big) + "/age"},
		"unknown certificate": {"download-failed", tls.URL + "/age"},
		"nobody listens":      {"download-failed", "http://127.0.0.1:1/age"},
		"cut off": {"download-failed", serve(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "100")
			fmt.Fprint(rw, "x")
		})) + "/age"},
		"no host":              {"url-unsupported", "https:///age"},
		"another machine":      {"url-unsupported", "file://host/age"},
		"a name nobody stores": {"url-unsupported", serve(t, http.NotFoundHandler()) + "/con"},
	} {
		r, err := verify.URL(context.Background(), tt.url, o)
		if gate.Code(err) != tt.code {
			t.Errorf("%s: %v, %v, want %s", name, r, err, tt.code)
		}
	}
}

func TestURLCancelled(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	base := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	if _, err := verify.URL(ctx, base+"/age", options(w)); gate.Code(err) != "download-failed" || ctx.Err() == nil {
		t.Errorf("%v", err)
	}
}
