package release

import (
	stdgzip "compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/engine/host"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
)

// imagePlatforms are those of every image here.
var imagePlatforms = []string{"linux/amd64", "linux/arm64", "linux/ppc64le", "linux/s390x"}

// manyImages is a release with images whose programs are compiled already.
type manyImages struct {
	*assembly
	signer   sign.Signer
	to       store.StageLayout
	programs []string // paths
	bytes    int64    // of all programs
	read     int64    // bytes that making the images read
}

// newImages has n images for each platform, each with a program of its own.
func newImages(tb testing.TB, n int) *manyImages {
	tb.Helper()
	off := false
	def := &definition.Definition{Project: "many", Source: "https://example.com/many", SourceArchive: &off}
	for i := range n {
		name := fmt.Sprintf("program-%02d", i)
		def.Builds = append(def.Builds, definition.Build{Name: name, Go: &definition.Go{Packages: []string{"./cmd/" + name}, Platforms: imagePlatforms}})
		def.Images = append(def.Images, definition.Image{Name: name, Build: name, Repositories: []string{"REGISTRY/" + name}, Tags: []string{"{{ .Version }}"}})
	}
	at := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	plan, err := build.New(def, "v1.0.0", strings.Repeat("5", 40), at)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := sign.Generate()
	if err != nil {
		tb.Fatal(err)
	}
	p := &Project{Engine: host.New(host.Options{}), CacheDir: tb.TempDir(), Now: time.Now, Tool: "v0.0.0-test", Events: discard{},
		Registry: registry.Options{Backoff: time.Millisecond, MaxWait: 50 * time.Millisecond}}
	from := &origin{source: stage.Source{URI: "git+https://example.com/many", Commit: plan.Values.Commit, Tree: strings.Repeat("6", 40), Time: at}}
	a, err := newAssembly(p, plan, from, nil, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	bucket, err := store.Open("file://"+tb.TempDir(), "")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.MkdirAll(a.path("src"), 0o755); err != nil {
		tb.Fatal(err)
	}
	return &manyImages{assembly: a, signer: signer, to: store.StageLayout{Bucket: bucket, Project: "many", Version: "v1.0.0", Digest: strings.Repeat("7", 64)}}
}

// writePrograms writes the programs: this test's own bytes, over and over, and a number to tell them apart.
func (m *manyImages) writePrograms(tb testing.TB, size int) map[string]Compiled {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	code, err := os.ReadFile(self)
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]Compiled{}
	for i, c := range m.plan.Compiles {
		name := "bin/" + c.Platform.String() + "/" + c.Build
		path := m.filePath(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		data := make([]byte, 0, size)
		for len(data) < size {
			part := code
			if len(data) == 0 {
				part = code[:min(len(code), size/2)]
			}
			data = append(data, part[:min(len(part), size-len(data))]...)
			data = fmt.Appendf(data, "<%d>", i)
		}
		data = data[:size]
		copy(data[size-8:], strconv.Itoa(10_000_000+i))
		if err := os.WriteFile(path, data, 0o755); err != nil {
			tb.Fatal(err)
		}
		m.programs, m.bytes = append(m.programs, path), m.bytes+int64(size)
		a := stage.Artifact{Name: name, Kind: stage.KindBinary, Platform: c.Platform.String(), Build: c.Build, Sums: digest.Sums{Size: int64(size), SHA256: digest.Bytes(data)}}
		out[c.Name()] = Compiled{Binaries: []stage.Artifact{a}, // and what is known of it since it was collected
			Contents: map[string]content{name: {SHA1: fmt.Sprintf("%x", sha1.Sum(data)), SHA256: a.SHA256, CRC32: crc32.ChecksumIEEE(data)}}}
	}
	return out
}

// stageAll makes, describes, attests and stages the images.
func (m *manyImages) stageAll(ctx context.Context, compiled map[string]Compiled) error {
	g := flow.New()
	source := flow.Add(g, flow.Step[string]{Name: "source", Run: func(context.Context, *flow.Run) (string, error) { return "tree", nil }})
	for _, c := range m.plan.Compiles {
		m.compiled[c.Name()] = flow.Add(g, flow.Step[Compiled]{Name: c.Name(), Needs: flow.Needs(source), Run: func(context.Context, *flow.Run) (Compiled, error) { return compiled[c.Name()], nil }})
	}
	m.addImages(g, source)
	before := bytesRead()
	m.addImageAttestations(g, "1", m.signer)
	if err := m.runGraph(ctx, g, "stage"); err != nil {
		return err
	}
	m.read = bytesRead() - before
	return m.uploadImages(ctx, m.to)
}

// push promotes the images to the registry at host, as a process of its own would.
func (m *manyImages) push(ctx context.Context, host string) (registry.CopyStats, []imageCopy, error) {
	list := &stage.Stage{Images: m.stageImages("stable")}
	all := copies(list)
	for i := range all {
		all[i].to = strings.Replace(all[i].to, "REGISTRY", host, 1)
	}
	stats, err := m.project.pushImages(ctx, &staged{StageRef: store.StageRef{StageLayout: m.to}, list: list}, all)
	return stats, all, err
}

// diskRegistry is a registry in this process that keeps blobs on the disk.
func diskRegistry(tb testing.TB) string {
	tb.Helper()
	quiet := ggcr.Logger(log.New(io.Discard, "", 0))
	s := httptest.NewServer(ggcr.New(ggcr.WithReferrersSupport(true), quiet, ggcr.WithBlobHandler(ggcr.NewDiskBlobHandler(tb.TempDir()))))
	tb.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// hold checks that each image is there with all its blobs and attestations.
func hold(t *testing.T, host string, m *manyImages, all []imageCopy) {
	t.Helper()
	from, err := registry.OpenLayout(t.Context(), m.to.Images())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		repo, err := registry.Open(host+c.to[strings.IndexByte(c.to, '/'):], registry.Options{})
		if err != nil {
			t.Fatal(err)
		}
		// Copying again looks at everything that is named, and puts there what is missing.
		stats, err := registry.Copy(t.Context(), from, repo, c.root(), registry.CopyOptions{})
		if err != nil || stats.Manifests+stats.Sent+stats.Mounted != 0 {
			t.Errorf("%s: something was missing: %+v, %v", c, stats, err)
		}
		for _, platform := range c.image.Platforms {
			if _, err := repo.Resolve(t.Context(), platform); err != nil {
				t.Error(err)
			}
		}
	}
}

// One request in five is answered with 429 or 503: everything is in its place in the end, nothing that was
// there is sent again, and neither is it by the next run.
func TestImagesToARegistryThatFailsNowAndThen(t *testing.T) {
	t.Parallel()
	m := newImages(t, 3)
	if err := m.stageAll(t.Context(), m.writePrograms(t, 1<<20)); err != nil {
		t.Fatal(err)
	}
	behind := registrytest.InProcess(t)
	proxy, count := shaky(t, behind)
	stats, all, err := m.push(t.Context(), proxy.Host)
	if err != nil {
		t.Fatal(err)
	}
	sent := count()
	for blob, times := range sent {
		if times != 1 {
			t.Errorf("%s was sent %d times", blob, times)
		}
	}
	// A blob that two repositories of a registry share may come to be sent for one while the other has it by then.
	if len(sent) == 0 || int(stats.Sent) < len(sent) {
		t.Errorf("sent %d, finished %d", stats.Sent, len(sent))
	}
	hold(t, behind, m, all)
	if again, _, err := m.push(t.Context(), proxy.Host); err != nil || again.Sent+again.Manifests+again.Mounted != 0 || len(count()) != len(sent) {
		t.Errorf("the second time: %+v, %v", again, err)
	}
}

// shaky fails one request in five. count says how often each blob was uploaded to its end.
func shaky(tb testing.TB, behind string) (*registrytest.Proxy, func() map[string]int) {
	var mu sync.Mutex
	n, finished := 0, map[string]int{}
	p := registrytest.NewProxy(tb, behind)
	p.Before = func(w http.ResponseWriter, _ *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%5 != 0 {
			return false
		}
		if n%2 == 0 {
			w.Header().Set("Retry-After", "0")
			http.Error(w, "slow down", http.StatusTooManyRequests)
		} else {
			http.Error(w, "not now", http.StatusServiceUnavailable)
		}
		return true
	}
	p.After = func(r *http.Response) error {
		mu.Lock()
		defer mu.Unlock()
		if r.Request.Method == http.MethodPut && r.StatusCode == http.StatusCreated && strings.Contains(r.Request.URL.Path, "/blobs/") {
			finished[r.Request.URL.Path[:strings.Index(r.Request.URL.Path, "/blobs/")]+" "+r.Request.URL.Query().Get("digest")]++
		}
		return nil
	}
	return p, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		out := map[string]int{}
		for k, v := range finished {
			out[k] = v
		}
		return out
	}
}

