package goproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material/cas"
	"github.com/sello-release/sello/internal/material/goproxy"
	"github.com/sello-release/sello/internal/material/goproxytest"
)

var mod = goproxytest.Module{Path: "example.test/Upper/m", Version: "v1.0.0", Files: map[string]string{"m.go": "package m\n"}}

var quick = goproxy.Limits{Attempts: 3, Backoff: time.Millisecond, First: 5 * time.Second, Idle: 5 * time.Second}

// start runs a proxy in front of settings.
func start(t *testing.T, s goproxy.Settings, change ...func(*goproxy.Options)) *goproxy.Proxy {
	t.Helper()
	store, err := cas.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := goproxy.Options{Settings: s, Store: store, Limits: quick}
	for _, c := range change {
		c(&o)
	}
	p, err := goproxy.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// get asks the proxy as the go command would.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAnswersAreRecorded(t *testing.T) {
	server := goproxytest.New(t, mod)
	p := start(t, goproxy.Settings{GOPROXY: server.URL})
	zip, err := mod.Zip()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/example.test/!upper/m/@v/v1.0.0.zip":     string(zip),
		"/example.test/%21upper/m/@v/v1.0.0.mod":   mod.GoMod(),
		"/example.test/!upper/m/@v/list":           "v1.0.0\n",
		"/example.test/!upper/m/@v/v1.0.0.info":    `{"Version":"v1.0.0","Time":"2024-01-02T03:04:05Z"}`,
		"/example.test/!upper/m/@v/v1.0.0.zip?a=b": string(zip),
	} {
		if code, got := get(t, p.URL()+path); code != http.StatusOK || got != want {
			t.Errorf("%s: %d, %d bytes", path, code, len(got))
		}
	}
	rs := p.Records()
	if len(rs) != 3 {
		t.Fatalf("records: %+v", rs)
	}
	r, ok := p.Record(cas.Key{Module: mod.Path, Version: mod.Version, Kind: cas.Zip})
	if !ok || r.SHA256 != digest.Bytes(zip) || r.Size != int64(len(zip)) || r.Cached || r.Upstream != server.URL+"/example.test/%21upper/m/@v/v1.0.0.zip" || time.Since(r.Time) > time.Minute {
		t.Errorf("record: %+v", r)
	}
}

func TestOnlyTheProtocolIsServed(t *testing.T) {
	server := goproxytest.New(t, mod)
	p := start(t, goproxy.Settings{GOPROXY: server.URL})
	origin := p.URL()[:strings.LastIndex(p.URL(), "/")]
	for _, url := range []string{
		origin + "/example.test/!upper/m/@v/v1.0.0.zip", origin + "/", p.URL(), p.URL() + "/", p.URL() + "/x",
		p.URL() + "/example.test/Upper/m/@v/v1.0.0.zip", p.URL() + "/example.test/!upper/m/@v/v1.zip", p.URL() + "/example.test/!upper/m/@v/..%2f..%2fx.zip",
		p.URL() + "/sumdb/other.test/supported",
	} {
		if code, _ := get(t, url); code != http.StatusNotFound {
			t.Errorf("%s: %d", url, code)
		}
	}
	resp, err := http.Post(p.URL()+"/example.test/!upper/m/@v/list", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound || len(p.Records()) != 0 || len(server.Requests()) != 0 {
		t.Errorf("post: %d; records %v", resp.StatusCode, p.Records())
	}
}

func TestOneDownloadForManyRequests(t *testing.T) {
	server := goproxytest.New(t, mod)
	p := start(t, goproxy.Settings{GOPROXY: server.URL})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if code, _ := get(t, p.URL()+"/example.test/!upper/m/@v/v1.0.0.zip"); code != http.StatusOK {
				t.Errorf("code %d", code)
			}
		})
	}
	wg.Wait()
	if got := server.Requests(); len(got) != 1 {
		t.Errorf("asked for %v", got)
	}
}

func TestTransientFailuresAreTriedAgain(t *testing.T) {
	for name, fail := range map[string]func(http.ResponseWriter){
		"unavailable": func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"too many":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"cut off": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte("half"))
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := goproxytest.New(t, mod)
			var n atomic.Int32
			server.Hook(func(w http.ResponseWriter, _ *http.Request) bool {
				if n.Add(1) > 2 {
					return false
				}
				fail(w)
				return true
			})
			p := start(t, goproxy.Settings{GOPROXY: server.URL})
			if code, _ := get(t, p.URL()+"/example.test/!upper/m/@v/v1.0.0.zip"); code != http.StatusOK {
				t.Errorf("code %d", code)
			}
		})
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	server := goproxytest.New(t, mod)
	server.Hook(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	p := start(t, goproxy.Settings{GOPROXY: server.URL})
	if code, _ := get(t, p.URL()+"/example.test/!upper/m/@v/v1.0.0.zip"); code != http.StatusBadGateway {
		t.Errorf("code %d", code)
	}
	if got := server.Requests(); len(got) != quick.Attempts {
		t.Errorf("%d attempts", len(got))
	}
	if f := p.Failure(""); f == nil || f.Code != "fetch-proxy-failed" || f.Where != server.URL {
		t.Errorf("failure: %v", f)
	}
}

