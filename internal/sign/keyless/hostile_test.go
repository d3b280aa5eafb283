package keyless

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/keyless/keylesstest"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/trust"
)

// tokenWith is the builder's, with changes: these services look at no signature.
func tokenWith(changes map[string]any) string {
	return keylesstest.Unsigned(keylesstest.Claims("https://accounts.example", builder), changes)
}

// served gives an instance's services that lie in a way, and a signer that uses them.
func served(t *testing.T, i *signtest.Instance, lies signtest.Lies) (*Signer, *signtest.Services) {
	t.Helper()
	services := i.Serve(t, lies)
	config, err := ParseConfig(keylesstest.Config(t, services.URL, services.URL, services.URL+signtest.TimestampPath), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, err := sign.ParseRoot(i.Root)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Identity: trust.Keyless{Issuer: "https://accounts.example", Subject: builder}, Config: config, Root: r, Wait: time.Second,
		Token: func(context.Context, string) (string, error) { return tokenWith(nil), nil }}), services
}

// answers has one service answer the same, always.
func answers(path string, status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// hangs has one service take a request, and never answer.
func hangs(path string) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == path {
			_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that nobody waits any more
			<-r.Context().Done()
		}
		return r.URL.Path == path
	}
}

func draft(change func(*signtest.Draft)) signtest.Lies { return signtest.Lies{Draft: change} }

