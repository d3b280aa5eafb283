package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
)

// BenchmarkCopy sends one image of 160 MB from memory to each kind of registry.
func BenchmarkCopy(b *testing.B) {
	for _, k := range rt.Kinds() {
		b.Run(k.Name, func(b *testing.B) {
			m := rt.NewMemory()
			root := m.Image(b, rt.Spec{Seed: 1, Layers: 4, Size: 20 << 20})
			var bytes int64
			for range b.N {
				b.StopTimer()
				to := open(b, k.Start(b)+"/image", quick())
				b.StartTimer()
				bytes += mustCopy(b, m, to, root).Bytes
			}
			b.ReportMetric(float64(bytes)/b.Elapsed().Seconds()/1e6, "MB/s")
		})
	}
}

// BenchmarkCopyAgain promotes a release of 30 images for 4 platforms, attested, that is
// there already: 150 manifests with 300 referrers.
func BenchmarkCopyAgain(b *testing.B) {
	for _, k := range rt.Kinds() {
		b.Run(k.Name, func(b *testing.B) {
			m := rt.NewMemory()
			proxy := rt.NewProxy(b, k.Start(b))
			var roots []ocispec.Descriptor
			run := func(client *registry.Client) (sum registry.CopyStats) {
				type result struct {
					stats registry.CopyStats
					err   error
				}
				results := make(chan result)
				slots := make(chan struct{}, 4)
				for i, root := range roots {
					go func() {
						slots <- struct{}{}
						defer func() { <-slots }()
						from, err := client.Open(fmt.Sprintf("%s/staging/%d", proxy.Host, i))
						if err != nil {
							results <- result{err: err}
							return
						}
						to, err := client.Open(fmt.Sprintf("%s/prod/%d", proxy.Host, i))
						if err != nil {
							results <- result{err: err}
							return
						}
						s, err := registry.Copy(b.Context(), from, to, root, registry.CopyOptions{})
						results <- result{s, err}
					}()
				}
				for range roots {
					r := <-results
					if r.err != nil {
						b.Error(r.err)
					}
					sum = sum.Add(r.stats)
				}
				return sum
			}
			client, err := registry.New(quick())
			if err != nil {
				b.Fatal(err)
			}
			for i := range 30 {
				root := m.Image(b, rt.Spec{Seed: uint64(i), Platforms: []string{"amd64", "arm64", "ppc64le", "s390x"}, Attested: true})
				to, err := client.Open(fmt.Sprintf("%s/staging/%d", proxy.Host, i))
				if err != nil {
					b.Fatal(err)
				}
				mustCopy(b, m, to, root)
				roots = append(roots, root)
			}
			first := time.Now()
			run(client)
			b.Logf("the first time: %v", time.Since(first))
			proxy.Counts()
			b.ResetTimer()
			for range b.N {
				fresh, err := registry.New(quick())
				if err != nil {
					b.Fatal(err)
				}
				if s := run(fresh); s.Sent+s.Mounted+s.Manifests != 0 {
					b.Fatalf("%+v", s)
				}
			}
			b.StopTimer()
			counts, all := proxy.Counts()
			b.ReportMetric(float64(all)/float64(b.N), "requests/op")
			b.Log(strings.TrimPrefix(fmt.Sprint(counts), "map"))
		})
	}
}