func TestAnUnreachableProxyIsNotTriedForEveryModule(t *testing.T) {
	dials := 0
	var mu sync.Mutex
	p := start(t, goproxy.Settings{GOPROXY: "http://127.0.0.1:1"}, func(o *goproxy.Options) {
		o.Client = roundTrip(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			dials++
			mu.Unlock()
			return http.DefaultTransport.RoundTrip(r)
		})
	})
	for i := range 5 {
		if code, text := get(t, fmt.Sprintf("%s/example.test/m%d/@v/v1.0.0.mod", p.URL(), i)); code != http.StatusBadGateway || !strings.Contains(text, "http://127.0.0.1:1") {
			t.Errorf("%d: %s", code, text)
		}
	}
	if dials != quick.Attempts {
		t.Errorf("%d connections", dials)
	}
	if gate.Code(p.Failure("")) != "fetch-proxy-unreachable" {
		t.Errorf("failure: %v", p.Failure(""))
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestADripEnds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}))
	t.Cleanup(server.Close)
	p := start(t, goproxy.Settings{GOPROXY: server.URL}, func(o *goproxy.Options) { o.Limits.Total = 100 * time.Millisecond })
	get(t, p.URL()+"/example.test/m/@v/v1.0.0.zip")
	if gate.Code(p.Failure("")) != "fetch-timeout" {
		t.Errorf("failure: %v", p.Failure(""))
	}
}

func TestIndexIsAHint(t *testing.T) {
	server := goproxytest.New(t, mod)
	store, err := cas.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	index, err := cas.NewIndex(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	k := cas.Key{Module: mod.Path, Version: mod.Version, Kind: cas.Mod}
	p := start(t, goproxy.Settings{GOPROXY: server.URL}, func(o *goproxy.Options) { o.Store, o.Index = store, index })
	// It names bytes that the store does not have.
	if err := index.Put(k, cas.Entry{SHA256: digest.Bytes([]byte("gone"))}); err != nil {
		t.Fatal(err)
	}
	if code, got := get(t, p.URL()+"/example.test/!upper/m/@v/v1.0.0.mod"); code != http.StatusOK || got != mod.GoMod() {
		t.Errorf("%d: %s", code, got)
	}
	if r, _ := p.Record(k); r.Cached {
		t.Errorf("record: %+v", r)
	}
	// It names bytes that are there: no upstream is asked.
	sums, err := store.Put(strings.NewReader("stored"), 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := index.Put(k, cas.Entry{SHA256: sums.SHA256, Size: sums.Size, Location: "https://first.test/x"}); err != nil {
		t.Fatal(err)
	}
	off := start(t, goproxy.Settings{GOPROXY: "off"}, func(o *goproxy.Options) { o.Store, o.Index = store, index })
	if code, got := get(t, off.URL()+"/example.test/!upper/m/@v/v1.0.0.mod"); code != http.StatusOK || got != "stored" {
		t.Errorf("%d: %s", code, got)
	}
	if r, _ := off.Record(k); !r.Cached || r.Upstream != "https://first.test/x" {
		t.Errorf("record: %+v", r)
	}
}

// fakeDirect stands for version control.
type fakeDirect map[string]string

func (d fakeDirect) Fetch(_ context.Context, r goproxy.Request) (io.ReadCloser, error) {
	if text, ok := d[r.Module+" "+r.Kind]; ok {
		return io.NopCloser(strings.NewReader(text)), nil
	}
	return nil, fs.ErrNotExist
}

func TestDirect(t *testing.T) {
	server := goproxytest.New(t, mod)
	vcs := fakeDirect{"private.test/m mod": "module private.test/m\n", mod.Path + " mod": "not asked"}
	direct := func(o *goproxy.Options) { o.Direct = vcs }
	for name, s := range map[string]goproxy.Settings{
		"after not found": {GOPROXY: server.URL + ",direct"},
		"for a pattern":   {GOPROXY: server.URL, GONOPROXY: "private.test"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, s, direct)
			if code, got := get(t, p.URL()+"/private.test/m/@v/v1.0.0.mod"); code != http.StatusOK || got != "module private.test/m\n" {
				t.Errorf("%d: %s", code, got)
			}
			if _, got := get(t, p.URL()+"/example.test/!upper/m/@v/v1.0.0.mod"); got != mod.GoMod() {
				t.Errorf("public module: %s", got)
			}
			if r, _ := p.Record(cas.Key{Module: "private.test/m", Version: "v1.0.0", Kind: cas.Mod}); r.Upstream != "direct" {
				t.Errorf("record: %+v", r)
			}
			if code, _ := get(t, p.URL()+"/private.test/m/@v/v1.0.0.zip"); code != http.StatusNotFound {
				t.Errorf("missing: %d", code)
			}
		})
	}
}

