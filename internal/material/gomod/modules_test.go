package gomod_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/material/goproxytest"
)

func asRefusal(err error) *gate.Refusal {
	var r *gate.Refusal
	errors.As(err, &r)
	return r
}

func TestModulesOfAProgram(t *testing.T) {
	w := newWorld(t, modA, modB)
	m := w.modules(w.request(w.source(app(t))))

	if diff := cmp.Diff(map[string][]material.Program{"linux/amd64": {
		{ImportPath: "example.test/app/v3/cmd/app", BinaryName: "app", Module: "example.test/app/v3"},
	}}, m.Programs); diff != "" {
		t.Errorf("programs:\n%s", diff)
	}
	if diff := cmp.Diff([]material.Edge{
		{From: "example.test/a@v1.2.0", To: "example.test/Upper/b@v1.0.0"},
		{From: "example.test/app/v3", To: "example.test/a@v1.2.0"},
	}, m.Graph); diff != "" {
		t.Errorf("graph:\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"cache/download/example.test/!upper/b/@v/v1.0.0.mod",
		"cache/download/example.test/!upper/b/@v/v1.0.0.ziphash",
		"cache/download/example.test/a/@v/v1.2.0.mod",
		"cache/download/example.test/a/@v/v1.2.0.ziphash",
		"example.test/!upper/b@v1.0.0/b.go",
		"example.test/!upper/b@v1.0.0/go.mod",
		"example.test/a@v1.2.0/a.go",
		"example.test/a@v1.2.0/go.mod",
	}, tree(t, m.Cache)); diff != "" {
		t.Errorf("mounted files:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"example.test/Upper/b@v1.0.0", "example.test/a@v1.2.0"}, names(m.Materials)); diff != "" {
		t.Fatalf("materials:\n%s", diff)
	}
	a := m.Materials[1]
	if a.URI != "pkg:golang/example.test/a@v1.2.0" || a.Annotations["sumdb"] != "verified" ||
		!strings.Contains(goSum(t, modA), "example.test/a v1.2.0 "+a.Annotations["h1"]+"\n") ||
		a.DownloadLocation != w.server.URL+"/example.test/a/@v/v1.2.0.zip" || len(a.Digest["sha256"]) != 64 || len(a.Digest["dirHash"]) != 64 {
		t.Errorf("material: %+v", a)
	}
}

func TestModulesRefusals(t *testing.T) {
	lines := func(t *testing.T, m goproxytest.Module) string { return goSum(t, m) }
	for name, tc := range map[string]struct {
		code  string
		files map[string]string
		setup func(t *testing.T, w *world)
	}{
		"missing go.sum":            {code: "module-not-in-gosum", files: map[string]string{"go.sum": ""}},
		"go.sum without one module": {code: "module-not-in-gosum", files: map[string]string{"go.sum": goSum(t, modA)}},
		"malformed go.sum":          {code: "gosum-invalid", files: map[string]string{"go.sum": "two fields\n"}},
		"malformed go.mod":          {code: "gomod-invalid", files: map[string]string{"go.mod": "modul x\n"}},
		"go.sum names other bytes":  {code: "module-sum-mismatch", files: map[string]string{"go.sum": goSum(t, modA, another(modB))}},
		"tampered zip": {code: "module-sum-mismatch", setup: func(t *testing.T, w *world) {
			w.server.Claim(modB.Path, modB.Version, lines(t, modB))
			w.server.Add(t, another(modB))
		}},
		"zip and go.sum tampered": {code: "sumdb-mismatch", files: map[string]string{"go.sum": goSum(t, modA, another(modB))}, setup: func(t *testing.T, w *world) {
			w.server.Claim(modB.Path, modB.Version, lines(t, modB))
			w.server.Add(t, another(modB))
		}},
		"checksum database contradicts": {code: "sumdb-mismatch", setup: func(t *testing.T, w *world) {
			w.server.Claim(modA.Path, modA.Version, lines(t, another(modA)))
		}},
		"checksum database contradicts a go.mod file": {code: "sumdb-mismatch", setup: func(t *testing.T, w *world) {
			zip, _, _ := strings.Cut(lines(t, modA), "\n")
			_, mod, _ := strings.Cut(lines(t, modB), "\n")
			w.server.Claim(modA.Path, modA.Version, zip+"\n"+strings.Replace(mod, "example.test/Upper/b v1.0.0", "example.test/a v1.2.0", 1))
		}},
		"checksum database knows nothing": {code: "sumdb-mismatch", setup: func(t *testing.T, w *world) {
			w.server.Claim(modA.Path, modA.Version, "example.test/other v1.0.0 h1:AAAA\n")
		}},
		"checksum database does not know the module": {code: "sumdb-unknown", setup: func(_ *testing.T, w *world) {
			w.server.Hook(func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/db/lookup/") {
					return false
				}
				http.NotFound(rw, r)
				return true
			})
		}},
		"checksum database down": {code: "sumdb-unreachable", setup: func(_ *testing.T, w *world) {
			w.env["GOSUMDB"], _, _ = strings.Cut(w.server.GOSUMDB, " ")
			w.env["GOSUMDB"] += " http://127.0.0.1:1/"
		}},
		"checksum database fails": {code: "sumdb-unreachable", setup: func(_ *testing.T, w *world) {
			w.server.Hook(func(rw http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/db/") {
					http.Error(rw, "tired", http.StatusInternalServerError)
				}
				return strings.HasPrefix(r.URL.Path, "/db/")
			})
		}},
		"proxy down": {code: "fetch-proxy-unreachable", setup: func(_ *testing.T, w *world) {
			w.env["GOPROXY"] = "http://127.0.0.1:1"
		}},
		"proxy fails": {code: "fetch-proxy-failed", setup: func(_ *testing.T, w *world) {
			w.server.Hook(func(rw http.ResponseWriter, _ *http.Request) bool {
				http.Error(rw, "tired", http.StatusInternalServerError)
				return true
			})
		}},
		"proxy wants credentials": {code: "fetch-denied", setup: func(_ *testing.T, w *world) {
			w.server.Hook(func(rw http.ResponseWriter, _ *http.Request) bool {
				rw.WriteHeader(http.StatusUnauthorized)
				return true
			})
		}},
		"proxy slow": {code: "fetch-timeout", setup: func(_ *testing.T, w *world) {
			w.limits.First, w.limits.Attempts = 50*time.Millisecond, 1
			w.server.Hook(func(_ http.ResponseWriter, r *http.Request) bool {
				<-r.Context().Done()
				return true
			})
		}},
		"proxy stalls in the middle": {code: "fetch-timeout", setup: func(_ *testing.T, w *world) {
			w.limits.Idle, w.limits.Attempts = 50*time.Millisecond, 1
			w.server.Hook(func(rw http.ResponseWriter, r *http.Request) bool {
				rw.Write([]byte("PK"))
				rw.(http.Flusher).Flush()
				<-r.Context().Done()
				return true
			})
		}},
		"proxy sends without end": {code: "fetch-too-large", setup: func(_ *testing.T, w *world) {
			w.limits.File = 1000
			w.server.Hook(func(rw http.ResponseWriter, _ *http.Request) bool {
				rw.Write(make([]byte, 2000))
				return true
			})
		}},
		"proxy off":         {code: "fetch-off", setup: func(_ *testing.T, w *world) { w.env["GOPROXY"] = "off" }},
		"proxy not a URL":   {code: "fetch-goproxy-invalid", setup: func(_ *testing.T, w *world) { w.env["GOPROXY"] = "ftp://x.test" }},
		"import not in mod": {code: "go-list-failed", files: map[string]string{"cmd/app/x.go": "package main\n\nimport _ \"example.test/nowhere\"\n"}},
		"syntax error":      {code: "go-list-failed", files: map[string]string{"cmd/app/x.go": "package main\n\nimport \"\n"}},
		"no program":        {code: "no-programs", files: map[string]string{"cmd/app/main.go": "package app\n"}},
		"not for the target": {code: "no-programs", files: map[string]string{
			"cmd/app/main.go": "//go:build windows\n\npackage main\n\nfunc main() {}\n",
		}},
		"too new for the toolchain": {code: "toolchain-too-old", files: map[string]string{
			"go.mod": "module example.test/app/v3\n\ngo 1.999\n",
		}},
		"replaced outside": {code: "module-replace-outside", files: map[string]string{
			"go.mod": "module example.test/app/v3\n\ngo 1.21\n\nrequire example.test/a v1.2.0\n\nreplace example.test/a => ../a\n",
		}},
		"replaced by an absolute path": {code: "module-replace-outside", files: map[string]string{
			"go.mod": "module example.test/app/v3\n\ngo 1.21\n\nrequire example.test/a v1.2.0\n\nreplace example.test/a => /tmp\n",
		}},
		"workspace outside": {code: "module-replace-outside", files: map[string]string{
			"go.work": "go 1.21\n\nuse (\n\t.\n\t../other\n)\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, modA, modB)
			if tc.setup != nil {
				tc.setup(t, w)
			}
			r := w.refused(w.request(w.source(with(app(t), tc.files))), tc.code)
			if r.Fix == "" || r.What == "" {
				t.Errorf("a refusal says what and how to mend it: %+v", r)
			}
			for _, path := range tree(t, filepath.Join(w.cache, "index")) {
				if strings.Contains(path, ".zip") {
					t.Errorf("refused bytes have a name: %s", path)
				}
			}
		})
	}
}

