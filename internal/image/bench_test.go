package image_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/pack"
)

// machineCode gives n bytes of real programs: this test program, over and over.
func machineCode(b testing.TB, n int) []byte {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		b.Fatal(err)
	}
	return bytes.Repeat(content, n/len(content)+1)[:n]
}

func bytesEntry(name string, content []byte) pack.Entry {
	return pack.Entry{Name: name, Size: int64(len(content)), Executable: true, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
}

// BenchmarkLayer makes a layer of 40 MB. The measure is what the bytes cost at least: a share for each core, hashed and
// compressed at the same level, and the output hashed, with nothing written.
func BenchmarkLayer(b *testing.B) {
	content := machineCode(b, 40<<20)
	b.Run("layer", func(b *testing.B) {
		blobs, _ := newBlobs(b)
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			makeLayer(b, blobs, bytesEntry("usr/bin/tool", content))
		}
	})
	b.Run("measure", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			var wait sync.WaitGroup
			share := (len(content) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
			for at := 0; at < len(content); at += share {
				part := content[at:min(at+share, len(content))]
				wait.Go(func() {
					z, err := gzip.NewWriterLevel(sha256.New(), 6)
					if err != nil {
						b.Error(err)
						return
					}
					if _, err := io.MultiWriter(z, sha256.New()).Write(part); err != nil {
						b.Error(err)
					}
					if err := z.Close(); err != nil {
						b.Error(err)
					}
				})
			}
			wait.Wait()
		}
	})
}

// BenchmarkKubernetesSized makes 30 images for 4 platforms, 40 MB each, 4 layers at a time, and reports the peak of what the Go runtime held.
func BenchmarkKubernetesSized(b *testing.B) {
	content := machineCode(b, 40<<20)
	b.SetBytes(30 * 4 * int64(len(content)))
	for b.Loop() {
		blobs, root := newBlobs(b)
		stop := make(chan struct{})
		peak := watchMemory(stop)
		group, ctx := errgroup.WithContext(context.Background())
		group.SetLimit(4)
		var mu sync.Mutex
		manifests := make([][]ocispec.Descriptor, 30)
		for n := range 30 {
			for _, arch := range []string{"amd64", "arm64", "ppc64le", "s390x"} {
				group.Go(func() error {
					name := fmt.Sprint(n, arch)
					layer, err := image.Layer(ctx, blobs, []pack.Entry{bytesEntry("usr/bin/tool", content), entry("etc/name", name)}, when)
					if err != nil {
						return err
					}
					out, err := image.Build(ctx, blobs, image.Spec{Platform: definition.Platform{OS: "linux", Arch: arch}, Created: when, Layers: []image.AddedLayer{{LayerDesc: layer}}})
					mu.Lock()
					defer mu.Unlock()
					manifests[n] = append(manifests[n], out.Manifest)
					return err
				})
			}
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
		for _, m := range manifests {
			makeIndex(b, blobs, m...)
		}
		close(stop)
		b.ReportMetric(float64(<-peak-uint64(len(content)))/(1<<20), "peak-MB")
		b.StopTimer()
		if err := root.RemoveAll("blobs"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// watchMemory gives the most memory that the Go runtime held until stop is closed.
func watchMemory(stop chan struct{}) chan uint64 {
	out := make(chan uint64, 1)
	go func() {
		var peak uint64
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.Sys-m.HeapReleased)
			select {
			case <-stop:
				tick.Stop()
				out <- peak
				return
			case <-tick.C:
			}
		}
	}()
	return out
}

// largeLayer has n files in folders of 100.
func largeLayer(t testing.TB, b *image.Blobs, n int) ocispec.Descriptor {
	t.Helper()
	var entries []pack.Entry
	for i := range n {
		entries = append(entries, entry(fmt.Sprintf("usr/share/doc/package-%04d/file-%02d", i/100, i%100), fmt.Sprint("content ", i)))
	}
	layer := makeLayer(t, b, entries...)
	return build(t, b, image.Spec{Layers: []image.AddedLayer{{LayerDesc: layer}}}).Manifest
}

func TestLayerOfManyFiles(t *testing.T) {
	t.Parallel()
	const n = 100_000
	b, _ := newBlobs(t)
	m := largeLayer(t, b, n)
	count := 0
	err := image.Files(context.Background(), b, m, image.Limits{}, func(f image.File) error { count++; return nil })
	if err != nil || count != n {
		t.Errorf("%d files, %v", count, err)
	}
	wantCode(t, image.Files(context.Background(), b, m, image.Limits{Entries: n}, func(image.File) error { return nil }), image.CodeLayerTooLarge)
}

func TestUnpackManyFiles(t *testing.T) {
	t.Parallel()
	const n = 5000
	b, _ := newBlobs(t)
	_, root, tree := unpacked(t, largeLayer(t, b, n), b)
	if want := 1 + 3 + n/100 + n; tree.Entries != want {
		t.Errorf("%d entries, not %d", tree.Entries, want)
	}
	if err := image.VerifyTree(context.Background(), root, tree); err != nil {
		t.Error(err)
	}
}

// BenchmarkManyFiles works on a layer of 100,000 files.
func BenchmarkManyFiles(b *testing.B) {
	blobs, _ := newBlobs(b)
	m := largeLayer(b, blobs, 100_000)
	ctx := context.Background()
	b.Run("Files", func(b *testing.B) {
		stop := make(chan struct{})
		peak := watchMemory(stop)
		for b.Loop() {
			if err := image.Files(ctx, blobs, m, image.Limits{}, func(image.File) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
		close(stop)
		b.ReportMetric(float64(<-peak)/(1<<20), "peak-MB")
	})
	b.Run("Unpack", func(b *testing.B) {
		for b.Loop() {
			unpacked(b, m, blobs)
		}
	})
	b.Run("VerifyTree", func(b *testing.B) {
		_, root, tree := unpacked(b, m, blobs)
		for b.Loop() {
			if err := image.VerifyTree(ctx, root, tree); err != nil {
				b.Fatal(err)
			}
		}
	})
}