// What an authority, a log or a clock can do wrong is refused by its own name, and nothing is given out. What is wrong with the
// certificate is known before anything is logged.
func TestServicesThatLie(t *testing.T) {
	t.Parallel()
	now := time.Now()
	i := signtest.New(t, now)
	another, published := signtest.New(t, now), signtest.New(t, now, signtest.WithCT)
	entry := func(change func(*protorekor.TransparencyLogEntry)) signtest.Lies {
		return signtest.Lies{Entry: func(e *protorekor.TransparencyLogEntry) *protorekor.TransparencyLogEntry { change(e); return e }}
	}
	for _, tt := range []struct {
		name, code string
		instance   *signtest.Instance
		lies       signtest.Lies
		logged     bool // may be, by the time that it is known
	}{
		{"as they should", "", i, signtest.Lies{}, true},

		{"authority: for somebody else", "certificate-identity", i, draft(func(d *signtest.Draft) { d.Subjects = []string{"eve@hello.example"} }), false},
		{"authority: for a wildcard", "no-trusted-signer", i, draft(func(d *signtest.Draft) { d.Subjects = []string{"*@hello.example"} }), false},
		{"authority: for two", "no-trusted-signer", i, draft(func(d *signtest.Draft) { d.Subjects = []string{builder, "https://hello.example"} }), false},
		{"authority: in capitals", "certificate-identity", i, draft(func(d *signtest.Draft) { d.Subjects = []string{"Builder@hello.example"} }), false},
		{"authority: a subject that goes on", "certificate-identity", i, draft(func(d *signtest.Draft) { d.Subjects = []string{builder + ".evil.example"} }), false},
		{"authority: a URI like it", "certificate-identity", i, draft(func(d *signtest.Draft) { d.Subjects = []string{"mailto:" + builder} }), false},
		{"authority: by another issuer", "certificate-identity", i, draft(func(d *signtest.Draft) { d.Signer.Issuer += "/" }), false},
		{"authority: by an issuer that looks like it", "certificate-identity", i, draft(func(d *signtest.Draft) { d.Signer.Issuer = "https://\u0430ccounts.example" }), false},
		{"authority: by no issuer", "no-trusted-signer", i, draft(func(d *signtest.Draft) { d.Signer.Issuer = "" }), false},
		{"authority: for another key", "certificate-key", i, signtest.Lies{OldKey: true}, false},
		{"authority: expired", "cert-outside-validity", i, draft(func(d *signtest.Draft) { d.Issued = now.Add(-time.Hour) }), false},
		{"authority: of tomorrow", "cert-outside-validity", i, draft(func(d *signtest.Draft) { d.Issued = now.Add(time.Hour) }), false},
		{"authority: not published", "sct-invalid", published, signtest.Lies{}, false},
		{"authority: garbage", "certificate-refused", i, signtest.Lies{First: answers(signtest.CertificatePath, 200, "\x00garbage")}, false},
		{"authority: no certificate", "certificate-refused", i, signtest.Lies{First: answers(signtest.CertificatePath, 200, `{"signedCertificateEmbeddedSct":{"chain":{"certificates":[]}}}`)}, false},
		{"authority: no PEM", "certificate-refused", i, signtest.Lies{First: answers(signtest.CertificatePath, 200, `{"signedCertificateEmbeddedSct":{"chain":{"certificates":["x"]}}}`)}, false},
		{"authority: hangs", "certificate-authority-down", i, signtest.Lies{First: hangs(signtest.CertificatePath)}, false},

		{"log: an entry for something else", "log-entry-mismatch", i, signtest.Lies{Entry: func(*protorekor.TransparencyLogEntry) *protorekor.TransparencyLogEntry { return i.Another(t) }}, true},
		{"log: another log's entry", "log-entry-mismatch", i, signtest.Lies{Entry: func(*protorekor.TransparencyLogEntry) *protorekor.TransparencyLogEntry { return another.Another(t) }}, true},
		{"log: a checkpoint of another tree", "log-proof-invalid", i, entry(func(e *protorekor.TransparencyLogEntry) {
			e.InclusionProof.Checkpoint = i.Another(t).InclusionProof.Checkpoint
		}), true},
		{"log: another tree, all of it", "log-proof-invalid", i, entry(func(e *protorekor.TransparencyLogEntry) { e.InclusionProof = i.Another(t).InclusionProof }), true},
		{"log: no proof", "log-proof-invalid", i, entry(func(e *protorekor.TransparencyLogEntry) { e.InclusionProof = nil }), true},
		{"log: garbage", "log-refused", i, signtest.Lies{First: answers(signtest.EntryPath, 201, "garbage")}, true},
		{"log: says no", "log-refused", i, signtest.Lies{First: answers(signtest.EntryPath, 403, "no")}, true},
		{"log: done, and nothing more", "log-refused", i, signtest.Lies{First: answers(signtest.EntryPath, 200, "{}")}, true},
		{"log: has it already, always", "log-refused", i, signtest.Lies{First: answers(signtest.EntryPath, 409, "")}, true},
		{"log: hangs", "log-down", i, signtest.Lies{First: hangs(signtest.EntryPath)}, true},
		{"log: down", "log-down", i, signtest.Lies{First: answers(signtest.EntryPath, 503, "later")}, true},

		{"clock: of tomorrow", "timestamp-invalid", i, signtest.Lies{Stamp: func(sum []byte, at time.Time) ([]byte, time.Time) { return sum, at.Add(24 * time.Hour) }}, true},
		{"clock: of yesterday", "cert-outside-validity", i, signtest.Lies{Stamp: func(sum []byte, at time.Time) ([]byte, time.Time) { return sum, at.Add(-time.Hour) }}, true},
		{"clock: of something else", "timestamp-invalid", i, signtest.Lies{Stamp: func(sum []byte, at time.Time) ([]byte, time.Time) { sum[0]++; return sum, at }}, true},
		{"clock: says no", "timestamp-refused", i, signtest.Lies{First: answers(signtest.TimestampPath, 400, "no")}, true},
		{"clock: garbage", "timestamp-refused", i, signtest.Lies{First: answers(signtest.TimestampPath, 201, "garbage")}, true},
		{"clock: elsewhere", "timestamp-refused", i, signtest.Lies{First: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == signtest.TimestampPath {
				http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
			}
			return r.URL.Path == signtest.TimestampPath
		}}, true},
		{"clock: hangs", "timestamp-authority-down", i, signtest.Lies{First: hangs(signtest.TimestampPath)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, asked := served(t, tt.instance, tt.lies)
			if tt.lies.OldKey { // the first certificate has the right one
				if _, err := s.certify(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			started := time.Now()
			data, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(1))
			if gate.Code(err) != tt.code || (err == nil) != (len(data) > 0) || tt.code == "" && err != nil {
				t.Errorf("%v, want %s", err, tt.code)
			}
			if asked.Entries.Load() > 0 && !tt.logged {
				t.Errorf("the log was asked %d times", asked.Entries.Load())
			}
			if n := asked.Entries.Load(); n > 12 {
				t.Errorf("%d tries", n)
			}
			if d := time.Since(started); d > 20*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// Services that are down for a while are waited for, and asked with growing pauses.
func TestServicesThatComeBack(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, time.Now())
	for _, path := range []string{signtest.CertificatePath, signtest.EntryPath, signtest.TimestampPath} {
		var mu sync.Mutex
		var at []time.Time
		s, asked := served(t, i, signtest.Lies{First: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != path {
				return false
			}
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
			switch len(at) {
			case 1:
				w.WriteHeader(http.StatusServiceUnavailable)
			case 2:
				w.WriteHeader(http.StatusTooManyRequests)
			case 3:
				panic(http.ErrAbortHandler) // the connection breaks
			}
			return len(at) < 4
		}})
		s.Wait = time.Minute
		var said []string
		s.Note = func(text string) { mu.Lock(); said = append(said, text); mu.Unlock() }
		if _, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(1)); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if len(at) != 4 || len(said) != 3 || !strings.Contains(said[0], "trying again in ") {
			t.Errorf("%s: asked %d times, said %q", path, len(at), said)
			continue
		}
		if first, third := at[1].Sub(at[0]), at[3].Sub(at[2]); first < firstWait || third < 4*firstWait {
			t.Errorf("%s: pauses of %v and %v", path, first, third)
		}
		if n := asked.Certificates.Load(); path != signtest.CertificatePath && n != 1 {
			t.Errorf("%s: %d certificates", path, n)
		}
	}
}

// A log that has the signature already, since its answer was lost, gets another one.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	s, asked := served(t, signtest.New(t, time.Now()), signtest.Lies{First: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != signtest.EntryPath || n.Add(1) > 1 {
			return false
		}
		w.WriteHeader(http.StatusConflict)
		return true
	}})
	if _, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(1)); err != nil || asked.Entries.Load() != 2 {
		t.Errorf("%v after %d entries", err, asked.Entries.Load())
	}
}