func TestMissingGoModIsRefused(t *testing.T) {
	w := newWorld(t)
	files := app(t)
	delete(files, "go.mod")
	w.refused(w.request(w.source(files)), "module-missing")
	w.refused(w.request(w.source(app(t)), func(r *gomod.ModulesRequest) { r.Dir = "../x" }), "module-missing")
}

func TestPatternsAndVariables(t *testing.T) {
	for name, tc := range map[string]struct {
		code   string
		change func(*material.Target)
	}{
		"folder that is not there":    {"packages-not-found", func(t *material.Target) { t.Packages = []string{"./cmd/nothing"} }},
		"pattern that matches nought": {"packages-not-found", func(t *material.Target) { t.Packages = []string{"./nothing/..."} }},
		"excluded by constraints":     {"packages-not-found", func(t *material.Target) { t.Packages = []string{"./cmd/plan9"} }},
		"flag for a pattern":          {"target-invalid", func(t *material.Target) { t.Packages = []string{"-toolexec=evil"} }},
		"file for a pattern":          {"target-invalid", func(t *material.Target) { t.Packages = []string{"./cmd/app/main.go"} }},
		"no pattern":                  {"target-invalid", func(t *material.Target) { t.Packages = nil }},
		"GOFLAGS":                     {"target-invalid", func(t *material.Target) { t.Env = map[string]string{"GOFLAGS": "-toolexec=evil"} }},
		"GOCACHEPROG":                 {"target-invalid", func(t *material.Target) { t.Env = map[string]string{"GOCACHEPROG": "evil"} }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, modA, modB)
			files := with(app(t), map[string]string{"cmd/plan9/main.go": "//go:build plan9\n\npackage main\n\nfunc main() {}\n"})
			w.refused(w.request(w.source(files), func(r *gomod.ModulesRequest) {
				target := linux
				tc.change(&target)
				r.Targets = []material.Target{target}
			}), tc.code)
		})
	}
}

