package pack_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/sello-release/sello/internal/pack"
)

// programBytes gives real input: this test program itself, several MB of machine code.
func programBytes(b *testing.B) []byte {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		b.Fatal(err)
	}
	return bytes.Repeat(content, 4)
}

func opens(content []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
}

func BenchmarkWrite(b *testing.B) {
	content := programBytes(b)
	for _, format := range []string{pack.TarGz, pack.Zip} {
		b.Run(format, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			entries := []pack.Entry{{Name: "program", Size: int64(len(content)), Open: opens(content)}}
			var out count
			for b.Loop() {
				out = 0
				if err := pack.Write(context.Background(), &out, entries, pack.Options{Format: format, Time: when}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(out)/float64(len(content)), "ratio")
		})
	}
	b.Run("standard gzip", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		var out count
		for b.Loop() {
			out = 0
			z := gzip.NewWriter(&out)
			if _, err := z.Write(content); err != nil {
				b.Fatal(err)
			}
			if err := z.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(out)/float64(len(content)), "ratio")
	})
}

func BenchmarkWriteSmallFiles(b *testing.B) {
	content := []byte(prose(1, 4000))
	var entries []pack.Entry
	for i := range 2000 {
		entries = append(entries, pack.Entry{Name: fmt.Sprintf("f%d", i), Size: int64(len(content)), Open: opens(content)})
	}
	for _, format := range []string{pack.TarGz, pack.Zip} {
		b.Run(format, func(b *testing.B) {
			b.SetBytes(int64(len(content) * len(entries)))
			for b.Loop() {
				if err := pack.Write(context.Background(), io.Discard, entries, pack.Options{Format: format, Time: when}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWalk(b *testing.B) {
	content := programBytes(b)
	for _, format := range []string{pack.TarGz, pack.Zip} {
		b.Run(format, func(b *testing.B) {
			archive := write(b, []pack.Entry{{Name: "program", Size: int64(len(content)), Open: opens(content)}}, pack.Options{Format: format})
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				if err := walk(archive, format, pack.Limits{}, ignore); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMemory packs and hashes 2 GiB and 4 GiB out of nothing into a file, and reports the peak of what the Go runtime held.
func BenchmarkMemory(b *testing.B) {
	content := programBytes(b)
	for _, size := range []int64{2 << 30, 4 << 30} {
		b.Run(fmt.Sprintf("%d GiB", size>>30), func(b *testing.B) {
			b.SetBytes(size)
			dir, err := os.OpenRoot(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer dir.Close()
			runtime.GC()
			var peak uint64
			entries := []pack.Entry{{Name: "big", Size: size, Open: func() (io.ReadCloser, error) {
				return io.NopCloser(io.LimitReader(&endless{content: content, each: func() {
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					peak = max(peak, m.Sys-m.HeapReleased)
				}}, size)), nil
			}}}
			for b.Loop() {
				_, err := pack.ToFile(dir, "big.tar.gz", func(w io.Writer) error {
					return pack.Write(context.Background(), w, entries, pack.Options{Format: pack.TarGz, Time: when})
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
		})
	}
}

// endless repeats content.
type endless struct {
	content []byte
	at      int
	each    func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.at == len(e.content) {
		e.at = 0
		e.each()
	}
	n := copy(p, e.content[e.at:])
	e.at += n
	return n, nil
}

func BenchmarkToFile(b *testing.B) {
	content := programBytes(b)
	dir, err := os.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		_, err := pack.ToFile(dir, "f", func(w io.Writer) error {
			n, err := io.Copy(w, bytes.NewReader(content))
			if n != int64(len(content)) {
				return errors.Join(err, io.ErrShortWrite)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

type count int64

func (c *count) Write(p []byte) (int, error) { *c += count(len(p)); return len(p), nil }
