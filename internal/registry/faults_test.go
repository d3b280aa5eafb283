package registry_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
)

func TestOneRequestInFiveFailsAndNoFinishedBlobIsSentAgain(t *testing.T) {
	eachKind(t, func(t *testing.T, k rt.Kind, host string) {
		proxy := rt.NewProxy(t, host)
		var n atomic.Int64
		var mu sync.Mutex
		finished := map[string]int{}
		proxy.Before = func(w http.ResponseWriter, _ *http.Request) bool {
			i := n.Add(1)
			if i%5 != 0 {
				return false
			}
			switch i % 15 {
			case 0:
				w.Header().Set("Retry-After", "0")
				http.Error(w, "slow down", http.StatusTooManyRequests)
			case 5:
				http.Error(w, "not now", http.StatusServiceUnavailable)
			default:
				rt.Drop(w)
			}
			return true
		}
		proxy.After = func(r *http.Response) error {
			if r.Request.Method == http.MethodPut && r.StatusCode == http.StatusCreated && strings.Contains(r.Request.URL.Path, "/blobs/") {
				mu.Lock()
				finished[r.Request.URL.Query().Get("digest")]++
				mu.Unlock()
			}
			return nil
		}
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 1, Layers: 6, Size: 300_000, Attested: true})
		to := open(t, proxy.Host+"/shaky", quick())
		stats := mustCopy(t, m, to, root)
		if _, err := registry.TagNew(t.Context(), to, root, "v1"); err != nil {
			t.Fatal(err)
		}
		mustHold(t, open(t, host+"/shaky", quick()), root, 2)
		for d, times := range finished {
			if times > 1 {
				t.Errorf("%s was sent %d times", d, times)
			}
		}
		if int(stats.Sent) != len(finished) {
			t.Errorf("sent %d, finished %d", stats.Sent, len(finished))
		}
		_ = k
	})
}

func TestAnUploadThatBreaksOffIsSentAgainAlone(t *testing.T) {
	t.Parallel()
	proxy := rt.NewProxy(t, rt.InProcess(t))
	var once sync.Once
	proxy.Before = func(w http.ResponseWriter, r *http.Request) (done bool) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/") && r.ContentLength > 10_000 {
			once.Do(func() {
				_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
				rt.Drop(w)
				done = true
			})
		}
		return done
	}
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1, Size: 2 << 20, Layers: 3})
	to := open(t, proxy.Host+"/r", quick())
	mustCopy(t, m, to, root)
	counts, _ := proxy.Counts()
	if counts["PUT blobs/uploads"] != 8+1 { // six layers, two configs, and one again
		t.Errorf("%v", counts)
	}
	mustHold(t, to, root, 0)
}

// half ends with an error after n bytes.
type half struct {
	io.ReadCloser
	n int64
}

func (h *half) Read(p []byte) (int, error) {
	if h.n <= 0 {
		return 0, errors.New("cut off")
	}
	n, err := h.ReadCloser.Read(p[:min(int64(len(p)), h.n)])
	h.n -= int64(n)
	return n, err
}

func TestADownloadThatBreaksOffGoesOnWhereItWas(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		layer := m.Add(ocispec.MediaTypeImageLayer, rt.Bytes(7, 1<<20))
		if err := open(t, host+"/r", quick()).PushFrom(t.Context(), layer, func() (io.ReadCloser, error) { return m.Fetch(t.Context(), layer) }); err != nil {
			t.Fatal(err)
		}
		proxy := rt.NewProxy(t, host)
		var served atomic.Int64
		proxy.After = func(r *http.Response) error {
			if strings.Contains(r.Request.URL.Path, "/blobs/") && r.Request.Method == http.MethodGet {
				served.Add(1)
				r.Body = &half{ReadCloser: r.Body, n: 300_000}
			}
			return nil
		}
		rc, err := open(t, proxy.Host+"/r", quick()).Fetch(t.Context(), layer)
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		got, err := io.ReadAll(rc)
		if err != nil || !bytes.Equal(got, rt.Bytes(7, 1<<20)) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if n := served.Load(); n != 4 {
			t.Errorf("asked %d times, want 4 parts", n)
		}
	})
}