func TestTargetsDifferByTagsAndPlatform(t *testing.T) {
	w := newWorld(t, modA, modB, modExtra)
	files := with(app(t, modExtra), map[string]string{
		"go.mod":           app(t)["go.mod"] + "\nrequire example.test/extra v0.1.0\n",
		"cmd/app/extra.go": "//go:build withextra\n\npackage main\n\nimport _ \"example.test/extra\"\n",
		"cmd/win/main.go":  "//go:build windows\n\npackage main\n\nfunc main() {}\n",
	})
	windows := material.Target{Name: "windows/arm64", Env: map[string]string{"GOOS": "windows", "GOARCH": "arm64", "CGO_ENABLED": "0"}, Packages: []string{"./cmd/..."}}
	source := w.source(files)
	m := w.modules(w.request(source, func(r *gomod.ModulesRequest) { r.Targets = []material.Target{linux, windows} }))
	if len(m.Programs["linux/amd64"]) != 1 || len(m.Programs["windows/arm64"]) != 2 {
		t.Errorf("programs: %v", m.Programs)
	}
	if diff := cmp.Diff([]string{"example.test/Upper/b@v1.0.0", "example.test/a@v1.2.0"}, names(m.Materials)); diff != "" {
		t.Errorf("without the tag:\n%s", diff)
	}
	m = w.modules(w.request(source, func(r *gomod.ModulesRequest) {
		tagged := linux
		tagged.Tags = []string{"other", "withextra"}
		r.Targets = []material.Target{tagged}
	}))
	if diff := cmp.Diff([]string{"example.test/Upper/b@v1.0.0", "example.test/a@v1.2.0", "example.test/extra@v0.1.0"}, names(m.Materials)); diff != "" {
		t.Errorf("with the tag:\n%s", diff)
	}
}

