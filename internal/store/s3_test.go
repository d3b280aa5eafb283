package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

// TestS3Bucket runs the suite over a real S3 server, in buckets of their own and in folders of one.
func TestS3Bucket(t *testing.T) {
	s := storetest.StartS3(t)
	var n atomic.Int32
	storetest.Run(t, func(t *testing.T) store.Bucket {
		return open(t, s.Make(t, fmt.Sprintf("bucket-%d", n.Add(1))), "")
	})
	shared := s.Make(t, "shared")
	storetest.Run(t, func(t *testing.T) store.Bucket {
		return open(t, fmt.Sprintf("%s&prefix=folder-%d/", shared, n.Add(1)), "")
	})
}

// big is content that goes up in several parts.
func big(seed byte) []byte {
	data := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
	data[0] = seed
	return data
}

func TestS3LargeObjects(t *testing.T) {
	s := storetest.StartS3(t)
	ctx := context.Background()
	b := open(t, s.Make(t, "one"), "")
	other := open(t, s.Make(t, "two"), "")
	var wg sync.WaitGroup
	var won atomic.Int32
	for i := range 3 {
		wg.Go(func() {
			err := b.Put(ctx, "p/race", bytes.NewReader(big(byte(i))), store.PutOptions{Exclusive: true})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of the writers won", won.Load())
	}
	content := big(9)
	mustDo(t, b.Put(ctx, "p/big", bytes.NewReader(content), store.PutOptions{}))
	want, err := digest.Reader(bytes.NewReader(content))
	mustDo(t, err)
	for _, to := range []store.Bucket{b, other} {
		copier := to.(store.Copier)
		mustDo(t, copier.CopyFrom(ctx, "q r/c+p&y=é", b, "p/big", want, store.PutOptions{Exclusive: true}))
		if got := storetest.Content(t, to, "q r/c+p&y=é"); got != string(content) {
			t.Error("the copy differs")
		}
		err := copier.CopyFrom(ctx, "q r/c+p&y=é", b, "p/big", want, store.PutOptions{Exclusive: true})
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("a copy to a name that is taken: %v", err)
		}
		wrong, _ := digest.Reader(bytes.NewReader(big(8)))
		if err := copier.CopyFrom(ctx, "wrong", b, "p/big", wrong, store.PutOptions{Exclusive: true}); gate.Code(err) != "store-digest-mismatch" {
			t.Errorf("a copy of other bytes: %v", err)
		}
		if _, _, err := to.Get(ctx, "wrong"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("something of the wrong copy is there: %v", err)
		}
	}
}

// A writer that is killed in the middle leaves nothing under the name, and what was there.
func TestS3WriterKilled(t *testing.T) {
	s := storetest.StartS3(t)
	b := open(t, s.Make(t, "bucket"), "")
	storetest.Put(t, b, "p/old", "old")
	for _, name := range []string{"p/new", "p/old"} {
		ctx, cancel := context.WithCancel(context.Background())
		content := big(0)
		half := io.MultiReader(bytes.NewReader(content[:18<<20]), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, errors.New("killed")
		}))
		if err := b.Put(ctx, name, half, store.PutOptions{}); err == nil {
			t.Error("half an object was put")
		}
	}
	if diff := cmp.Diff([]string{"p/old"}, storetest.Names(t, b, "")); diff != "" {
		t.Error(diff)
	}
	if got := storetest.Content(t, b, "p/old"); got != "old" {
		t.Errorf("old holds %d bytes", len(got))
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Of two releasers at once, the newer version's markers stay.
func TestS3MarkerRace(t *testing.T) {
	s := storetest.StartS3(t)
	u := s.Make(t, "bucket")
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := store.MoveMarkers(ctx, open(t, u, ""), "p", fmt.Sprintf("v1.0.%d", i), "stable"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b := open(t, u, "")
	for _, marker := range store.Markers("v1.0.7", "stable") {
		if got := storetest.Content(t, b, "p/"+marker); got != "v1.0.7" {
			t.Errorf("%s holds %s", marker, got)
		}
	}
	swap := b.(store.Swapper)
	r, _, version, err := swap.GetVersion(ctx, "p/stable.txt")
	mustDo(t, err)
	mustDo(t, r.Close(), b.Put(ctx, "p/stable.txt", strings.NewReader("v2.0.0"), store.PutOptions{}))
	for _, at := range []string{version, ""} {
		if err := swap.Swap(ctx, "p/stable.txt", at, strings.NewReader("v1.0.8"), store.PutOptions{}); !errors.Is(err, store.ErrChanged) {
			t.Errorf("a swap at %q: %v", at, err)
		}
	}
	if got := storetest.Content(t, b, "p/stable.txt"); got != "v2.0.0" {
		t.Errorf("stable.txt holds %s", got)
	}
}

// use calls everything that asks a bucket for something, and compares the codes.
func use(t *testing.T, b store.Bucket, code string) {
	t.Helper()
	ctx := context.Background()
	var wg sync.WaitGroup
	for what, do := range map[string]func() error{
		"Get":       func() error { _, _, err := b.Get(ctx, "p/x"); return err },
		"List":      func() error { _, err := b.List(ctx, "p/"); return err },
		"Folders":   func() error { _, err := b.(store.FolderLister).Folders(ctx, ""); return err },
		"Put":       func() error { return b.Put(ctx, "p/x", strings.NewReader("x"), store.PutOptions{}) },
		"exclusive": func() error { return b.Put(ctx, "p/y", strings.NewReader("x"), store.PutOptions{Exclusive: true}) },
	} {
		wg.Go(func() {
			err := do()
			if gate.Code(err) != code {
				t.Errorf("%s: %v; want code %s", what, err, code)
				return
			}
			var r *gate.Refusal
			if errors.As(err, &r); r.Fix == "" || strings.Contains(err.Error(), storetest.S3Secret) {
				t.Errorf("%s: a refusal without a fix, or with a secret: %v", what, err)
			}
		})
	}
	wg.Wait()
}

func TestS3Refusals(t *testing.T) {
	s := storetest.StartS3(t)
	good := s.Make(t, "bucket")
	t.Run("missing bucket", func(t *testing.T) { use(t, open(t, s.URL("absent"), ""), "store-bucket-missing") })
	t.Run("wrong secret", func(t *testing.T) {
		t.Setenv("AWS_SECRET_ACCESS_KEY", "another-secret-value")
		use(t, open(t, good, ""), "store-permission")
	})
	t.Run("wrong key", func(t *testing.T) {
		t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
		use(t, open(t, good, ""), "store-permission")
	})
	t.Run("no credentials", func(t *testing.T) {
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		use(t, open(t, good, ""), "store-unreachable")
	})
	t.Run("no region", func(t *testing.T) {
		t.Setenv("AWS_REGION", "")
		use(t, open(t, "s3://bucket", ""), "store-unreachable")
	})
	t.Run("endpoint down", func(t *testing.T) {
		s.Kill()
		use(t, open(t, good, ""), "store-unreachable")
	})
}

// fake serves what is said to be an S3 server.
func fake(t *testing.T, h http.HandlerFunc) store.Bucket {
	t.Helper()
	for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "hidden-secret", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		t.Setenv(k, v)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return open(t, "s3://bucket?region=us-east-1&use_path_style=true&endpoint="+url.QueryEscape(server.URL), "")
}

func TestStoreThatIgnoresConditions(t *testing.T) {
	b := fake(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"1"`)
	})
	err := b.Put(context.Background(), "p/x", strings.NewReader("x"), store.PutOptions{Exclusive: true})
	if gate.Code(err) != "store-no-conditions" {
		t.Errorf("Put: %v", err)
	}
	if _, err := store.MoveMarkers(context.Background(), b, "p", "v1.0.0", "stable"); err == nil {
		t.Error("a marker was moved")
	}
}

func TestStoreThatIsNone(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a web server without the page": http.NotFound,
		"a broken gateway":              func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMovedPermanently) },
	} {
		t.Run(name, func(t *testing.T) { use(t, fake(t, h), "store-unreachable") })
	}
}

func TestStoreThatNeverAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	mustDo(t, err)
	t.Cleanup(func() { l.Close() })
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
	b := open(t, "s3://bucket?region=us-east-1&use_path_style=true&endpoint=http://"+l.Addr().String(), "")
	store.SetTimes(b, 200*time.Millisecond)
	start := time.Now()
	use(t, b, "store-unreachable")
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestStoreThatStopsInTheMiddle(t *testing.T) {
	stop := make(chan struct{})
	b := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = w.Write([]byte("some"))
		w.(http.Flusher).Flush()
		<-stop
	})
	defer close(stop)
	store.SetTimes(b, 300*time.Millisecond)
	r, _, err := b.Get(context.Background(), "p/x")
	mustDo(t, err)
	defer r.Close()
	if _, err := io.ReadAll(r); gate.Code(err) != "store-unreachable" {
		t.Errorf("Read: %v", err)
	}
}

func TestS3FileChangedBelowTheServer(t *testing.T) {
	s := storetest.StartS3(t)
	b := open(t, s.Make(t, "bucket"), "")
	storetest.Put(t, b, "p/x", "good")
	mustDo(t, os.WriteFile(s.Path("bucket", "p/x"), []byte("evil"), 0o644))
	r, _, err := b.Get(context.Background(), "p/x")
	mustDo(t, err)
	defer r.Close()
	if _, err := io.ReadAll(r); gate.Code(err) != "store-object-corrupt" {
		t.Errorf("Read: %v", err)
	}
}

func TestScrub(t *testing.T) {
	t.Setenv("AZURE_STORAGE_KEY", "c2VjcmV0LWtleQ==")
	got := store.Secrets(errors.New(`Put "https://x.example/c/n?sv=1&sig=abc%3D": bad key c2VjcmV0LWtleQ==`))
	if strings.Contains(got, "sig=") || strings.Contains(got, "c2Vj") || !strings.Contains(got, "https://x.example/c/n?…") {
		t.Error(got)
	}
}

// What the store's owner sees: names are kept, and nothing else but the probe is there.
func TestS3Files(t *testing.T) {
	s := storetest.StartS3(t)
	b := open(t, s.Make(t, "bucket")+"&prefix=releases/", "")
	mustDo(t, b.Put(context.Background(), "p/v1.0.0/x.txt", strings.NewReader("x"), store.PutOptions{Exclusive: true}))
	var found []string
	mustDo(t, filepath.WalkDir(filepath.Join(s.Root, "bucket"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(filepath.Join(s.Root, "bucket"), p)
			found = append(found, filepath.ToSlash(rel))
		}
		return err
	}))
	if diff := cmp.Diff([]string{"releases/.sello-tmp/conditions", "releases/p/v1.0.0/x.txt"}, found); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"p/v1.0.0/x.txt"}, storetest.Names(t, b, "")); diff != "" {
		t.Error(diff)
	}
	if folders, err := b.(store.FolderLister).Folders(context.Background(), ""); err != nil || len(folders) != 1 {
		t.Errorf("%q %v", folders, err)
	}
}
