package verify_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// BenchmarkDir verifies a release of 300 artifacts and compares its throughput with Go's SHA-256 over memory on all
// cores, in the same run: ratio is the part of it that is reached. SELLO_BENCH_BYTES sets the size (default 256 MiB).
func BenchmarkDir(b *testing.B) {
	total := int64(256 << 20)
	if s := os.Getenv("SELLO_BENCH_BYTES"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total = n
	}
	w, dir := vt.NewWorld(b), b.TempDir()
	w.ReleaseAt(b, dir, func(d *vt.Draft) {
		d.SBOMs, d.Stage.Evidence = false, []string{"provenance"}
		d.Files = map[string]string{}
		unit := strings.Repeat("x", 1<<20)
		// One tenth of the bytes in one file, the rest spread over 299.
		d.Files["age_big.tar.gz"] = strings.Repeat(unit, int(total/10>>20))
		for i := range 299 {
			size := int(total * 9 / 10 / 299)
			d.Files[fmt.Sprintf("age_%03d.tar.gz", i)] = strings.Repeat(unit, size>>20) + unit[:size&(1<<20-1)] + fmt.Sprint(i)
		}
	})
	b.SetBytes(total)
	var ours, plain time.Duration
	for b.Loop() {
		b.StopTimer()
		plain += pure(total)
		b.StartTimer()
		start := time.Now()
		r, err := verify.Dir(context.Background(), dir, options(w))
		if err != nil || r.Err() != nil {
			b.Fatal(err, r.Err())
		}
		ours += time.Since(start)
	}
	b.ReportMetric(float64(plain)/float64(ours), "ratio")
}

// pure is how long crypto/sha256 takes for so many bytes in memory, on all cores.
func pure(total int64) time.Duration {
	cores := runtime.GOMAXPROCS(0)
	buf := make([]byte, 1<<20)
	start := time.Now()
	var wg sync.WaitGroup
	for range cores {
		wg.Go(func() {
			h := sha256.New()
			for n := int64(0); n < total/int64(cores); n += int64(len(buf)) {
				h.Write(buf)
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// BenchmarkFile verifies one small file.
func BenchmarkFile(b *testing.B) {
	w, dir := vt.NewWorld(b), b.TempDir()
	w.ReleaseAt(b, dir)
	for b.Loop() {
		r, err := verify.File(context.Background(), dir+"/"+vt.Archive, options(w))
		if err != nil || r.Err() != nil {
			b.Fatal(err, r.Err())
		}
	}
}
