package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// serve starts a server on loopback that ends with the session, and gives its URL in a variable. It serves the files
// of a folder as a bucket does, without lists of them, or sends everyone elsewhere:
//
//	serve NAME DIR          files, over http
//	serve NAME -to URL      redirects to the same path below URL; "self" for endless ones
//	serve NAME -tls -to URL the same over https, with a certificate in $NAME_CERT
func serve(ts *testscript.TestScript, neg bool, args []string) {
	tls := len(args) > 1 && args[1] == "-tls"
	if tls {
		args = append(args[:1], args[2:]...)
	}
	var handler http.Handler
	switch {
	case !neg && len(args) == 2:
		handler = files(ts.MkAbs(args[1]))
	case !neg && len(args) == 3 && args[1] == "-to":
		handler = elsewhere(args[2])
	default:
		ts.Fatalf("usage: serve NAME [-tls] DIR | -to URL")
	}
	s := httptest.NewUnstartedServer(handler)
	if tls {
		s.StartTLS()
		cert := ts.MkAbs(args[0] + ".pem")
		ts.Check(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644))
		ts.Setenv(args[0]+"_CERT", cert)
	} else {
		s.Start()
	}
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}

func files(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Join(dir, filepath.FromSlash(path.Clean("/"+r.URL.Path)))
		f, err := os.Open(name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, name, info.ModTime(), f)
	})
}

func elsewhere(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := strings.TrimSuffix(to, "/") + r.URL.Path
		if to == "self" {
			target = r.URL.Path + "?again"
		}
		http.Redirect(w, r, target, http.StatusFound)
	})
}
