package tuf_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/tuf"
	"github.com/sello-release/sello/internal/tuf/tuftest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFetch(t *testing.T) {
	r, root := tuftest.New(t)
	soon := time.Now().AddDate(0, 0, 1)
	r.Publish(1, soon, []byte("one"))
	o := tuf.Options{Mirror: r.Serve(), Root: root, Cache: t.TempDir()}
	get := func(o tuf.Options) (string, string) {
		data, err := tuf.Fetch(context.Background(), o, tuf.TrustedRoot)
		return string(data), gate.Code(err)
	}
	if got, code := get(o); got != "one" || code != "" {
		t.Fatalf("%q, %s", got, code)
	}
	r.Publish(2, soon, []byte("two"))
	if got, code := get(o); got != "two" || code != "" {
		t.Fatalf("after an update: %q, %s", got, code)
	}

	// The root is handed on: the old key names a new one.
	_, key := tuftest.NewKey(t)
	must(t, r.Root.Signed.AddKey(key, "root"))
	r.Root.Signed.Version = 2
	r.Write("2.root.json", r.Root, r.Key)
	r.Publish(3, soon, []byte("three"))
	if got, code := get(o); got != "three" || code != "" {
		t.Fatalf("after the root was handed on: %q, %s", got, code)
	}
	if _, err := tuf.Fetch(context.Background(), o, "other.json"); gate.Code(err) != "tuf-target-missing" {
		t.Errorf("a target that is not there: %v", err)
	}

	// A mirror that gives back what was current before.
	r.Publish(1, soon, []byte("one"))
	if _, code := get(o); code != "tuf-rollback" {
		t.Errorf("an older version after a newer: %q", code)
	}
	if got, code := get(tuf.Options{Mirror: o.Mirror, Root: root, Cache: t.TempDir()}); got != "one" {
		t.Errorf("who has seen nothing newer cannot know: %q, %s", got, code)
	}
}

func TestFetchRefuses(t *testing.T) {
	soon := time.Now().AddDate(0, 0, 1)
	other, otherRoot := tuftest.New(t)
	other.Publish(1, soon, []byte("other"))
	for name, c := range map[string]struct {
		change func(*tuftest.Repository, *tuf.Options)
		code   string
	}{
		"expired":                 {func(r *tuftest.Repository, _ *tuf.Options) { r.Publish(2, time.Now().AddDate(0, 0, -1), []byte("old")) }, "tuf-expired"},
		"another instance's root": {func(_ *tuftest.Repository, o *tuf.Options) { o.Root = otherRoot }, "tuf-unsigned"},
		"signed by another key": {func(r *tuftest.Repository, _ *tuf.Options) {
			r.Key, _ = tuftest.NewKey(t)
			r.Publish(2, soon, []byte("evil"))
		}, "tuf-unsigned"},
		"a root by itself": {func(r *tuftest.Repository, _ *tuf.Options) {
			r.Root.Signed.Version = 2
			key, _ := tuftest.NewKey(t)
			r.Write("2.root.json", r.Root, key)
		}, "tuf-unsigned"},
		"another content": {func(r *tuftest.Repository, _ *tuf.Options) { tamper(t, filepath.Join(r.Dir, "targets")) }, "tuf-corrupt"},
		"too much": {func(r *tuftest.Repository, _ *tuf.Options) {
			must(t, os.WriteFile(filepath.Join(r.Dir, "timestamp.json"), []byte(strings.Repeat(" ", 20<<20)), 0o600))
		}, "tuf-corrupt"},
		"not JSON": {func(r *tuftest.Repository, _ *tuf.Options) {
			must(t, os.WriteFile(filepath.Join(r.Dir, "timestamp.json"), []byte("<html>"), 0o600))
		}, "tuf-corrupt"},
		"nothing there": {func(r *tuftest.Repository, _ *tuf.Options) {
			must(t, os.Remove(filepath.Join(r.Dir, "timestamp.json")))
		}, "tuf-unreachable"},
		"nobody there":             {func(_ *tuftest.Repository, o *tuf.Options) { o.Mirror = "http://127.0.0.1:1" }, "tuf-unreachable"},
		"no URL":                   {func(_ *tuftest.Repository, o *tuf.Options) { o.Mirror = "mirror" }, "tuf-unreachable"},
		"no root for a mirror":     {func(_ *tuftest.Repository, o *tuf.Options) { o.Root = nil }, "tuf-root"},
		"a root that is something": {func(_ *tuftest.Repository, o *tuf.Options) { o.Root = []byte(`{"signed":{"_type":"targets"}}`) }, "tuf-root"},
	} {
		t.Run(name, func(t *testing.T) {
			r, root := tuftest.New(t)
			r.Publish(1, soon, []byte("one"))
			o := tuf.Options{Mirror: r.Serve(), Root: root, Cache: t.TempDir()}
			c.change(r, &o)
			if data, err := tuf.Fetch(context.Background(), o, tuf.TrustedRoot); gate.Code(err) != c.code {
				t.Errorf("%q, %v; want %s", data, err, c.code)
			}
		})
	}
}

// tamper changes each file of a folder.
func tamper(t *testing.T, dir string) {
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		must(t, os.WriteFile(filepath.Join(dir, e.Name()), []byte("xxx"), 0o600))
	}
}
