package store_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

func TestPutDigestLosesARace(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		other, code string
		done        store.Done
	}{{"mine", "", store.AlreadyThere}, {"other", "store-conflict", 0}} {
		under := open(t, "./b", t.TempDir())
		b := &storetest.Fault{Bucket: under, BeforePut: func(name string) error {
			return under.Put(context.Background(), name, strings.NewReader(test.other), store.PutOptions{})
		}}
		done, err := store.PutDigest(context.Background(), b, "x", storetest.Sums("mine"), storetest.Open("mine"))
		if done != test.done || gate.Code(err) != test.code {
			t.Errorf("somebody wrote %q first: %v, %v", test.other, done, err)
		}
	}
}

func TestPutDigestAgainAfterALostAnswer(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	b := &storetest.Fault{Bucket: open(t, "./b", t.TempDir()), AfterPut: func(string) error { return lost }}
	if _, err := store.PutDigest(context.Background(), b, "x", storetest.Sums("mine"), storetest.Open("mine")); !errors.Is(err, lost) {
		t.Errorf("first: %v", err)
	}
	done, err := store.PutDigest(context.Background(), b, "x", storetest.Sums("mine"), storetest.Open("mine"))
	if done != store.AlreadyThere || err != nil {
		t.Errorf("again: %v, %v", done, err)
	}
}

func TestPutDigestNeedsADigest(t *testing.T) {
	t.Parallel()
	b := open(t, "./b", t.TempDir())
	if _, err := store.PutDigest(context.Background(), b, "x", digest.Sums{Size: 1}, storetest.Open("x")); err == nil {
		t.Error("went through without a digest")
	}
	wrong512 := storetest.Sums("x")
	wrong512.SHA512 = storetest.Sums("y").SHA512
	if _, err := store.PutDigest(context.Background(), b, "x", wrong512, storetest.Open("x")); gate.Code(err) != "store-digest-mismatch" {
		t.Errorf("a wrong SHA-512: %v", err)
	}
}

// A finished file on the same file system gets a second name; where that cannot be, it is copied and compared as any other.
func TestFinishedFileIsLinked(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, content string, mode os.FileMode) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "made")
		if err := errors.Join(os.WriteFile(name, []byte(content), mode), os.Chmod(name, mode)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, test := range map[string]struct {
		content string
		mode    os.FileMode
		before  func(t *testing.T, b store.Bucket)
		opened  func(t *testing.T, name string)
		done    store.Done
		code    string
		linked  bool
	}{
		"linked":           {content: "mine", mode: 0o644, done: store.Written, linked: true},
		"another mode":     {content: "mine", mode: 0o600, done: store.Written, linked: runtime.GOOS == "windows"},
		"another size":     {content: "longer", mode: 0o644, code: "store-digest-mismatch"},
		"there already":    {content: "mine", mode: 0o644, before: func(t *testing.T, b store.Bucket) { storetest.Put(t, b, "a/x", "mine") }, done: store.AlreadyThere},
		"there with other": {content: "mine", mode: 0o644, before: func(t *testing.T, b store.Bucket) { storetest.Put(t, b, "a/x", "else") }, code: "store-conflict"},
		"replaced since it was opened": {content: "mine", mode: 0o644, opened: func(t *testing.T, name string) {
			if err := os.Rename(write(t, "evil", 0o644), name); err != nil {
				t.Skipf("an open file cannot be replaced here: %v", err)
			}
		}, done: store.Written},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, made := t.TempDir(), write(t, test.content, test.mode)
			b := open(t, "file://"+filepath.ToSlash(dir), "")
			if test.before != nil {
				test.before(t, b)
			}
			done, err := store.PutDigest(t.Context(), b, "a/x", storetest.Sums("mine"), func() (io.ReadCloser, error) {
				f, err := os.Open(made)
				if err == nil && test.opened != nil {
					test.opened(t, made)
				}
				return store.Finished{File: f}, err
			})
			if done != test.done || gate.Code(err) != test.code {
				t.Fatalf("%v, %v", done, err)
			}
			if done == 0 {
				return
			}
			if got := storetest.Content(t, b, "a/x"); got != "mine" {
				t.Errorf("%q", got)
			}
			one, err1 := os.Stat(made)
			two, err2 := os.Stat(filepath.Join(dir, "a", "x"))
			if err := errors.Join(err1, err2); err != nil || os.SameFile(one, two) != test.linked {
				t.Errorf("linked: %v, want %v; %v", !test.linked, test.linked, err)
			}
		})
	}
}

func TestEndlessSourceIsCutOff(t *testing.T) {
	t.Parallel()
	b := open(t, "./b", t.TempDir())
	endless := func() (io.ReadCloser, error) { return io.NopCloser(endlessReader{}), nil }
	if _, err := store.PutDigest(context.Background(), b, "x", storetest.Sums("short"), endless); gate.Code(err) != "store-digest-mismatch" {
		t.Errorf("PutDigest: %v", err)
	}
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }

func TestCopyBetweenFolders(t *testing.T) {
	t.Parallel()
	from, to := open(t, "./staging", t.TempDir()), open(t, "./production", t.TempDir())
	storetest.Put(t, from, "a/b", "content")
	done, err := store.CopyDigest(context.Background(), to, "c/d", storetest.Sums("content"), from, "a/b")
	if done != store.Written || err != nil {
		t.Fatalf("CopyDigest = %v, %v", done, err)
	}
	if got := storetest.Content(t, to, "c/d"); got != "content" {
		t.Errorf("copied %q", got)
	}
	if err := to.(store.Copier).CopyFrom(context.Background(), "e", &storetest.Fault{Bucket: from}, "a/b", storetest.Sums("content"), store.PutOptions{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CopyFrom another kind: %v", err)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	under := open(t, "./b", t.TempDir())
	storetest.Put(t, under, "p/old", "old")
	d := store.NewDryRun(under)
	for _, step := range []struct {
		name, content, code string
		done                store.Done
	}{{"p/new", "new", "", store.Written}, {"p/old", "old", "", store.AlreadyThere}, {"p/old", "new", "store-conflict", 0}} {
		done, err := store.PutDigest(ctx, d, step.name, storetest.Sums(step.content), storetest.Open(step.content))
		if done != step.done || gate.Code(err) != step.code {
			t.Errorf("%s %q: %v, %v", step.name, step.content, done, err)
		}
	}
	if _, err := store.MoveMarkers(ctx, d, "p", "v1.0.0-rc.1", "candidate"); err != nil {
		t.Error(err)
	}
	if err := d.Put(ctx, "p/new", strings.NewReader("x"), store.PutOptions{Exclusive: true}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second exclusive Put: %v", err)
	}
	if err := d.Put(ctx, "../x", strings.NewReader("x"), store.PutOptions{}); gate.Code(err) != "store-name" {
		t.Errorf("a bad name: %v", err)
	}
	var got []string
	for _, w := range d.Writes() {
		got = append(got, w.Name)
	}
	if diff := cmp.Diff([]string{"p/new", "p/latest-1.0.txt", "p/latest-1.txt", "p/latest.txt"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(storetest.Sums("new"), d.Writes()[0].Sums); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"p/old"}, storetest.Names(t, under, "")); diff != "" {
		t.Errorf("the dry run wrote: %s", diff)
	}
}
