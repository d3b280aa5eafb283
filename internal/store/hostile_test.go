//go:build unix

package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

// hostile makes a bucket with content that somebody else put there, and a file outside that must stay as it is.
func hostile(t *testing.T) (b store.Bucket, root, outside string) {
	t.Helper()
	base := t.TempDir()
	root = filepath.Join(base, "bucket")
	outside = filepath.Join(base, "outside")
	mustDo(t, os.MkdirAll(filepath.Join(root, "p"), 0o755), os.MkdirAll(outside, 0o755))
	mustDo(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
	t.Cleanup(func() {
		entries, err := os.ReadDir(outside)
		data, _ := os.ReadFile(filepath.Join(outside, "secret"))
		if err != nil || len(entries) != 1 || string(data) != "secret" {
			t.Errorf("the folder outside was touched: %v %v %q", entries, err, data)
		}
	})
	return open(t, "./bucket", base), root, outside
}

func TestLinksNeverLeadOut(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b, root, outside := hostile(t)
	mustDo(t,
		os.Symlink(outside, filepath.Join(root, "p", "abs")),
		os.Symlink("../../outside", filepath.Join(root, "p", "rel")),
		os.Symlink("../../outside/secret", filepath.Join(root, "p", "file")),
		os.Symlink(outside+"/new", filepath.Join(root, "p", "dangling")),
	)
	for name, code := range map[string]string{
		"p/abs/secret": "store-escape", "p/rel/secret": "store-escape", "p/file": "store-not-a-file", "p/dangling": "store-not-a-file",
		"p/abs": "store-not-a-file",
	} {
		if _, _, err := b.Get(ctx, name); gate.Code(err) != code {
			t.Errorf("Get %s: %v; want %s", name, err, code)
		}
		put := b.Put(ctx, name, strings.NewReader("evil"), store.PutOptions{})
		if gate.Code(put) != code {
			t.Errorf("Put %s: %v; want %s", name, put, code)
		}
		if err := b.Put(ctx, name, strings.NewReader("evil"), store.PutOptions{Exclusive: true}); err == nil {
			t.Errorf("exclusive Put %s went through", name)
		}
	}
	if _, err := b.List(ctx, "p/"); gate.Code(err) != "store-not-a-file" {
		t.Errorf("List: %v", err)
	}
	if _, err := b.List(ctx, "p/abs/"); gate.Code(err) != "store-not-a-file" && gate.Code(err) != "store-escape" {
		t.Errorf("List behind a link: %v", err)
	}
}

func TestBucketItselfIsALinkOut(t *testing.T) {
	t.Parallel()
	base, outside := t.TempDir(), t.TempDir()
	mustDo(t, os.Symlink(outside, filepath.Join(base, ".sello")))
	b := open(t, "./.sello/staging", base)
	err := b.Put(context.Background(), "x", strings.NewReader("y"), store.PutOptions{})
	if gate.Code(err) != "store-escape" {
		t.Errorf("Put: %v", err)
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Errorf("the folder outside holds %v", entries)
	}
}

func TestTemporaryFolderIsALinkOut(t *testing.T) {
	t.Parallel()
	b, root, outside := hostile(t)
	mustDo(t, os.Symlink(outside, filepath.Join(root, ".sello-tmp")))
	if err := b.Put(context.Background(), "x", strings.NewReader("y"), store.PutOptions{}); gate.Code(err) != "store-escape" {
		t.Errorf("Put: %v", err)
	}
}

func TestPipesDoNotBlock(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b, root, _ := hostile(t)
	mustDo(t, syscall.Mkfifo(filepath.Join(root, "p", "pipe"), 0o644))
	if _, _, err := b.Get(ctx, "p/pipe"); gate.Code(err) != "store-not-a-file" {
		t.Errorf("Get: %v", err)
	}
	if _, err := b.List(ctx, "p/"); gate.Code(err) != "store-not-a-file" {
		t.Errorf("List: %v", err)
	}
	if _, err := store.PutDigest(ctx, b, "p/pipe", storetest.Sums("x"), storetest.Open("x")); gate.Code(err) != "store-not-a-file" {
		t.Errorf("PutDigest: %v", err)
	}
}

func TestListRefusesNamesItCouldNotWrite(t *testing.T) {
	t.Parallel()
	b, root, _ := hostile(t)
	mustDo(t, os.WriteFile(filepath.Join(root, "p", "line\nbreak"), nil, 0o644))
	_, err := b.List(context.Background(), "p/")
	if gate.Code(err) != "store-name" || strings.Contains(err.Error(), "line\nbreak") {
		t.Errorf("List: %v", err)
	}
}

func TestModesDoNotDependOnUmask(t *testing.T) {
	// Not parallel: the umask belongs to the process.
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	base := t.TempDir()
	b := open(t, fileURL(filepath.Join(base, "deep", "bucket")), "")
	storetest.Put(t, b, "p/v/file", "x")
	for path, want := range map[string]os.FileMode{"deep": 0o755, "deep/bucket": 0o755, "deep/bucket/p": 0o755, "deep/bucket/p/v": 0o755, "deep/bucket/p/v/file": 0o644} {
		st, err := os.Stat(filepath.Join(base, path))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, st.Mode(), err, want)
		}
	}
}

func TestSweepLeavesWhatIsInUse(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b, root, _ := hostile(t)
	storetest.Put(t, b, "p/kept", "x")
	dir := filepath.Join(root, ".sello-tmp")
	mustDo(t, os.WriteFile(filepath.Join(dir, "abandoned"), nil, 0o644), os.WriteFile(filepath.Join(dir, "fresh"), nil, 0o644))
	old := time.Now().Add(-48 * time.Hour)
	mustDo(t, os.Chtimes(filepath.Join(dir, "abandoned"), old, old), os.Chtimes(filepath.Join(root, "p", "kept"), old, old))
	n, err := b.(store.Sweeper).Sweep(ctx, 24*time.Hour)
	if n != 1 || err != nil {
		t.Errorf("Sweep = %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "fresh")); err != nil {
		t.Error(err)
	}
	if got := storetest.Content(t, b, "p/kept"); got != "x" {
		t.Errorf("kept holds %q", got)
	}
}

func TestNothingTemporaryIsLeft(t *testing.T) {
	t.Parallel()
	b, root, _ := hostile(t)
	storetest.Put(t, b, "a", "x")
	_ = b.Put(context.Background(), "a", strings.NewReader("y"), store.PutOptions{Exclusive: true})
	_, _ = store.PutDigest(context.Background(), b, "b", storetest.Sums("x"), storetest.Open("y"))
	entries, err := os.ReadDir(filepath.Join(root, ".sello-tmp"))
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestReadOnlyFileSystemAndErrnos(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for errno, code := range map[error]string{
		unix.ENOSPC: "store-no-space", unix.EDQUOT: "store-no-space", unix.EACCES: "store-permission", unix.EPERM: "store-permission", unix.EROFS: "store-permission",
	} {
		b := open(t, "./b", t.TempDir())
		err := b.Put(ctx, "x", failing{&os.PathError{Op: "write", Path: "x", Err: errno}}, store.PutOptions{})
		if gate.Code(err) != code {
			t.Errorf("%v: %v; want %s", errno, err, code)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