func TestOnlyWhatProgramsNeedIsMounted(t *testing.T) {
	w := newWorld(t, modA, modB, modExtra)
	files := with(app(t, modExtra), map[string]string{
		"go.mod":     app(t)["go.mod"] + "\nrequire example.test/extra v0.1.0\n",
		"lib/lib.go": "package lib\n\nimport _ \"example.test/extra\"\n",
		"bad/bad.go": "package bad\n\nimport _ \"example.test/nowhere\"\n",
	})
	m := w.modules(w.request(w.source(files)))
	if diff := cmp.Diff([]string{"example.test/Upper/b@v1.0.0", "example.test/a@v1.2.0"}, names(m.Materials)); diff != "" {
		t.Errorf("materials:\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(m.Cache, "example.test", "extra@v0.1.0")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a module that no program needs is mounted: %v", err)
	}
}

func TestExemptionsAreRecorded(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"GONOSUMDB":   {"GONOSUMDB": "example.test"},
		"GOPRIVATE":   {"GOPRIVATE": "example.test/*", "GONOPROXY": "none"},
		"GOSUMDB=off": {"GOSUMDB": "off"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, modA, modB)
			w.env = with(w.env, env)
			w.server.Claim(modA.Path, modA.Version, "a lie")
			m := w.modules(w.request(w.source(app(t))))
			for _, one := range m.Materials {
				if one.Annotations["sumdb"] != "exempt" || one.Annotations["exemption"] == "" {
					t.Errorf("%s: %v", one.Name, one.Annotations)
				}
			}
		})
	}
}

func TestProxyListFallsThrough(t *testing.T) {
	missing := httptest.NewServer(http.NotFoundHandler())
	defer missing.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer broken.Close()
	t.Run("group", func(t *testing.T) {
		for name, tc := range map[string]struct{ before, code string }{
			"comma after not found": {missing.URL + ",", ""},
			"comma after a failure": {broken.URL + ",", "fetch-proxy-failed"},
			"bar after a failure":   {broken.URL + "|", ""},
			"bar after no answer":   {"http://127.0.0.1:1|", ""},
		} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, modA, modB)
				w.env["GOPROXY"] = tc.before + w.server.URL
				if r := w.request(w.source(app(t))); tc.code != "" {
					w.refused(r, tc.code)
				} else {
					w.modules(r)
				}
			})
		}
	})
}

func TestFileProxy(t *testing.T) {
	w := newWorld(t, modA, modB)
	dir := tempDir(t)
	w.server.WriteTo(t, dir)
	w.env["GOPROXY"] = "file://" + filepath.ToSlash(dir)
	w.modules(w.request(w.source(app(t))))
}

func TestNothingIsLeftBehind(t *testing.T) {
	w := newWorld(t, modA, modB)
	r := w.request(w.source(app(t)))
	w.modules(r)
	time.Sleep(300 * time.Millisecond) // a process that outlived the go command would write by now
	for dir, want := range map[string]string{r.Work: "modules", filepath.Join(w.cache, "tmp"): ""} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != want {
				t.Errorf("left behind: %s", filepath.Join(dir, e.Name()))
			}
		}
	}
}

func TestWarmCacheNeedsNoNetwork(t *testing.T) {
	w := newWorld(t, modA, modB)
	source := w.source(app(t))
	cold := w.modules(w.request(source))
	w.server.Requests()
	w.server.Hook(func(rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(http.StatusTeapot); return true })
	warm := w.modules(w.request(source))
	if got := w.server.Requests(); len(got) != 0 {
		t.Errorf("asked for %v", got)
	}
	if diff := cmp.Diff(cold.Materials, warm.Materials); diff != "" {
		t.Errorf("materials differ:\n%s", diff)
	}
}