// BenchmarkImages stages and promotes a release of SELLO_BENCH_IMAGES images (2; 30 is what Kubernetes has) for 4 platforms of
// 40 MB each, to a registry on loopback that is in this process. Its measure is what those bytes cost at least: read, hashed and
// compressed with the same library at the same level on all cores, and the compressed bytes hashed. ratio is the wall of everything to that, std-ratio
// to the same with Go's own compress/gzip, cpu-ratio the
// processor time (which the registry's is a part of), stage-ratio the wall of staging alone, read-ratio the bytes that making the images read to the programs' bytes; again-s is promoting the same once more.
func BenchmarkImages(b *testing.B) {
	n, size := 2, 40<<20
	if s, err := strconv.Atoi(os.Getenv("SELLO_BENCH_IMAGES")); err == nil {
		n = s
	}
	for range b.N {
		b.StopTimer()
		m := newImages(b, n)
		compiled := m.writePrograms(b, size)
		host := diskRegistry(b)
		proxy := registrytest.NewProxy(b, host) // which counts the second time
		before := cpuTime()
		measure := m.measure(b, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 6) })
		measureCPU := cpuTime() - before
		standard := m.measure(b, func(w io.Writer) (io.WriteCloser, error) { return stdgzip.NewWriter(w), nil })
		debug.FreeOSMemory()
		stop := make(chan struct{})
		peak := watchMemory(stop)
		before = cpuTime()
		start := time.Now()
		b.StartTimer()
		if err := m.stageAll(b.Context(), compiled); err != nil {
			b.Fatal(err)
		}
		staged := time.Since(start)
		stats, _, err := m.push(b.Context(), host)
		if err != nil {
			b.Fatal(err)
		}
		all, cpu := time.Since(start), cpuTime()-before
		close(stop)
		b.ReportMetric(float64(<-peak)/1e6, "peak-MB")
		start = time.Now()
		again, _, err := m.push(b.Context(), proxy.Host)
		if err != nil || again.Sent+again.Mounted+again.Manifests != 0 {
			b.Fatalf("again: %+v, %v", again, err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "again-s")
		counts, _ := proxy.Counts()
		if counts["POST blobs/uploads"]+counts["PUT blobs/uploads"]+counts["PUT manifests"] != 0 {
			b.Fatalf("again: %v", counts)
		}
		b.SetBytes(m.bytes)
		b.ReportMetric(all.Seconds()/measure.Seconds(), "ratio")
		b.ReportMetric(all.Seconds()/standard.Seconds(), "std-ratio")
		b.ReportMetric(cpu.Seconds()/measureCPU.Seconds(), "cpu-ratio")
		b.ReportMetric(staged.Seconds()/measure.Seconds(), "stage-ratio")
		b.ReportMetric(float64(m.read)/float64(m.bytes), "read-ratio")
		b.ReportMetric(float64(stats.Bytes)/1e6, "sent-MB")
	}
}

// measure compresses and hashes the programs, one a core at a time, and writes nothing.
func (m *manyImages) measure(b *testing.B, compress func(io.Writer) (io.WriteCloser, error)) time.Duration {
	start := time.Now()
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, path := range m.programs {
		group.Go(func() error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			z, err := compress(sha256.New())
			if err != nil {
				return err
			}
			if _, err := io.CopyBuffer(io.MultiWriter(z, sha256.New()), f, make([]byte, 1<<20)); err != nil {
				return err
			}
			return z.Close()
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// bytesRead is what this process has read so far, from files and sockets; 0 where that is not known.
func bytesRead() (n int64) {
	data, _ := os.ReadFile("/proc/self/io")
	_, _ = fmt.Sscanf(string(data), "rchar: %d", &n)
	return n
}

// watchMemory gives the most memory that the Go runtime held until stop is closed.
func watchMemory(stop chan struct{}) chan uint64 {
	out := make(chan uint64, 1)
	go func() {
		var peak uint64
		held := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}} // stops nobody, unlike runtime.ReadMemStats
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			metrics.Read(held)
			peak = max(peak, held[0].Value.Uint64()-held[1].Value.Uint64())
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
