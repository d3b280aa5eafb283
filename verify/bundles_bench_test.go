//go:build unix

package verify_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// rounds are the times that something took, again and again. Machines are noisy: the least says what it costs, the median what one gets.
type rounds []time.Duration

func (r *rounds) took(do func()) {
	start := time.Now()
	do()
	*r = append(*r, time.Since(start))
}

func (r rounds) least() float64  { return float64(slices.Min(r)) / 1e6 }
func (r rounds) median() float64 { return float64(slices.Sorted(slices.Values(r))[len(r)/2]) / 1e6 }

// many is how many bundles are verified at once, sample how many of them by cosign, one by one.
const (
	many   = 500
	sample = 10
)

// BenchmarkBundles verifies 500 keyless bundles offline, each with a certificate, a timestamp and a log entry of its own, on all
// cores; and in the same run ten of them with `cosign verify-blob-attestation`, one by one, when SELLO_BENCH_COSIGN names the
// program. ratio is what cosign would take for all of them, by what we take; cpu-ratio is the same of processor time, which others on
// the machine disturb less.
func BenchmarkBundles(b *testing.B) {
	now := time.Now().UTC().Truncate(time.Second)
	i, who, dir := signtest.New(b, now), vt.Keyless("ann"), b.TempDir()
	bundles, files := make([][]byte, many), make([]verify.Digests, many)
	for k := range many {
		content := fmt.Appendf(nil, "file %d", k)
		files[k] = verify.Digests{"sha256": digest.Bytes(content)}
		bundles[k] = i.Sign(b, who, fmt.Appendf(nil, `{"_type":%q,"predicate":{},"predicateType":%q,"subject":[{"digest":{"sha256":%q},"name":"file%d"}]}`,
			attest.StatementType, attest.ProvenanceType, files[k]["sha256"], k))
		if k < sample {
			vt.Write(b, dir, fmt.Sprint(k), content)
			vt.Write(b, dir, fmt.Sprint(k, ".json"), bundles[k])
		}
	}
	vt.Write(b, dir, "root.json", i.Root)
	all, err := verify.NewBundles(verify.BundleOptions{TrustedRoot: i.Root, Signers: []verify.Signer{{Issuer: who.Issuer, Subject: who.Subject}}, PredicateType: attest.ProvenanceType})
	if err != nil {
		b.Fatal(err)
	}
	cosign := os.Getenv("SELLO_BENCH_COSIGN")
	var ours, theirs rounds
	var cpu, cpuTheirs time.Duration
	for b.Loop() {
		before := processorTime(b, syscall.RUSAGE_SELF)
		ours.took(func() {
			inParallel(many, func(k int) {
				if r := all.Verify(bundles[k], files[k]); r.Err() != nil {
					b.Error(r.Err())
				}
			})
		})
		cpu += processorTime(b, syscall.RUSAGE_SELF) - before
		before = processorTime(b, syscall.RUSAGE_CHILDREN)
		if cosign == "" {
			continue
		}
		for k := range sample {
			theirs.took(func() {
				at := filepath.Join(dir, fmt.Sprint(k))
				out, err := exec.Command(cosign, "verify-blob-attestation", "--bundle", at+".json", "--trusted-root", filepath.Join(dir, "root.json"), "--certificate-identity", who.Subject,
					"--certificate-oidc-issuer", who.Issuer, "--type", "slsaprovenance1", "--use-signed-timestamps", "--insecure-ignore-sct", at).CombinedOutput()
				if err != nil {
					b.Fatalf("cosign: %v\n%s", err, out)
				}
			})
		}
		cpuTheirs += processorTime(b, syscall.RUSAGE_CHILDREN) - before
	}
	b.ReportMetric(ours.least(), "least-ms")
	b.ReportMetric(ours.median(), "median-ms")
	b.ReportMetric(float64(cpu.Milliseconds())/float64(len(ours)), "cpu-ms")
	if cosign == "" {
		return
	}
	b.ReportMetric(theirs.median(), "cosign-ms/bundle")
	b.ReportMetric(many*theirs.median()/ours.median(), "ratio")
	b.ReportMetric(float64(many)/sample*float64(cpuTheirs)/float64(cpu), "cpu-ratio")
}

// processorTime is what this process, or its children that have ended, took of the processors.
func processorTime(b *testing.B, of int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(of, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func inParallel(n int, do func(k int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for k := range next {
				do(k)
			}
		})
	}
	for k := range n {
		next <- k
	}
	close(next)
	wg.Wait()
}

// BenchmarkStart runs SELLO_BENCH_PROGRAM on one small file, from its start to the verdict, which has to be that the file is accepted.
func BenchmarkStart(b *testing.B) {
	program := os.Getenv("SELLO_BENCH_PROGRAM")
	if program == "" {
		b.Skip("SELLO_BENCH_PROGRAM does not name the program")
	}
	now := time.Now().UTC().Truncate(time.Second)
	keys, keyless := vt.NewWorld(b), vt.NewKeylessWorld(b, now)
	signed, certified := b.TempDir(), b.TempDir()
	for _, w := range []struct {
		*vt.World
		dir string
	}{{keys, signed}, {keyless, certified}} {
		w.ReleaseAt(b, w.dir, func(d *vt.Draft) { // the sign-offs of a good release are old; these are to be valid today
			for i := range d.SignOffs {
				d.SignOffs[i].Change = func(s *attest.SignOff) { s.Time, s.Expires = now.Add(-time.Hour), now.AddDate(0, 0, 1) }
			}
		})
		vt.Write(b, w.dir, "../"+filepath.Base(w.dir)+".yaml", w.TrustFile)
	}
	vt.Write(b, certified, "../root.json", keyless.Sigstore.Root)
	who := vt.Keyless("build-service")
	for name, args := range map[string][]string{
		"key":     {"verify", filepath.Join(signed, vt.Archive), "--trust", signed + ".yaml"},
		"keyless": {"verify", filepath.Join(certified, vt.Archive), "--trust", certified + ".yaml", "--trusted-root", filepath.Join(certified, "../root.json")},
		"bundle": {"verify-bundle", filepath.Join(certified, vt.Archive), "--bundle", filepath.Join(certified, vt.Archive+stage.BundleSuffix), "--trusted-root", filepath.Join(certified, "../root.json"),
			"--certificate-identity", who.Subject, "--certificate-oidc-issuer", who.Issuer},
	} {
		b.Run(name, func(b *testing.B) {
			var took rounds
			for b.Loop() {
				took.took(func() {
					var report struct{ Verdict string }
					out, err := exec.Command(program, append(args, "--output", "json")...).Output()
					if err == nil {
						err = json.Unmarshal(out, &report)
					}
					if err != nil || report.Verdict != verify.Accepted {
						b.Fatalf("%v: %v\n%s", args, err, out)
					}
				})
			}
			b.ReportMetric(took.least(), "least-ms")
			b.ReportMetric(took.median(), "median-ms")
		})
	}
}