// Certificates that last for two seconds: in the middle of a run others take their place, and when the token has expired by then the run
// stops and says so. What was signed before is good, and the same run goes on with a new token.
func TestExpiryInTheMiddle(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, time.Now())
	const life = 2 * time.Second
	short := draft(func(d *signtest.Draft) { d.Lifetime = life })
	run := func(s *Signer) (signed int, err error) {
		var g errgroup.Group
		var good atomic.Int32
		for n := range 20 {
			g.Go(func() error {
				time.Sleep(time.Duration(n) * 250 * time.Millisecond)
				data, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(n))
				if err != nil {
					return err
				}
				b, err := sign.ParseBundle(data)
				if err == nil {
					_, err = s.Root.Verify(b, nil, time.Now())
				}
				good.Add(1)
				return err
			})
		}
		err = g.Wait()
		return int(good.Load()), err
	}
	t.Run("renewed", func(t *testing.T) {
		t.Parallel()
		s, asked := served(t, i, short)
		if n, err := run(s); err != nil || n != 20 {
			t.Errorf("%d signed, %v", n, err)
		}
		if n := asked.Certificates.Load(); n < 2 || n > 6 {
			t.Errorf("%d certificates", n)
		}
	})
	t.Run("the token, too", func(t *testing.T) {
		t.Parallel()
		s, asked := served(t, i, short)
		ends := time.Now().Add(3 * time.Second)
		s.Token = func(context.Context, string) (string, error) {
			return tokenWith(map[string]any{"exp": ends.Unix()}), nil
		}
		n, err := run(s)
		var r *gate.Refusal
		if gate.Code(err) != "token-expired" || n == 0 || n == 20 || !errors.As(err, &r) || !strings.Contains(r.Fix, "goes on where it stopped") {
			t.Errorf("%d signed, %v", n, err)
		}
		if asked.Certificates.Load() == 0 || asked.Entries.Load() > 20+3 {
			t.Errorf("%d certificates, %d entries", asked.Certificates.Load(), asked.Entries.Load())
		}
		s.Token = func(context.Context, string) (string, error) { return tokenWith(nil), nil }
		if n, err := run(s); err != nil || n != 20 {
			t.Errorf("going on: %d signed, %v", n, err)
		}
	})
}