func TestSumDBTakesTheWayOfTheProtocol(t *testing.T) {
	const name = "sums.example.test"
	answer := func(prefix string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if path, ok := strings.CutPrefix(r.URL.Path, prefix); ok {
				fmt.Fprint(w, path)
				return
			}
			http.NotFound(w, r)
		}
	}
	with := httptest.NewServer(answer("/sumdb/" + name + "/"))
	without := httptest.NewServer(http.NotFoundHandler())
	own := httptest.NewServer(answer("/own/"))
	t.Cleanup(func() { with.Close(); without.Close(); own.Close() })
	for label, s := range map[string]goproxy.Settings{
		"through the first proxy that has it": {GOPROXY: without.URL + "," + with.URL, GOSUMDB: name},
		"to the URL in GOSUMDB":               {GOPROXY: "off", GOSUMDB: name + "+12345678+AAAA " + own.URL + "/own"},
	} {
		t.Run(label, func(t *testing.T) {
			p := start(t, s)
			if code, _ := get(t, p.URL()+"/sumdb/"+name+"/supported"); code != http.StatusOK {
				t.Errorf("supported: %d", code)
			}
			if code, got := get(t, p.URL()+"/sumdb/"+name+"/lookup/example.test/!m@v1.0.0"); code != http.StatusOK || got != "lookup/example.test/!m@v1.0.0" {
				t.Errorf("lookup: %d %q", code, got)
			}
			if strings.Contains(p.GOSUMDB(), "http") {
				t.Errorf("the go command would go around the proxy: %s", p.GOSUMDB())
			}
		})
	}
	p := start(t, goproxy.Settings{GOPROXY: with.URL, GOSUMDB: "off"})
	if code, _ := get(t, p.URL()+"/sumdb/"+name+"/supported"); code != http.StatusNotFound {
		t.Errorf("GOSUMDB=off: %d", code)
	}
}

func TestNetrcSendsAPasswordOnlyWhereItBelongs(t *testing.T) {
	server := goproxytest.New(t, mod)
	var seen atomic.Value
	server.Hook(func(_ http.ResponseWriter, r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		seen.Store(user + ":" + password)
		return false
	})
	path := filepath.Join(t.TempDir(), ".netrc")
	for text, want := range map[string]string{
		"machine 127.0.0.1 login u password p":                                                            "u:p",
		"machine other.test login u password p":                                                           ":",
		"default login u password p":                                                                      ":",
		"machine other.test login x password y machine 127.0.0.1\nlogin u\npassword p\n":                  "u:p",
		"macdef init\nmachine 127.0.0.1 login evil password evil\n\nmachine 127.0.0.1 login u password p": "u:p",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := start(t, goproxy.Settings{GOPROXY: server.URL}, func(o *goproxy.Options) { o.Netrc = path })
		get(t, p.URL()+"/example.test/!upper/m/@v/list")
		if seen.Load() != want {
			t.Errorf("%q: sent %q", text, seen.Load())
		}
	}
}

func TestBadSettings(t *testing.T) {
	for _, value := range []string{"", ",", "ftp://x.test", "file://host/x", "http://user:pa ss@x\x7f", "://"} {
		_, err := goproxy.Start(context.Background(), goproxy.Options{Settings: goproxy.Settings{GOPROXY: value}})
		if gate.Code(err) != "fetch-goproxy-invalid" {
			t.Errorf("%q: %v", value, err)
		}
		if err != nil && strings.Contains(err.Error(), "pa ss") {
			t.Errorf("the error quotes the password: %v", err)
		}
	}
}

func TestFetchRefusesWhatIsNoModule(t *testing.T) {
	p := start(t, goproxy.Settings{GOPROXY: "off"})
	for _, k := range []cas.Key{{Module: "../x", Version: "v1.0.0", Kind: cas.Zip}, {Module: "example.test/m", Version: "latest", Kind: cas.Zip}} {
		if _, err := p.Fetch(context.Background(), k); err == nil {
			t.Errorf("fetched %v", k)
		}
	}
	_, err := p.Fetch(context.Background(), cas.Key{Module: "example.test/m", Version: "v1.0.0", Kind: cas.Zip})
	if gate.Code(err) != "fetch-off" || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, path := range []string{
		"example.test/!upper/m/@v/v1.0.0.zip", "example.test/m/@v/list", "example.test/m/@latest", "example.test/m/@v/main.info",
		"sumdb/sums.test/lookup/example.test/m@v1.0.0", "sumdb/sums.test/tile/8/0/x001/002.p/3", "sumdb/a/../b/latest", "../@v/../x.zip", "a/@v/@v/b.mod",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, err := goproxy.ParseRequest(path)
		if err != nil {
			return
		}
		for elem := range strings.SplitSeq(r.Path, "/") {
			if elem == ".." || elem == "." || strings.ContainsAny(elem, "\\\x00\n ") {
				t.Errorf("%q goes upstream as %q", path, r.Path)
			}
		}
		if r.Kind == "sumdb" {
			return
		}
		if err := module.CheckPath(r.Module); err != nil {
			t.Errorf("%q: module %q: %v", path, r.Module, err)
		}
		if r.Path != path {
			t.Errorf("%q goes upstream as %q", path, r.Path)
		}
		if (r.Kind == cas.Zip || r.Kind == cas.Mod) && !r.Pinned() {
			t.Errorf("%q: version %q", path, r.Version)
		}
	})
}
