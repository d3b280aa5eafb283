package image_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/pack"
)

var (
	when  = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	amd64 = definition.Platform{OS: "linux", Arch: "amd64"}
	arm64 = definition.Platform{OS: "linux", Arch: "arm64"}
	armv7 = definition.Platform{OS: "linux", Arch: "arm", Variant: "v7"}
)

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func newBlobs(t testing.TB) (*image.Blobs, *os.Root) {
	t.Helper()
	root := openRoot(t, t.TempDir())
	b, err := image.NewBlobs(root)
	if err != nil {
		t.Fatal(err)
	}
	return b, root
}

func entry(name, content string) pack.Entry {
	return pack.Entry{Name: name, Size: int64(len(content)), Executable: strings.Contains(name, "bin/"),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
}

func makeLayer(t testing.TB, b *image.Blobs, entries ...pack.Entry) image.LayerDesc {
	t.Helper()
	l, err := image.Layer(context.Background(), b, entries, when)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func build(t testing.TB, b *image.Blobs, s image.Spec) image.Built {
	t.Helper()
	if s.Created.IsZero() {
		s.Created = when
	}
	if s.Platform.OS == "" {
		s.Platform = amd64
	}
	out, err := image.Build(context.Background(), b, s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func makeIndex(t testing.TB, b *image.Blobs, manifests ...ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	d, err := image.Index(context.Background(), b, manifests, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// makeBase makes an image for each platform, with a layer of its own and one that all share.
func makeBase(t testing.TB, b *image.Blobs, platforms ...definition.Platform) ocispec.Descriptor {
	t.Helper()
	shared := makeLayer(t, b, entry("etc/os-release", "ID=test\n"))
	var manifests []ocispec.Descriptor
	for _, p := range platforms {
		own := makeLayer(t, b, entry("lib/arch", p.String()))
		manifests = append(manifests, build(t, b, image.Spec{Platform: p, Env: map[string]string{"PATH": "/bin", "A": "base"}, User: "65532", WorkingDir: "/home",
			Labels: map[string]string{"from": "base"}, Entrypoint: []string{"/bin/sh"}, Cmd: []string{"-l"},
			Layers: []image.AddedLayer{{LayerDesc: shared, CreatedBy: "base"}, {LayerDesc: own, CreatedBy: "base for " + p.String()}}}).Manifest)
	}
	return makeIndex(t, b, manifests...)
}

// put stores v, as it is when it is bytes or a string, else as JSON.
func put(t testing.TB, b *image.Blobs, mediaType string, v any) ocispec.Descriptor {
	t.Helper()
	var data []byte
	switch v := v.(type) {
	case []byte:
		data = v
	case string:
		data = []byte(v)
	default:
		var err error
		if data, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	d, err := b.Put(context.Background(), mediaType, func(w io.Writer) error { _, err := w.Write(data); return err })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func read(t testing.TB, from image.Fetcher, d ocispec.Descriptor, v any) {
	t.Helper()
	data, err := image.ReadBlob(context.Background(), from, d, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if gate.Code(err) != code {
		t.Errorf("got %v, want code %s", err, code)
	}
}

// counted is a Fetcher that counts, and can lie.
type counted struct {
	image.Fetcher
	lie func(ocispec.Descriptor, io.ReadCloser) io.ReadCloser

	mu    sync.Mutex
	count map[digest.Digest]int
}

func (c *counted) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	c.mu.Lock()
	if c.count == nil {
		c.count = map[digest.Digest]int{}
	}
	c.count[d.Digest]++
	c.mu.Unlock()
	r, err := c.Fetcher.Fetch(ctx, d)
	if err == nil && c.lie != nil {
		r = c.lie(d, r)
	}
	return r, err
}

func (c *counted) total() int {
	n := 0
	for _, k := range c.count {
		n += k
	}
	return n
}

func TestBlobsHoldWhatTheyAreGiven(t *testing.T) {
	t.Parallel()
	b, root := newBlobs(t)
	ctx := context.Background()
	d := put(t, b, "text/plain", "hello")
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("hello"))); d.Digest.String() != want || d.Size != 5 || d.MediaType != "text/plain" {
		t.Errorf("descriptor %+v", d)
	}
	if again := put(t, b, "text/plain", "hello"); again.Digest != d.Digest {
		t.Error("another digest the second time")
	}
	if err := b.Push(ctx, d, strings.NewReader("hello")); err != nil {
		t.Error(err)
	}
	if ok, err := b.Good(ctx, d); !ok || err != nil {
		t.Error(ok, err)
	}
	boom := errors.New("boom")
	if _, err := b.Put(ctx, "x", func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return boom }); !errors.Is(err, boom) {
		t.Error(err)
	}
	names, err := fs.Glob(root.FS(), "*")
	if err != nil || len(names) != 1 || names[0] != "blobs" {
		t.Errorf("left behind: %v %v", names, err)
	}
}

func TestBlobsRefuse(t *testing.T) {
	t.Parallel()
	b, root := newBlobs(t)
	ctx := context.Background()
	d := put(t, b, "text/plain", "hello")
	path := "blobs/sha256/" + d.Digest.Encoded()
	more, other := d, d
	more.Size++
	other.Digest = digest.FromString("other")

	for name, content := range map[string]string{"other": "jello", "longer": "hello!", "shorter": "hell", "empty": ""} {
		wantCode(t, b.Push(ctx, d, strings.NewReader(content)), image.CodeDigestMismatch)
		if ok, err := b.Good(ctx, d); !ok || err != nil {
			t.Errorf("%s: a refused push changed the blob: %v", name, err)
		}
		if err := root.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if ok, err := b.Good(ctx, d); ok || err != nil {
			t.Errorf("%s: good %v %v", name, ok, err)
		}
		_, err := image.ReadBlob(ctx, b, d, 100)
		wantCode(t, err, image.CodeDigestMismatch)
		put(t, b, "text/plain", "hello") // mends it
	}
	_, err := image.ReadBlob(ctx, b, more, 100)
	wantCode(t, err, image.CodeDigestMismatch)
	_, err = image.ReadBlob(ctx, b, other, 100)
	wantCode(t, err, image.CodeBlobMissing)
	_, err = image.ReadBlob(ctx, b, d, 4)
	wantCode(t, err, image.CodeTooLarge)
	for _, bad := range []string{"", "sha256:../../x", "sha256:abc", "md5:" + strings.Repeat("0", 32), "sha256:" + strings.Repeat("A", 64)} {
		_, err = b.Fetch(ctx, ocispec.Descriptor{Digest: digest.Digest(bad)})
		wantCode(t, err, image.CodeMalformed)
	}
	_, err = b.Fetch(ctx, ocispec.Descriptor{Digest: digest.SHA512.FromString("x")})
	wantCode(t, err, image.CodeUnsupported)
	_, err = b.Fetch(ctx, ocispec.Descriptor{Digest: d.Digest, Size: -1})
	wantCode(t, err, image.CodeMalformed)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := b.Push(cancelled, d, bytes.NewReader([]byte("hello"))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
