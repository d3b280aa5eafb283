package keyless

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/keyless/keylesstest"
	"github.com/sello-release/sello/internal/trust"
)

const builder = "builder@hello.example"

// signerOf gives a signer at an instance, that counts the tokens it asks for.
func signerOf(t testing.TB, i *keylesstest.Instance) (*Signer, *atomic.Int32) {
	t.Helper()
	config, err := ParseConfig(i.Config, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, err := sign.ParseRoot(i.Root)
	if err != nil {
		t.Fatal(err)
	}
	asked := &atomic.Int32{}
	return New(Options{Identity: trust.Keyless{Issuer: i.URL, Subject: builder}, Config: config, Root: r, Wait: time.Minute,
		Token: func(context.Context, string) (string, error) { asked.Add(1); return i.Token(t, builder, nil), nil }}), asked
}

// logAlone measures how long the log takes for so many entries, with nothing else to do.
func logAlone(t testing.TB, s *Signer, n int) time.Duration {
	c, err := s.credential(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var entries []*tilespb.HashedRekordRequestV002
	for i := range n {
		sig, sum, err := c.key.SignData(context.Background(), fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, &tilespb.HashedRekordRequestV002{Digest: sum, Signature: &tilespb.Signature{Content: sig, Verifier: &tilespb.Verifier{KeyDetails: c.key.GetSigningAlgorithm(),
			Verifier: &tilespb.Verifier_X509Certificate{X509Certificate: &protocommon.X509Certificate{RawBytes: c.leaf.Raw}}}}})
	}
	started := time.Now()
	var g errgroup.Group
	g.SetLimit(parallel)
	for _, e := range entries {
		g.Go(func() error {
			_, err := tiles{s.Config.logs[0].URL, s.patience(context.Background())}.Add(context.Background(), e)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	return time.Since(started)
}

// signMany signs statements at one time, and says how long it took.
func signMany(t testing.TB, s *Signer, n int) time.Duration {
	started := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(i+1)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(started)
}

// BenchmarkSign signs 500 statements with a real instance, and compares that with what its log alone takes for 500 entries from as many
// at one time, before and after. The log makes a checkpoint each second, so that one run may be a second longer than another: the least counts.
func BenchmarkSign(b *testing.B) {
	i := keylesstest.Start(b)
	least := time.Hour
	for b.Loop() {
		s, asked := signerOf(b, i)
		if err := s.Ready(context.Background()); err != nil {
			b.Fatal(err)
		}
		before := logAlone(b, s, 500)
		all := signMany(b, s, 500)
		alone := (before + logAlone(b, s, 500)) / 2
		if asked.Load() == 1 && all-alone >= least {
			continue
		}
		least = all - alone
		b.ReportMetric(all.Seconds(), "signing-s")
		b.ReportMetric(alone.Seconds(), "log-alone-s")
		b.ReportMetric((all - alone).Seconds(), "beyond-s")
		b.ReportMetric(float64(asked.Load()), "certificates")
	}
}

func statement(n int) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","predicate":{"n":%d},"predicateType":"https://slsa.dev/provenance/v1","subject":[{"digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"name":"empty"}]}`, n)
}

// A real instance: 500 statements, one token and one certificate; and cosign accepts a bundle with the same trusted root.
func TestRealInstance(t *testing.T) {
	i := keylesstest.Start(t)
	s, asked := signerOf(t, i)
	one, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(0))
	if err != nil {
		t.Fatal(err)
	}
	signMany(t, s, 500)
	if asked.Load() != 1 {
		t.Errorf("%d tokens for one certificate", asked.Load())
	}
	t.Run("cosign", func(t *testing.T) {
		cosign := registrytest.Tool(t, "cosign")
		dir := t.TempDir()
		for name, data := range map[string][]byte{"root.json": i.Root, "b.json": one, "empty": nil} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		verify := func(subject string) ([]byte, error) {
			cmd := exec.Command(cosign, "verify-blob-attestation", "--bundle", "b.json", "--trusted-root", "root.json", "--certificate-identity", subject,
				"--certificate-oidc-issuer", i.URL, "--type", "slsaprovenance1", "--insecure-ignore-sct", "--use-signed-timestamps", "empty")
			cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
			return cmd.CombinedOutput()
		}
		if out, err := verify(builder); err != nil {
			t.Errorf("cosign refuses the bundle: %v\n%s", err, out)
		}
		if out, err := verify("other@hello.example"); err == nil {
			t.Errorf("cosign accepts it for somebody else: %s", out)
		}
	})
}

// With the log down, a bundle has a timestamp only where the trust file says so, and counts only there.
func TestFallback(t *testing.T) {
	i := keylesstest.Start(t)
	down, err := ParseConfig(keylesstest.Config(t, i.Fulcio, "http://127.0.0.1:1", i.Clock), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := func(fallback string) *trust.Trust {
		pinned := &trust.Pinned{File: "trusted_root.json", Digest: "sha256:" + digest.Bytes(i.Root), Fallback: fallback}
		f := &trust.Trust{TrustedRoot: pinned, Identities: map[string]trust.Identity{"b": {Issuer: i.URL, Subject: builder}}}
		if err := f.SetRoot(i.Root); err != nil {
			t.Fatal(err)
		}
		return f
	}
	var bundle []byte
	for _, fallback := range []string{trust.TimestampOnly, ""} {
		r, err := sign.RootOf(file(fallback))
		if err != nil {
			t.Fatal(err)
		}
		s, _ := signerOf(t, i)
		s.Config, s.Root, s.Wait = down, r, time.Second
		data, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(1))
		if want := map[string]string{trust.TimestampOnly: "", "": "log-down"}[fallback]; gate.Code(err) != want || want == "" && err != nil {
			t.Fatalf("fallback %q: %v", fallback, err)
		}
		if err == nil {
			bundle = data
		}
	}
	for fallback, want := range map[string]string{trust.TimestampOnly: "", "": "log-missing"} {
		b, err := sign.ParseBundle(bundle)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := sign.SignersOf(file(fallback)).Verify(b); gate.Code(err) != want || want == "" && err != nil {
			t.Errorf("fallback %q: %v, want %q", fallback, err, want)
		}
	}
	// A log that is up is used all the same.
	s, _ := signerOf(t, i)
	if s.Root, err = sign.RootOf(file(trust.TimestampOnly)); err != nil {
		t.Fatal(err)
	}
	data, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(2))
	if err != nil || !strings.Contains(string(data), "tlogEntries") {
		t.Errorf("%v", err)
	}
}

// A certificate that is about to expire is replaced, and the key with it.
func TestRenew(t *testing.T) {
	i := keylesstest.Start(t)
	s, asked := signerOf(t, i)
	ctx := context.Background()
	first, err := s.credential(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.now.good = time.Now()
	second, err := s.credential(ctx)
	if err != nil || asked.Load() != 2 || first.leaf.Equal(second.leaf) || first.key.GetPublicKey() == second.key.GetPublicKey() {
		t.Errorf("%d tokens, %v", asked.Load(), err)
	}
	s.now.good = time.Now()
	s.Token = func(context.Context, string) (string, error) {
		return i.Token(t, builder, map[string]any{"exp": 1}), nil
	}
	if _, err := sign.SignStatement(ctx, s, attest.PayloadType, statement(1)); gate.Code(err) != "token-expired" {
		t.Error(err)
	}
}
