// Package goproxytest is a Go module proxy with a checksum database, for tests:
// both hold what a test makes up, and both can be made to lie or to fail.
package goproxytest

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"
)

// Module is one version of a module. Files without a go.mod get one that names the path.
type Module struct {
	Path, Version string
	Files         map[string]string // by slash-separated path
	Time          string            // of the version, RFC 3339; "" is a day in 2024, "-" is none
}

// Server serves modules below URL, and a checksum database that GOSUMDB names.
type Server struct {
	URL     string // value for GOPROXY
	GOSUMDB string // value for GOSUMDB: verifier key and URL
	DBName  string // name of the checksum database

	mu       sync.Mutex
	files    map[string][]byte // by path of the proxy protocol
	mods     map[module.Version]Module
	sums     map[module.Version]string // lines that the checksum database gives instead of the truth
	hook     func(http.ResponseWriter, *http.Request) bool
	requests []string
}

// New starts a server that ends with the test.
func New(t testing.TB, mods ...Module) *Server {
	t.Helper()
	s := &Server{files: map[string][]byte{}, mods: map[module.Version]Module{}, sums: map[module.Version]string{}, DBName: "sums.example.test"}
	signer, verifier, err := note.GenerateKey(rand.Reader, s.DBName)
	if err != nil {
		t.Fatal(err)
	}
	db := sumdb.NewServer(sumdb.NewTestServer(signer, s.goSum))
	mux := http.NewServeMux()
	mux.Handle("/db/", http.StripPrefix("/db", db))
	mux.Handle("/mods/", http.StripPrefix("/mods", http.HandlerFunc(s.serveFile)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.URL.Path)
		hook := s.hook
		s.mu.Unlock()
		if hook == nil || !hook(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.URL, s.GOSUMDB = server.URL+"/mods", verifier+" "+server.URL+"/db"
	for _, m := range mods {
		s.Add(t, m)
	}
	return s
}

// Add publishes a module version, or publishes it again with other files.
func (s *Server) Add(t testing.TB, m Module) {
	t.Helper()
	data, err := m.Zip()
	if err != nil {
		t.Fatal(err)
	}
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mods[module.Version{Path: m.Path, Version: m.Version}] = m
	base := escaped + "/@v/"
	s.files[base+version+".zip"] = data
	s.files[base+version+".mod"] = []byte(m.GoMod())
	switch m.Time {
	case "":
		m.Time = "2024-01-02T03:04:05Z"
	case "-":
		s.files[base+version+".info"] = fmt.Appendf(nil, `{"Version":%q}`, m.Version)
	}
	if m.Time != "-" {
		s.files[base+version+".info"] = fmt.Appendf(nil, `{"Version":%q,"Time":%q}`, m.Version, m.Time)
	}
	var versions []string
	for mv := range s.mods {
		if mv.Path == m.Path && !module.IsPseudoVersion(mv.Version) {
			versions = append(versions, mv.Version)
		}
	}
	semver.Sort(versions)
	s.files[base+"list"] = []byte(strings.Join(versions, "\n") + "\n")
}

// Claim makes the checksum database give other lines for a module version.
func (s *Server) Claim(path, version, lines string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sums[module.Version{Path: path, Version: version}] = lines
}

// Hook is asked first about each request, and reports whether it answered. Nil takes it away.
func (s *Server) Hook(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = f
}

// Requests gives the paths asked for so far, and forgets them.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// WriteTo writes the proxy as a tree of files, for a file:// URL.
func (s *Server) WriteTo(t testing.TB, dir string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, data := range s.files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	data, ok := s.files[strings.TrimPrefix(r.URL.Path, "/")]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Write(data) //nolint:errcheck // a test's client that went away
}

// goSum gives the checksum database's lines.
func (s *Server) goSum(path, version string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mv := module.Version{Path: path, Version: version}
	if lines, ok := s.sums[mv]; ok {
		return []byte(lines), nil
	}
	m, ok := s.mods[mv]
	if !ok {
		return nil, fmt.Errorf("unknown module %s: %w", mv, os.ErrNotExist)
	}
	lines, err := m.GoSum()
	return []byte(lines), err
}

// GoMod is the module's go.mod file.
func (m Module) GoMod() string {
	if text, ok := m.Files["go.mod"]; ok {
		return text
	}
	return "module " + m.Path + "\n\ngo 1.21\n"
}

// Zip is the module's zip.
func (m Module) Zip() ([]byte, error) {
	files := maps.Clone(m.Files)
	if files == nil {
		files = map[string]string{}
	}
	files["go.mod"] = m.GoMod()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(m.Path + "@" + m.Version + "/" + name)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// GoSum gives the module's two lines of a go.sum file.
func (m Module) GoSum() (string, error) {
	data, err := m.Zip()
	if err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp("", "goproxytest-*.zip")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if _, err := tmp.Write(data); err != nil {
		return "", err
	}
	h1, err := dirhash.HashZip(tmp.Name(), dirhash.Hash1)
	if err != nil {
		return "", err
	}
	mod, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(m.GoMod())), nil
	})
	return fmt.Sprintf("%s %s %s\n%s %s/go.mod %s\n", m.Path, m.Version, h1, m.Path, m.Version, mod), err
}
