package inventory_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/sbom/inventory"
)

// imageBytes is the size of the benchmark's image, unpacked.
const imageBytes = 150 << 20

// benchLayout writes an image of three layers with files of the sizes that images have.
func benchLayout(b *testing.B) (l *layout, blobs []string) {
	l = newLayout(b)
	r := rand.New(rand.NewPCG(1, 2))
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, RootFS: ocispec.RootFS{Type: "layers"}}
	for i := range 3 {
		var all []member
		for size, n := 0, 0; size < imageBytes/3; n++ {
			content := make([]byte, 1000+r.IntN(200_000))
			for j := range content {
				content[j] = byte(r.IntN(8)) * 31 // compresses about as programs do
			}
			size += len(content)
			all = append(all, member{fmt.Sprintf("usr/lib/layer%d/file%05d", i, n), string(content)})
		}
		plain := tarOf(b, all...)
		var z bytes.Buffer
		w, _ := gzip.NewWriterLevel(&z, gzip.BestSpeed)
		_, _ = io.Copy(w, strings.NewReader(plain))
		w.Close()
		d := l.blob(ocispec.MediaTypeImageLayerGzip, z.Bytes())
		m.Layers = append(m.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromString(plain))
		blobs = append(blobs, filepath.Join(l.dir, "blobs", "sha256", d.Digest.Encoded()))
	}
	m.Config = l.json(ocispec.MediaTypeImageConfig, config)
	l.index(l.json(ocispec.MediaTypeImageManifest, m))
	return l, blobs
}

// plainly decompresses and hashes the layers: what nobody can do without.
func plainly(b *testing.B, blobs []string) {
	for _, path := range blobs {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		packed, plain := sha256.New(), sha256.New()
		z, err := gzip.NewReader(io.TeeReader(f, packed))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(plain, z); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

// BenchmarkImage compares describing an image of 150 MB with decompressing and hashing it, in one run. The bar is 1.5.
func BenchmarkImage(b *testing.B) {
	l, blobs := benchLayout(b)
	best := func(f func()) time.Duration {
		fastest := time.Hour
		for range 3 {
			started := time.Now()
			f()
			fastest = min(fastest, time.Since(started))
		}
		return fastest
	}
	for b.Loop() {
		plain := best(func() { plainly(b, blobs) })
		ours := best(func() {
			if _, err := inventory.Of(b.Context(), l.dir, options); err != nil {
				b.Fatal(err)
			}
		})
		b.ReportMetric(ours.Seconds()/plain.Seconds(), "x-plain")
		b.ReportMetric(ours.Seconds()*1000, "ms-described")
	}
}
