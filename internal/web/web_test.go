package web

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func parse(t *testing.T, s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	req := func(s string) *http.Request { return &http.Request{URL: parse(t, s)} }
	secure, plain := req("https://a.example/x"), req("http://a.example/x")
	for _, tt := range []struct {
		to   *http.Request
		via  []*http.Request
		good bool
	}{
		{secure, []*http.Request{secure}, true},
		{secure, []*http.Request{plain}, true},
		{plain, []*http.Request{plain}, true},
		{plain, []*http.Request{secure}, false},
		{plain, []*http.Request{secure, secure}, false},
		{secure, []*http.Request{secure, secure, secure, secure, secure}, true},
		{secure, []*http.Request{secure, secure, secure, secure, secure, secure}, false},
	} {
		if err := checkRedirect(tt.to, tt.via); (err == nil) != tt.good {
			t.Errorf("%d redirects from %s to %s: %v", len(tt.via), tt.via[0].URL, tt.to.URL, err)
		}
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(status)
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(rw, strings.Repeat("x", 1000))
		}
	}))
	defer s.Close()
	c, ctx, u := New(), context.Background(), parse(t, s.URL+"/file")
	defer c.Close()
	for _, tt := range []struct {
		status       int
		there, error bool
	}{{200, true, false}, {403, false, false}, {404, false, false}, {410, false, false}, {500, false, true}, {204, false, true}} {
		status = tt.status
		there, err := c.Has(ctx, u)
		if there != tt.there || (err != nil) != tt.error {
			t.Errorf("%d: Has gives %v, %v", tt.status, there, err)
		}
		r, err := c.Get(ctx, u)
		if err == nil {
			data, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil || len(data) != 1000 {
				t.Errorf("%d bytes, %v", len(data), err)
			}
		}
		if (err == nil) != tt.there || errors.Is(err, fs.ErrNotExist) == (tt.there || tt.error) {
			t.Errorf("%d: Get gives %v", tt.status, err)
		}
	}
}

// A server that stops sending is given up on, and says so.
func TestStall(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	c := New()
	c.Stall = 50 * time.Millisecond
	r, err := c.Get(context.Background(), parse(t, s.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); err == nil || !strings.Contains(err.Error(), "no data for 50ms") {
		t.Errorf("%v", err)
	}
}

// What is posted gets there; an answer is given whatever it says, is bounded, and a redirect is not followed.
func TestPost(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(rw, r, "/echo", http.StatusTemporaryRedirect)
		case "/large":
			_, _ = io.WriteString(rw, strings.Repeat("x", 101))
		case "/hang":
			<-hang
		default:
			rw.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			rw.WriteHeader(http.StatusConflict)
			_, _ = io.Copy(rw, r.Body)
		}
	}))
	defer s.Close()
	defer close(hang)
	c := New()
	defer c.Close()
	post := func(path string) (*Answer, error) {
		return c.Post(t.Context(), parse(t, s.URL+path), "text/x", []byte(strings.Repeat("y", 100)), 100)
	}
	if a, err := post("/echo"); err != nil || a.Status != http.StatusConflict || a.MediaType != "text/x" || string(a.Body) != strings.Repeat("y", 100) {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := post("/elsewhere"); err != nil || a.Status != http.StatusTemporaryRedirect {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := post("/large"); err == nil {
		t.Errorf("%+v", a)
	}
	c.Stall = 50 * time.Millisecond
	if a, err := post("/hang"); err == nil || !strings.Contains(err.Error(), "no answer for 50ms") {
		t.Errorf("%+v, %v", a, err)
	}
}