// tokens asks for bearer tokens that are good for a few requests each.
type tokens struct {
	mu     sync.Mutex
	issued int
	left   map[string]int // by token: requests that it is still good for
	life   int
	logins []string
}

func (k *tokens) before(w http.ResponseWriter, r *http.Request) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.URL.Path == "/token" {
		k.issued++
		k.left[fmt.Sprintf("Bearer token-%d", k.issued)] = k.life
		user, password, _ := r.BasicAuth()
		k.logins = append(k.logins, user+":"+password)
		fmt.Fprintf(w, `{"token":"token-%d"}`, k.issued)
		return true
	}
	if a := r.Header.Get("Authorization"); k.left[a] > 0 {
		k.left[a]--
		return false
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test",scope="repository:r:pull,push"`, r.Host))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"token expired"}]}`)
	return true
}

func TestATokenThatRunsOutIsRenewed(t *testing.T) {
	t.Parallel()
	proxy := rt.NewProxy(t, rt.InProcess(t))
	k := &tokens{life: 6, left: map[string]int{}}
	proxy.Before = k.before
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1, Layers: 4, Attested: true})
	o := quick()
	o.Credentials = func(context.Context, string) (auth.Credential, error) {
		return auth.Credential{Username: "releaser", Password: "hunter2"}, nil
	}
	to := open(t, proxy.Host+"/r", o)
	if _, err := registry.Copy(t.Context(), m, to, root, registry.CopyOptions{Concurrency: 2}); err != nil {
		t.Fatal(err)
	}
	if k.issued < 5 || k.logins[0] != "releaser:hunter2" {
		t.Errorf("%d tokens, first login %q", k.issued, k.logins[0])
	}
}

// failing starts a proxy whose every answer is one thing.
func failing(t *testing.T, answer http.HandlerFunc) *registry.Repository {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	o := quick()
	o.Attempts = 3
	return open(t, strings.TrimPrefix(s.URL, "http://")+"/r", o)
}

func TestAnswersThatEndARequest(t *testing.T) {
	t.Parallel()
	say := func(status int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(header, value)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const oci = "application/json"
	cases := map[string]struct {
		answer http.HandlerFunc
		code   string
	}{
		"web page":              {say(200, "Content-Type", "text/html; charset=utf-8", "<html>log in"), "registry-not-oci"},
		"json that is no image": {say(200, "Content-Type", oci, "{}"), "registry-not-oci"},
		"unauthorized":          {say(401, "Content-Type", oci, ""), "registry-denied"},
		"forbidden":             {say(403, "Content-Type", oci, `{"errors":[{"code":"DENIED","message":"no"}]}`), "registry-denied"},
		"not found":             {say(404, "Content-Type", oci, ""), "image-missing"},
		"always busy":           {say(503, "Content-Type", oci, ""), "registry-unavailable"},
		"always too many":       {say(429, "Content-Type", oci, ""), "registry-throttled"},
		"come back tomorrow":    {say(429, "Retry-After", "86400", ""), "registry-throttled"},
		"teapot":                {say(418, "Content-Type", oci, ""), "registry-rejected"},
		"redirect in circles":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 307) }, "registry-redirect"},
		"redirect to plain http": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://registry.example/v2/?X-Signature=hunter2", 307)
		}, "registry-redirect"},
		"redirect to a file": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "file:///etc/passwd", 307) }, "registry-redirect"},
		"redirect with a login": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://user:hunter2@registry.example/v2/", 307)
		}, "registry-redirect"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := failing(t, c.answer).Resolve(t.Context(), "v1")
			r := wantCode(t, err, c.code)
			if r.Fix == "" || r.Where == "" || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%#v", r)
			}
		})
	}
}

func TestARepositoryThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := open(t, rt.InProcess(t)+"/none", quick()).Tags(t.Context())
	wantCode(t, err, "registry-missing")
	_, err = open(t, "127.0.0.1:1/none", quick()).Tags(t.Context())
	wantCode(t, err, "registry-unavailable")
}

func TestACertificateThatNobodyVouchesFor(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(rt.Handler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "https://")
	o := quick()
	o.HTTPS = true
	_, err := open(t, host+"/r", o).Resolve(t.Context(), "v1")
	if r := wantCode(t, err, "registry-tls"); !strings.Contains(r.Fix, "SSL_CERT_FILE") {
		t.Errorf("fix %q", r.Fix)
	}
	o.RootCAs = x509.NewCertPool()
	o.RootCAs.AddCert(s.Certificate())
	_, err = open(t, host+"/r", o).Resolve(t.Context(), "v1")
	wantCode(t, err, "image-missing")

	plain := rt.InProcess(t)
	_, err = open(t, plain+"/r", o).Resolve(t.Context(), "v1")
	wantCode(t, err, "registry-tls")
}

func TestARedirectNeverGetsCredentialsAndNeverLosesEncryption(t *testing.T) {
	t.Parallel()
	layer := rt.Bytes(3, 5000)
	var leaked atomic.Value
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			leaked.Store(a)
		}
		_, _ = w.Write(layer)
	}))
	t.Cleanup(elsewhere.Close)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, elsewhere.URL+"/blob?X-Amz-Signature=secret", http.StatusTemporaryRedirect)
	})
	o := quick()
	o.Credentials = func(context.Context, string) (auth.Credential, error) {
		return auth.Credential{Username: "releaser", Password: "hunter2"}, nil
	}
	m := rt.NewMemory()
	desc := m.Add(ocispec.MediaTypeImageLayer, layer)

	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	repo := open(t, strings.TrimPrefix(plain.URL, "http://")+"/r", o)
	rc, err := repo.Fetch(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, layer) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if a := leaked.Load(); a != nil {
		t.Errorf("the other host got %v", a)
	}
	err = repo.Push(t.Context(), desc, bytes.NewReader(layer))
	wantCode(t, err, "registry-redirect")

	secure := httptest.NewTLSServer(handler)
	t.Cleanup(secure.Close)
	o.HTTPS, o.RootCAs = true, x509.NewCertPool()
	o.RootCAs.AddCert(secure.Certificate())
	_, err = open(t, strings.TrimPrefix(secure.URL, "https://")+"/r", o).Fetch(t.Context(), desc)
	if r := wantCode(t, err, "registry-redirect"); strings.Contains(r.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func TestAnUploadIsNotSentToAnotherHost(t *testing.T) {
	t.Parallel()
	var got atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	t.Cleanup(other.Close)
	repo := failing(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", other.URL+"/upload?_state=secret")
		w.WriteHeader(http.StatusAccepted)
	})
	m := rt.NewMemory()
	err := repo.Push(t.Context(), m.Add(ocispec.MediaTypeImageLayer, []byte("layer")), strings.NewReader("layer"))
	if r := wantCode(t, err, "registry-redirect"); got.Load() > 0 || strings.Contains(r.Error(), "secret") {
		t.Errorf("%d requests, %v", got.Load(), err)
	}
}

func TestATransferThatStandsStillEnds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(make([]byte, 10))
		w.(http.Flusher).Flush()
		<-release
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	o := quick()
	o.Attempts, o.Stall = 2, 50*time.Millisecond
	m := rt.NewMemory()
	desc := m.Add(ocispec.MediaTypeImageLayer, make([]byte, 1000))
	rc, err := open(t, strings.TrimPrefix(s.URL, "http://")+"/r", o).Fetch(t.Context(), desc)
	if err == nil {
		defer rc.Close()
		_, err = io.ReadAll(rc)
	}
	wantCode(t, err, "registry-unavailable")
}

