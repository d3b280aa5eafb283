package store_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

func TestPermissionDenied(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	b := open(t, "./b", base)
	storetest.Put(t, b, "p/x", "y")
	mustDo(t, os.Chmod(filepath.Join(base, "b", "p", "x"), 0), os.Chmod(filepath.Join(base, "b", ".sello-tmp"), 0o555))
	unprivileged(t, func() {
		if _, _, err := b.Get(context.Background(), "p/x"); gate.Code(err) != "store-permission" {
			t.Errorf("Get: %v", err)
		}
		err := b.Put(context.Background(), "p/new", strings.NewReader("z"), store.PutOptions{})
		if gate.Code(err) != "store-permission" || !strings.Contains(err.Error(), filepath.Join(base, "b", "p", "new")) {
			t.Errorf("Put: %v", err)
		}
	})
}

// unprivileged runs f in a thread that has no rights beyond those of a user; a root's rights end with its file-system uid.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b, err := store.Open(fileURL(dir), "")
	mustDo(t, err)
	storetest.Put(t, b, "p/small", "fits")
	big := io.LimitReader(zeros{}, 10<<20)
	if err := b.Put(context.Background(), "p/big", big, store.PutOptions{}); gate.Code(err) != "store-no-space" {
		t.Errorf("Put: %v", err)
	}
	if names := storetest.Names(t, b, ""); len(names) != 1 {
		t.Errorf("bucket holds %q", names)
	}
	storetest.Put(t, b, "p/after", "the space of the failed one is free again")
	mustDo(t, b.(io.Closer).Close())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
