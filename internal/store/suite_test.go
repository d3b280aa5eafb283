package store_test

import (
	"testing"

	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

func TestFileBucket(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Bucket { return open(t, "./.sello/staging", t.TempDir()) })
}

func TestAbsoluteFileBucket(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Bucket { return open(t, fileURL(t.TempDir()+"/made/on/demand"), "") })
}

// The decorator for faults adds nothing of its own, and hides the capabilities, so that
// the paths without them are tried too.
func TestFaultWithoutFaults(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Bucket {
		return &storetest.Fault{Bucket: open(t, "./b", t.TempDir())}
	})
}

func TestMemoryBucket(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Bucket { return store.OpenMem() })
}

func mustDo(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
