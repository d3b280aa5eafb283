// Package storetest holds the suite that every kind of bucket passes, and a bucket
// that fails on purpose.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
)

// Run checks everything that store.Bucket promises against the buckets that open
// makes: each call gives a new, empty one that ends with its test.
func Run(t *testing.T, open func(t *testing.T) store.Bucket) {
	t.Helper()
	tests := []struct {
		name string
		run  func(*testing.T, store.Bucket)
	}{
		{"an absent name does not exist", testAbsent},
		{"content comes back", testRoundTrip},
		{"exclusive never replaces", testExclusive},
		{"a failing source leaves the name as it was", testFailingSource},
		{"a cancelled context leaves the name as it was", testCancelled},
		{"bad names are refused", testBadNames},
		{"list is sorted and keeps to its prefix", testList},
		{"one of many exclusive writers wins", testRace},
		{"a reader never sees half an object", testWhole},
		{"publishing by digest", testPutDigest},
		{"copying by digest", testCopyDigest},
		{"markers", testMarkers},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

// Put writes content under name or ends the test.
func Put(t *testing.T, b store.Bucket, name, content string) {
	t.Helper()
	if err := b.Put(context.Background(), name, strings.NewReader(content), store.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Content reads name or ends the test.
func Content(t *testing.T, b store.Bucket, name string) string {
	t.Helper()
	r, info, err := b.Get(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != name || info.Size != int64(len(data)) || info.ModTime.IsZero() {
		t.Errorf("info of %s is %+v, content has %d bytes", name, info, len(data))
	}
	return string(data)
}

// Names lists everything in b.
func Names(t *testing.T, b store.Bucket, prefix string) []string {
	t.Helper()
	infos, err := b.List(context.Background(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}

func testAbsent(t *testing.T, b store.Bucket) {
	ctx := context.Background()
	if _, _, err := b.Get(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get in an empty bucket: %v", err)
	}
	if names := Names(t, b, ""); len(names) != 0 {
		t.Errorf("an empty bucket lists %q", names)
	}
	Put(t, b, "a/b", "x")
	for _, name := range []string{"a/c", "a/b/c", "b"} {
		if _, _, err := b.Get(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get %s: %v", name, err)
		}
	}
}

func testRoundTrip(t *testing.T, b store.Bucket) {
	big := strings.Repeat("0123456789abcdef", 3<<20/16) + "end"
	for name, content := range map[string]string{"empty": "", "one/two/three.txt": "hello", "big": big, "A b+c@d=é": "odd name"} {
		Put(t, b, name, content)
		if got := Content(t, b, name); got != content {
			t.Errorf("%s: %d bytes came back as %d", name, len(content), len(got))
		}
	}
	Put(t, b, "big", "small")
	if got := Content(t, b, "big"); got != "small" {
		t.Errorf("after replacing: %d bytes", len(got))
	}
}

func testExclusive(t *testing.T, b store.Bucket) {
	ctx := context.Background()
	o := store.PutOptions{Exclusive: true}
	if err := b.Put(ctx, "p/v/file", strings.NewReader("first"), o); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(ctx, "p/v/file", strings.NewReader("second"), o); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second exclusive Put: %v", err)
	}
	if got := Content(t, b, "p/v/file"); got != "first" {
		t.Errorf("content is %q", got)
	}
}

func testFailingSource(t *testing.T, b store.Bucket) {
	ctx := context.Background()
	broken := errors.New("the source broke")
	source := func() io.Reader { return io.MultiReader(strings.NewReader("half"), errReader{broken}) }
	for _, o := range []store.PutOptions{{}, {Exclusive: true}} {
		if err := b.Put(ctx, "absent", source(), o); !errors.Is(err, broken) {
			t.Errorf("Put %+v: %v", o, err)
		}
	}
	Put(t, b, "there", "old")
	if err := b.Put(ctx, "there", source(), store.PutOptions{}); !errors.Is(err, broken) {
		t.Errorf("Put: %v", err)
	}
	if got := Content(t, b, "there"); got != "old" {
		t.Errorf("content is %q", got)
	}
	if diff := cmp.Diff([]string{"there"}, Names(t, b, "")); diff != "" {
		t.Error(diff)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func testCancelled(t *testing.T, b store.Bucket) {
	ctx, cancel := context.WithCancel(context.Background())
	source := io.MultiReader(strings.NewReader("half"), funcReader(func() { cancel() }), strings.NewReader("rest"))
	if err := b.Put(ctx, "name", source, store.PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if names := Names(t, b, ""); len(names) != 0 {
		t.Errorf("bucket holds %q", names)
	}
	if _, err := b.List(ctx, ""); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("List: %v", err)
	}
}

type funcReader func()

func (f funcReader) Read([]byte) (int, error) { f(); return 0, io.EOF }

// BadNames are refused by every bucket.
var BadNames = []string{
	"", ".", "..", "/abs", "a//b", "a/", "a/../b", "../x", "a/./b", `a\b`, `..\x`, "a\nb", "a\x00b", "a\x7fb", "bad\xff",
	"c:/x", "a:stream", "trailing.", "trailing /x", " leading", "a\u202eb", "a\u2028b", "what?", "star*",
	strings.Repeat("x", 256), strings.Repeat("x/", 600) + "x", ".sello-tmp/x",
}

func testBadNames(t *testing.T, b store.Bucket) {
	ctx := context.Background()
	Put(t, b, "a/b", "x")
	for _, name := range BadNames {
		if err := b.Put(ctx, name, strings.NewReader("x"), store.PutOptions{}); gate.Code(err) != "store-name" {
			t.Errorf("Put %q: %v", name, err)
		}
		if _, _, err := b.Get(ctx, name); gate.Code(err) != "store-name" {
			t.Errorf("Get %q: %v", name, err)
		}
	}
	if diff := cmp.Diff([]string{"a/b"}, Names(t, b, "")); diff != "" {
		t.Error(diff)
	}
	if _, err := b.List(ctx, "no-slash"); err == nil {
		t.Error("List accepts a prefix without a slash at its end")
	}
}

func testList(t *testing.T, b store.Bucket) {
	for _, name := range []string{"b", "a/z", "a/b/c", "a.txt", "ab/c", "a/b.d"} {
		Put(t, b, name, name)
	}
	if diff := cmp.Diff([]string{"a.txt", "a/b.d", "a/b/c", "a/z", "ab/c", "b"}, Names(t, b, "")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a/b.d", "a/b/c", "a/z"}, Names(t, b, "a/")); diff != "" {
		t.Error(diff)
	}
	for _, none := range []string{"absent/", "a/b/c/", "b/"} {
		if names := Names(t, b, none); len(names) != 0 {
			t.Errorf("List %s gives %q", none, names)
		}
	}
	f, ok := b.(store.FolderLister)
	if !ok {
		return
	}
	for prefix, want := range map[string][]string{"": {"a", "ab"}, "a/": {"b"}, "absent/": nil, "b/": nil} {
		got, err := f.Folders(context.Background(), prefix)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Folders %q: %v %s", prefix, err, diff)
		}
	}
}

func testRace(t *testing.T, b store.Bucket) {
	var wins atomic.Int32
	var winner atomic.Value
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			content := strings.Repeat(fmt.Sprint(i), 100_000)
			err := b.Put(context.Background(), "x/y", strings.NewReader(content), store.PutOptions{Exclusive: true})
			switch {
			case err == nil:
				wins.Add(1)
				winner.Store(content)
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("Put: %v", err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Fatalf("%d writers won", wins.Load())
	}
	if Content(t, b, "x/y") != winner.Load() {
		t.Error("the content is not the winner's")
	}
}

func testWhole(t *testing.T, b store.Bucket) {
	contents := []string{strings.Repeat("a", 300_000), strings.Repeat("b", 200_000)}
	Put(t, b, "m", contents[0])
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(stop)
		for i := range 20 {
			if err := b.Put(context.Background(), "m", strings.NewReader(contents[i%2]), store.PutOptions{}); err != nil {
				t.Errorf("Put: %v", err)
			}
		}
	})
	for done := false; !done; {
		select {
		case <-stop:
			done = true
		default:
		}
		r, info, err := b.Get(context.Background(), "m")
		if err != nil {
			t.Errorf("Get: %v", err)
			break
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil || int64(len(data)) != info.Size || string(data) != contents[0] && string(data) != contents[1] {
			t.Errorf("read %d of %d bytes: %v", len(data), info.Size, err)
		}
	}
	wg.Wait()
}

// Open makes PutDigest's source of content.
func Open(content string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
}

// Sums are content's digests.
func Sums(content string) digest.Sums {
	s, _ := digest.Reader(bytes.NewReader([]byte(content)))
	return s
}

func testPutDigest(t *testing.T, b store.Bucket) {
	ctx := context.Background()
	put := func(name, want, content string) (store.Done, string) {
		done, err := store.PutDigest(ctx, b, name, Sums(want), Open(content))
		if err != nil && gate.Code(err) == "" {
			t.Errorf("PutDigest %s: %v", name, err)
		}
		return done, gate.Code(err)
	}
	steps := []struct {
		name, want, content string
		done                store.Done
		code                string
	}{
		{"f", "abc", "abc", store.Written, ""},
		{"f", "abc", "never read", store.AlreadyThere, ""},
		{"f", "abd", "abd", 0, "store-conflict"},
		{"f", "longer", "longer", 0, "store-conflict"},
		{"g", "abc", "abX", 0, "store-digest-mismatch"},
		{"g", "abc", "abcd", 0, "store-digest-mismatch"},
		{"g", "abc", "ab", 0, "store-digest-mismatch"},
		{"empty", "", "", store.Written, ""},
		{"empty", "", "", store.AlreadyThere, ""},
		{"../g", "abc", "abc", 0, "store-name"},
	}
	for _, s := range steps {
		if done, code := put(s.name, s.want, s.content); done != s.done || code != s.code {
			t.Errorf("PutDigest(%s, want %q, content %q) = %v, %q; want %v, %q", s.name, s.want, s.content, done, code, s.done, s.code)
		}
	}
	if diff := cmp.Diff([]string{"empty", "f"}, Names(t, b, "")); diff != "" {
		t.Error(diff)
	}
	if got := Content(t, b, "f"); got != "abc" {
		t.Errorf("f holds %q", got)
	}
}

func testCopyDigest(t *testing.T, b store.Bucket) {
	ctx := context.Background()
	big := strings.Repeat("0123456789abcdef", 1<<16)
	Put(t, b, "from/big", big)
	want := Sums(big)
	for _, done := range []store.Done{store.Written, store.AlreadyThere} {
		got, err := store.CopyDigest(ctx, b, "to/big", want, b, "from/big")
		if err != nil || got != done {
			t.Fatalf("CopyDigest = %v, %v; want %v", got, err, done)
		}
	}
	if Content(t, b, "to/big") != big {
		t.Error("the copy differs")
	}
	Put(t, b, "from/big", strings.Replace(big, "0", "1", 1))
	if _, err := store.CopyDigest(ctx, b, "to/other", want, b, "from/big"); gate.Code(err) != "store-digest-mismatch" {
		t.Errorf("a changed source: %v", err)
	}
	if _, err := store.CopyDigest(ctx, b, "to/other", want, b, "from/absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent source: %v", err)
	}
	if _, err := store.CopyDigest(ctx, b, "to/big", Sums("x"), b, "from/big"); gate.Code(err) != "store-conflict" {
		t.Errorf("a conflict: %v", err)
	}
	if diff := cmp.Diff([]string{"to/big"}, Names(t, b, "to/")); diff != "" {
		t.Error(diff)
	}
}

func testMarkers(t *testing.T, b store.Bucket) {
	ctx := context.Background()
	for _, v := range []string{"v1.4.2", "v1.3.9"} {
		if _, err := store.MoveMarkers(ctx, b, "p", v, "stable"); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"stable": "v1.4.2", "stable-1": "v1.4.2", "stable-1.4": "v1.4.2", "stable-1.3": "v1.3.9"} {
		if got := Content(t, b, "p/"+name+".txt"); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}
