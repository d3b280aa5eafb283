package bucket_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/bucketfiles"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
	"github.com/sello-release/sello/verify"
	"github.com/sello-release/sello/verify/bucket"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// fill puts a folder under prefix.
func fill(t *testing.T, b store.Bucket, dir, prefix string) {
	t.Helper()
	for _, name := range vt.Names(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		storetest.Put(t, b, prefix+name, string(data))
	}
}

func options(w *vt.World) verify.Options {
	return verify.Options{TrustFile: w.TrustFile, Now: vt.Now, Buckets: bucket.Open}
}

func open(t *testing.T, u string) store.Bucket {
	t.Helper()
	b, err := store.Open(u, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func code(t *testing.T, r *verify.Report, err error) string {
	t.Helper()
	if err != nil {
		return gate.Code(err)
	}
	return gate.Code(r.Err())
}

const place = "age/v1.4.2/"

// A bucket gives the same reports as the folder that it holds, good or bad.
func TestFilesOfABucket(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	for name, tt := range map[string]struct {
		code   string
		damage func(b store.Bucket)
	}{
		"good":    {"", func(store.Bucket) {}},
		"changed": {"subject-mismatch", func(b store.Bucket) { storetest.Put(t, b, place+vt.Archive, "evil") }},
		"extra":   {"release-file-extra", func(b store.Bucket) { storetest.Put(t, b, place+"evil.sh", "evil") }},
		"beside":  {"", func(b store.Bucket) { storetest.Put(t, b, "age/v1.4.2-evil/x", "another release") }},
	} {
		b := open(t, "./bucket")
		fill(t, b, release, place)
		tt.damage(b)
		r, err := verify.Files(context.Background(), "it", bucketfiles.Of(b, place), options(w))
		if got := code(t, r, err); got != tt.code {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tt.code)
		}
		if tt.code == "" && (r.Files != len(vt.Names(t, release)) || r.Scope != verify.ScopeRelease || r.Artifact != "it") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestObjectStore(t *testing.T) {
	s := storetest.StartS3(t)
	u := s.Make(t, "releases")
	w := vt.NewWorld(t)
	release := w.Release(t)
	b := open(t, u)
	fill(t, b, release, place)
	fill(t, b, w.StageFolder(t), "staged/")
	storetest.Put(t, b, "alone/age", storetest.Content(t, b, place+vt.Binary))
	at := func(path string) string { return strings.Replace(u, "?", "/"+path+"?", 1) }
	for _, tt := range []struct{ path, code, scope string }{
		{place, "", verify.ScopeRelease},
		{place + vt.Binary, "", verify.ScopeFileInRelease},
		{"staged/", "", verify.ScopeStage},
		{"staged/files/" + vt.Binary, "", verify.ScopeFileInRelease},
		{"alone/age", "attestation-missing", verify.ScopeFile},
		{"absent", "download-missing", ""},
		{"absent/", "stage-missing", ""},
		{"", "stage-missing", ""},
		{"a/../b", "url-unsupported", ""},
	} {
		r, err := verify.Any(context.Background(), at(tt.path), options(w))
		if got := code(t, r, err); got != tt.code {
			t.Errorf("%s: %q, %v %v; want %q", tt.path, got, r, err, tt.code)
			continue
		}
		if tt.scope != "" && (r.Scope != tt.scope || r.Artifact != at(tt.path)) {
			t.Errorf("%s: %s, %s", tt.path, r.Scope, r.Artifact)
		}
	}
	storetest.Put(t, b, place+vt.Binary, "evil")
	for _, path := range []string{place, place + vt.Binary} {
		r, err := verify.Any(context.Background(), at(path), options(w))
		if got := code(t, r, err); got != "subject-mismatch" {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	r, err := verify.Any(context.Background(), strings.Replace(at(place), url.QueryEscape(s.Endpoint), "http%3A%2F%2Fuser%3Asecret%40host", 1), options(w))
	if got := code(t, r, err); got != "bucket-url" || strings.Contains(err.Error(), "secret") {
		t.Errorf("credentials in the URL: %v", err)
	}
	s.Kill()
	r, err = verify.Any(context.Background(), at(place), options(w))
	if got := code(t, r, err); got != "store-unreachable" {
		t.Errorf("without a server: %v", err)
	}
}

// Programs that do not ask for object stores say so.
func TestWithoutBuckets(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	o := options(w)
	o.Buckets = nil
	r, err := verify.Any(context.Background(), "s3://bucket/x", o)
	if got := code(t, r, err); got != "url-unsupported" {
		t.Errorf("%v", err)
	}
}

// hostile gives names that no folder could.
type hostile struct{ names []string }

func (h hostile) List(context.Context, string) ([]verify.Entry, error) {
	var out []verify.Entry
	for _, n := range h.names {
		out = append(out, verify.Entry{Name: n})
	}
	return out, nil
}

func (h hostile) Open(context.Context, string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }

func TestHostileSource(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for _, names := range [][]string{{"../x"}, {"/x"}, {"a//b"}, {""}, {"x", "x"}, {strings.Repeat("a/", 40) + "x"}} {
		if _, err := verify.Files(context.Background(), "it", hostile{names}, options(w)); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", names, err)
		}
	}
}