func TestAnotherDatabaseIsAskedAgain(t *testing.T) {
	w := newWorld(t, modA, modB)
	w.env["GOSUMDB"] = "off"
	source := w.source(app(t))
	w.modules(w.request(source))
	w.env["GOSUMDB"] = w.server.GOSUMDB
	w.server.Claim(modB.Path, modB.Version, goSum(t, another(modB)))
	w.refused(w.request(source), "sumdb-mismatch")
}

func TestCorruptStoreIsFetchedAgain(t *testing.T) {
	w := newWorld(t, modA, modB)
	source := w.source(app(t))
	want := w.modules(w.request(source))
	store := filepath.Join(w.cache, "cas", "sha256")
	for _, name := range tree(t, store) {
		path := filepath.Join(store, filepath.FromSlash(name))
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("spoiled"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := w.modules(w.request(source))
	if diff := cmp.Diff(want.Cache == got.Cache, false); diff != "" || len(got.Materials) != len(want.Materials) {
		t.Errorf("got %v", got)
	}
	for i := range got.Materials {
		if diff := cmp.Diff(want.Materials[i].Digest, got.Materials[i].Digest); diff != "" {
			t.Errorf("digests:\n%s", diff)
		}
	}
}

func TestPrivateModulePublishedAgain(t *testing.T) {
	w := newWorld(t, modA, modB)
	w.env["GONOSUMDB"] = "example.test"
	w.modules(w.request(w.source(app(t))))
	newB := another(modB)
	w.server.Add(t, newB)
	m := w.modules(w.request(w.source(with(app(t), map[string]string{"go.sum": goSum(t, modA, newB)}))))
	if !strings.Contains(goSum(t, newB), m.Materials[0].Annotations["h1"]) {
		t.Errorf("the stored module stood in the way of the one that go.sum names: %v", m.Materials[0])
	}
	w.refused(w.request(w.source(app(t))), "module-sum-mismatch")
}

func TestTwoFetchersShareACache(t *testing.T) {
	w := newWorld(t, modA, modB)
	source := w.source(app(t))
	requests := []gomod.ModulesRequest{w.request(source), w.request(source), w.request(source)}
	errs := make(chan error)
	for _, r := range requests {
		f := w.fetcher()
		go func() {
			m, err := f.Modules(context.Background(), r)
			if err == nil && len(m.Materials) != 2 {
				err = errors.New("materials are missing")
			}
			errs <- err
		}()
	}
	for range requests {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestCredentialsStaySecret(t *testing.T) {
	const user, password = "somebody", "s3cr3t-word"
	for _, fail := range []bool{false, true} {
		for _, viaNetrc := range []bool{false, true} {
			t.Run("", func(t *testing.T) {
				w := newWorld(t, modA, modB)
				w.server.Hook(func(rw http.ResponseWriter, r *http.Request) bool {
					u, p, _ := r.BasicAuth()
					if fail || strings.HasPrefix(r.URL.Path, "/mods") && (u != user || p != password) {
						http.Error(rw, "no entry for "+u+" with "+p, http.StatusUnauthorized)
						return true
					}
					return false
				})
				if viaNetrc {
					write(t, w.env["HOME"], map[string]string{".netrc": "machine 127.0.0.1 login " + user + " password " + password + "\n"})
				} else {
					w.env["GOPROXY"] = strings.Replace(w.server.URL, "://", "://"+user+":"+password+"@", 1)
				}
				m, err := w.fetcher().Modules(context.Background(), w.request(w.source(app(t))))
				if fail {
					wantCode(t, err, "fetch-denied")
				} else if err != nil {
					t.Fatal(err)
				}
				text := strings.Join(w.lines, "\n")
				if err != nil {
					text += err.Error()
				}
				for _, one := range m.Materials {
					text += one.DownloadLocation + one.URI
				}
				for _, name := range tree(t, w.cache) {
					data, err := os.ReadFile(filepath.Join(w.cache, name))
					if err != nil {
						t.Fatal(err)
					}
					text += string(data)
				}
				for _, secret := range []string{password, user + ":"} {
					if strings.Contains(text, secret) {
						t.Errorf("%q leaks", secret)
					}
				}
			})
		}
	}
}

func TestCancelEndsEverything(t *testing.T) {
	w := newWorld(t, modA, modB)
	ctx, cancel := context.WithCancel(context.Background())
	w.server.Hook(func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	})
	done := make(chan error)
	r, f := w.request(w.source(app(t))), w.fetcher()
	go func() { _, err := f.Modules(ctx, r); done <- err }()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("did not end")
	}
	if left, _ := os.ReadDir(r.Work); len(left) != 0 {
		t.Errorf("scratch is left behind: %v", left)
	}
}

func TestFrozenCryptographyComesFromTheToolchain(t *testing.T) {
	w := newWorld(t, modA, modB)
	files := with(app(t), map[string]string{"cmd/app/sum.go": "package main\n\nimport _ \"crypto/sha256\"\n"})
	zips, _ := filepath.Glob(filepath.Join(machineToolchain(t).Root, "lib", "fips140", "v1.0.0-*.zip"))
	if len(zips) != 1 {
		t.Skip("this toolchain has no frozen cryptography")
	}
	m := w.modules(w.request(w.source(files), func(r *gomod.ModulesRequest) {
		target := linux
		target.Env = with(linux.Env, map[string]string{"GOFIPS140": "v1.0.0"})
		r.Targets = []material.Target{target}
	}))
	name := "golang.org/fips140@" + strings.TrimSuffix(filepath.Base(zips[0]), ".zip")
	if diff := cmp.Diff([]string{"example.test/Upper/b@v1.0.0", "example.test/a@v1.2.0", name}, names(m.Materials)); diff != "" {
		t.Fatalf("materials:\n%s", diff)
	}
	if m.Materials[2].Annotations["origin"] != "toolchain" || len(m.Materials[2].Digest["dirHash"]) != 64 {
		t.Errorf("material: %+v", m.Materials[2])
	}
	if _, err := os.Stat(filepath.Join(m.Cache, filepath.FromSlash(name))); err != nil {
		t.Error(err)
	}
}

func TestOldModulesLoadEveryGoMod(t *testing.T) {
	old := modA
	old.Files = with(modA.Files, map[string]string{"go.mod": "module example.test/a\n\ngo 1.16\n\nrequire (\n\texample.test/Upper/b v1.0.0\n\texample.test/extra v0.1.0\n)\n"})
	oldB, oldExtra := modB, modExtra // a module cannot be older than what it needs
	oldB.Files = with(modB.Files, map[string]string{"go.mod": "module example.test/Upper/b\n\ngo 1.16\n"})
	oldExtra.Files = with(modExtra.Files, map[string]string{"go.mod": "module example.test/extra\n\ngo 1.16\n"})
	w := newWorld(t, old, oldB, oldExtra)
	files := with(app(t), map[string]string{"go.mod": "module example.test/app/v3\n\ngo 1.16\n\nrequire example.test/a v1.2.0\n", "go.sum": goSum(t, old, oldB, oldExtra)})
	request := w.request(w.source(files))
	m := w.modules(request)
	if diff := cmp.Diff([]string{"example.test/Upper/b@v1.0.0", "example.test/a@v1.2.0", "example.test/extra@v0.1.0/go.mod"}, names(m.Materials)); diff != "" {
		t.Fatalf("materials:\n%s", diff)
	}
	for _, path := range w.server.Requests() {
		if strings.HasSuffix(path, "/extra/@v/v0.1.0.zip") {
			t.Error("a zip was downloaded of which only the go.mod file is needed")
		}
	}
	extra := m.Materials[2]
	if extra.URI != "pkg:golang/example.test/extra@v0.1.0#go.mod" || extra.Annotations["sumdb"] != "verified" || !strings.Contains(goSum(t, oldExtra), "v0.1.0/go.mod "+extra.Annotations["h1"]) {
		t.Errorf("material: %+v", extra)
	}
	lied := goproxytest.Module{Path: modExtra.Path, Version: modExtra.Version, Files: map[string]string{"go.mod": "module example.test/extra\n\ngo 1.15\n"}}
	cold := anotherWorld(t, old, oldB, oldExtra)
	cold.server.Claim(modExtra.Path, modExtra.Version, goSum(t, lied))
	cold.refused(request, "sumdb-mismatch")
}