// Where there is no referrers API a list of referrers is a tag that somebody can delete: what is attached is listed again.
func TestAttachListsAgain(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 1, Attested: true})
		repo := open(t, host+"/lost", quick())
		if _, err := registry.Copy(t.Context(), m, repo, root, registry.CopyOptions{}); err != nil {
			t.Fatal(err)
		}
		attached, err := m.Referrers(t.Context(), root, "")
		if err != nil || len(attached) == 0 {
			t.Fatal(attached, err)
		}
		list := "sha256-" + root.Digest.Encoded()
		if _, err := repo.Resolve(t.Context(), list); err == nil { // by the tag scheme
			empty := m.AddJSON(ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}})
			if _, err := registry.Copy(t.Context(), m, repo, empty, registry.CopyOptions{WithoutReferrers: true}); err != nil {
				t.Fatal(err)
			}
			if err := repo.Tag(t.Context(), empty, list); err != nil {
				t.Fatal(err)
			}
		}
		again := open(t, host+"/lost", quick())
		if _, err := registry.Attach(t.Context(), m, again, root, attached); err != nil {
			t.Fatal(err)
		}
		if got, err := again.Referrers(t.Context(), root, ""); err != nil || len(got) != len(attached) {
			t.Errorf("%d referrers, want %d: %v", len(got), len(attached), err)
		}
	})
}

// Missing finds a blob that the registry lost.
func TestMissing(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 1, Layers: 2})
		repo := open(t, host+"/parts", quick())
		missing, err := registry.Missing(t.Context(), repo, root)
		if err != nil || len(missing) != 1 || missing[0].Digest != root.Digest {
			t.Fatalf("of nothing: %v, %v", missing, err)
		}
		if _, err := registry.Copy(t.Context(), m, repo, root, registry.CopyOptions{}); err != nil {
			t.Fatal(err)
		}
		if missing, err = registry.Missing(t.Context(), repo, root); err != nil || len(missing) != 0 {
			t.Errorf("of all: %v, %v", missing, err)
		}
		lost := m.Add(ocispec.MediaTypeImageLayer, []byte("lost"))
		if missing, err = registry.Missing(t.Context(), repo, root, lost); err != nil || len(missing) != 1 || missing[0].Digest != lost.Digest {
			t.Errorf("of one more: %v, %v", missing, err)
		}
	})
}

func TestARunThatIsInterruptedIsFinishedByTheNext(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 1, Layers: 5, Size: 50_000, Attested: true})
		proxy := rt.NewProxy(t, host)
		var n, limit atomic.Int64
		proxy.Before = func(w http.ResponseWriter, _ *http.Request) bool {
			if n.Add(1) > limit.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
		o := quick()
		o.Attempts = 2
		runs := 0
		var sum registry.CopyStats
		for limit.Store(9); ; limit.Add(2) {
			n.Store(0)
			stats, err := registry.Copy(t.Context(), m, open(t, proxy.Host+"/r", o), root, registry.CopyOptions{Concurrency: 2})
			sum = sum.Add(stats)
			if runs++; err == nil {
				break
			}
			if code := gate.Code(err); code != "registry-unavailable" {
				t.Fatal(err)
			}
			direct := open(t, host+"/r", quick())
			if _, err := direct.Resolve(t.Context(), root.Digest.String()); err == nil {
				mustHold(t, direct, root, -1) // the index is there only after what it names
			}
		}
		mustHold(t, open(t, host+"/r", quick()), root, 2)
		t.Logf("%d runs, %+v", runs, sum)
		if runs < 3 || sum.Sent > 19 { // ten layers, two configs, the empty config, six bundles
			t.Errorf("%d runs, %+v", runs, sum)
		}
	})
}