// Who stops in the middle gets nothing signed by halves: each call gives a whole bundle or an error, and none hangs.
func TestStoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	var n atomic.Int32
	s, _ := served(t, signtest.New(t, time.Now()), signtest.Lies{First: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == signtest.EntryPath && n.Add(1) == 10 {
			stop()
		}
		return false
	}})
	s.Wait = time.Hour
	var g errgroup.Group
	var good, stopped atomic.Int32
	for k := range 50 {
		g.Go(func() error {
			data, err := sign.SignStatement(ctx, s, attest.PayloadType, statement(k))
			switch {
			case err == nil:
				good.Add(1)
				b, err := sign.ParseBundle(data)
				if err == nil {
					_, err = s.Root.Verify(b, nil, time.Now())
				}
				return err
			case errors.Is(err, context.Canceled):
				stopped.Add(1)
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil || stopped.Load() == 0 || good.Load()+stopped.Load() != 50 {
		t.Errorf("%d signed, %d stopped, %v", good.Load(), stopped.Load(), err)
	}
}

// With a fallback, only a log that is down lets a bundle do without it: one that lies or says no does not, and a clock is always needed.
func TestFallbackIsForLogsThatAreDown(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, time.Now())
	pinned := signtest.Pin(i.Root)
	pinned.Fallback = trust.TimestampOnly
	file := &trust.Trust{TrustedRoot: pinned}
	if err := file.SetRoot(i.Root); err != nil {
		t.Fatal(err)
	}
	r, err := sign.RootOf(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		code string
		lies signtest.Lies
	}{
		"down":        {"", signtest.Lies{First: answers(signtest.EntryPath, 503, "")}},
		"hangs":       {"", signtest.Lies{First: hangs(signtest.EntryPath)}},
		"says no":     {"log-refused", signtest.Lies{First: answers(signtest.EntryPath, 403, "")}},
		"lies":        {"log-entry-mismatch", signtest.Lies{Entry: func(*protorekor.TransparencyLogEntry) *protorekor.TransparencyLogEntry { return i.Another(t) }}},
		"no clock":    {"timestamp-authority-down", signtest.Lies{First: answers(signtest.TimestampPath, 503, "")}},
		"a bad clock": {"timestamp-refused", signtest.Lies{First: answers(signtest.TimestampPath, 403, "")}},
	} {
		s, _ := served(t, i, tt.lies)
		s.Root = r
		data, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(1))
		if gate.Code(err) != tt.code || tt.code == "" && err != nil {
			t.Errorf("%s: %v, want %q", name, err, tt.code)
			continue
		}
		if err == nil {
			b, err := signtest.Parse(data)
			if err != nil || len(b.GetVerificationMaterial().GetTlogEntries()) != 0 {
				t.Errorf("%s: %v, %v", name, b.GetVerificationMaterial(), err)
			}
		}
	}
}

// A log in the form of Rekor v1 goes through the same patience: it is asked a bounded number of times, and what lacks its proof is refused.
func TestOldLogsThatLie(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, time.Now())
	for name, tt := range map[string]struct {
		status   int
		body     string
		code     string
		repeated bool
	}{
		"down":             {503, "later", "log-down", true},
		"too many":         {429, "later", "log-down", true},
		"says no":          {400, "no", "log-refused", false},
		"garbage":          {201, "garbage", "log-refused", false},
		"nothing":          {201, "{}", "log-refused", false},
		"an empty entry":   {201, `{"a":{}}`, "log-refused", false},
		"no proof":         {201, `{"a":{"body":"e30=","logID":"00","logIndex":1,"integratedTime":1,"verification":{}}}`, "log-refused", false},
		"a proof in part":  {201, `{"a":{"body":"e30=","logID":"00","logIndex":1,"integratedTime":1,"verification":{"inclusionProof":{}}}}`, "log-refused", false},
		"two entries":      {201, `{"a":{},"b":{}}`, "log-refused", false},
		"a key twice":      {201, `{"a":{},"a":{}}`, "log-refused", false},
		"another location": {303, "", "log-refused", false},
		"without end":      {201, strings.Repeat(" ", maxAnswer+1), "log-refused", false},
		"has it already":   {409, "{}", "log-refused", true},
	} {
		var asked atomic.Int32
		old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1); r.URL.Path != "/api/v1/log/entries" {
				t.Errorf("%s: asked for %s", name, r.URL)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}))
		s, _ := served(t, i, signtest.Lies{})
		s.Config.logs = []root.Service{{URL: old.URL, MajorAPIVersion: 1}}
		_, err := sign.SignStatement(context.Background(), s, attest.PayloadType, statement(1))
		if n := asked.Load(); gate.Code(err) != tt.code || n > 1 != tt.repeated || n > 12 {
			t.Errorf("%s: %v after %d tries, want %s", name, err, n, tt.code)
		}
		old.Close()
	}
}
