package keyless

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/keyless/keylesstest"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/trust"
)

func TestParseConfigRefuses(t *testing.T) {
	t.Parallel()
	good := string(keylesstest.Config(t, "https://ca.example", "https://log.example", "https://clock.example"))
	if _, err := ParseConfig([]byte(good), time.Now()); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":           "",
		"key twice":       strings.Replace(good, "{", `{"mediaType":"x",`, 1),
		"another version": strings.Replace(good, "v0.2", "v0.9", 1),
		"no authority":    string(keylesstest.Config(t, "", "https://log.example", "")),
		"no time":         string(keylesstest.Config(t, "https://ca.example", "", "")),
		"http":            strings.Replace(good, "https://ca", "http://ca", 1),
		"a password":      strings.Replace(good, "https://ca", "https://me:secret@ca", 1),
		"too large":       good + strings.Repeat(" ", MaxConfig),
	} {
		if _, err := ParseConfig([]byte(text), time.Now()); gate.Code(err) != "signing-config-invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseConfig([]byte(good), time.Now().AddDate(-1, 0, 0)); gate.Code(err) != "signing-config-invalid" {
		t.Errorf("before any service is in use: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(keylesstest.Config(f, "https://ca.example", "https://log.example", "https://clock.example"))
	now := time.Now()
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := ParseConfig(data, now); err != nil && gate.Code(err) != "signing-config-invalid" || err == nil && c.authority == "" {
			t.Errorf("%v, %v", c, err)
		}
	})
}

func token(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".AAAA"
}

func TestCheckToken(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for claims, code := range map[string]string{
		`{"exp":1001,"aud":"sigstore"}`:            "",
		`{"exp":1001.5,"aud":["x","sigstore"]}`:    "",
		`{"exp":1000,"aud":"sigstore"}`:            "token-expired",
		`{"exp":1001,"aud":"other"}`:               "token-audience",
		`{"exp":1001}`:                             "token-audience",
		`{"exp":1001,"aud":{"sigstore":1}}`:        "token-audience",
		`{"aud":"sigstore"}`:                       "token-invalid",
		`{"exp":"soon","aud":"sigstore"}`:          "token-invalid",
		`{"exp":1001,"exp":2000,"aud":"sigstore"}`: "token-invalid",
		`[]`: "token-invalid",
		`x`:  "token-invalid",
	} {
		if err := checkToken(token(claims), "sigstore", now); gate.Code(err) != code {
			t.Errorf("%s: %v, want %q", claims, err, code)
		}
	}
	for _, text := range []string{"", "a.b", "a.*.c", strings.Repeat("a", maxToken) + token(`{"exp":1001,"aud":"sigstore"}`)} {
		if err := checkToken(text, "sigstore", now); gate.Code(err) != "token-invalid" {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func FuzzCheckToken(f *testing.F) {
	f.Add(token(`{"exp":1001,"aud":["x","sigstore"]}`))
	f.Fuzz(func(t *testing.T, text string) {
		if err := checkToken(text, "sigstore", time.Unix(1000, 0)); err != nil && !strings.HasPrefix(gate.Code(err), "token-") {
			t.Error(err)
		}
	})
}

// Each platform gives its token in its own way; what is asked for is written down by the server.
func TestAmbientTokens(t *testing.T) {
	t.Parallel()
	var seen atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		seen.Store(r.Method + " " + r.URL.String() + " " + r.Header.Get("Authorization") + r.Header.Get("Metadata-Flavor") + " " + body.String())
		if r.Header.Get("Authorization") == "Bearer wrong" {
			http.Error(w, "Bearer wrong", http.StatusForbidden)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/computeMetadata") {
			_, _ = w.Write([]byte("the.token\n"))
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"value": "the.token", "token": "the.token"})
	}))
	t.Cleanup(s.Close)
	mounted := filepath.Join(t.TempDir(), "oidc-token")
	if err := os.WriteFile(mounted, []byte("the.token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		env   map[string]string
		file  string
		mount string
		code  string
		asked string
	}{
		"a file":      {file: mounted},
		"no file":     {file: mounted + "x", code: "token-missing"},
		"GitLab":      {env: map[string]string{Variable: "the.token"}},
		"GitHub":      {env: map[string]string{requestURLVariable: s.URL + "/t?v=2", requestTokenVariable: "s3cret"}, asked: "GET /t?audience=sigstore&v=2 Bearer s3cret "},
		"GitHub, no":  {env: map[string]string{requestURLVariable: s.URL, requestTokenVariable: "wrong"}, code: "token-refused"},
		"Buildkite":   {env: map[string]string{buildkiteTokenVariable: "s3cret", buildkiteJobVariable: "j1", buildkiteURLVariable: s.URL}, asked: `POST /jobs/j1/oidc/tokens Token s3cret {"audience":"sigstore"}`},
		"Kubernetes":  {mount: mounted},
		"Google":      {env: map[string]string{googleHostVariable: strings.TrimPrefix(s.URL, "http://")}, asked: "GET /computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience=sigstore Google "},
		"Google, off": {env: map[string]string{googleHostVariable: "127.0.0.1:1"}, code: "token-refused"},
		"nowhere":     {code: "token-missing"},
	} {
		mount := tt.mount
		if mount == "" {
			mount = mounted + "-missing"
		}
		var told string
		got, err := Environment{Getenv: func(k string) string { return tt.env[k] }, File: tt.file, Mount: mount, Secret: func(s string) { told = s }}.Token(context.Background(), "sigstore")
		if gate.Code(err) != tt.code || tt.code == "" && (err != nil || got != "the.token" || told != got) {
			t.Errorf("%s: %q, %v, told %q", name, got, err, told)
		}
		if tt.asked != "" && seen.Load() != tt.asked {
			t.Errorf("%s: asked %q", name, seen.Load())
		}
		if err != nil && strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: the refusal repeats a secret: %v", name, err)
		}
	}
}

// Services that fail in their ways, against a trusted root of the tests: the authority is asked first.
func TestServicesThatFail(t *testing.T) {
	t.Parallel()
	instance := signtest.New(t, time.Now())
	issuer := keylesstest.NewIssuer(t)
	r, err := sign.ParseRoot(instance.Root)
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int32
	done := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		switch strings.Split(r.URL.Path, "/")[1] {
		case "hangs":
			select {
			case <-r.Context().Done():
			case <-done:
			}
		case "busy":
			http.Error(w, "later", http.StatusServiceUnavailable)
		case "refuses":
			http.Error(w, "no", http.StatusForbidden)
		case "elsewhere":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		case "garbage":
			_, _ = w.Write([]byte("{}"))
		case "endless":
			_, _ = w.Write(make([]byte, maxAnswer+2))
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(done) })
	for _, tt := range []struct {
		path, code string
		repeated   bool
	}{
		{"hangs", "certificate-authority-down", false},
		{"busy", "certificate-authority-down", true},
		{"refuses", "certificate-refused", false},
		{"elsewhere", "certificate-refused", false},
		{"garbage", "certificate-refused", false},
		{"endless", "certificate-refused", false},
	} {
		config, err := ParseConfig(keylesstest.Config(t, s.URL+"/"+tt.path, "", s.URL), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		signer := New(Options{Identity: trust.Keyless{Issuer: issuer.URL, Subject: builder}, Config: config, Root: r, Wait: time.Second,
			Token: func(context.Context, string) (string, error) { return issuer.Token(t, builder, nil), nil }})
		tries.Store(0)
		started := time.Now()
		_, err = sign.SignStatement(context.Background(), signer, attest.PayloadType, []byte(`{}`))
		if gate.Code(err) != tt.code || (tries.Load() > 1) != tt.repeated {
			t.Errorf("%s: %v after %d tries, want %s", tt.path, err, tries.Load(), tt.code)
		}
		if d := time.Since(started); d > 10*time.Second {
			t.Errorf("%s: it took %v", tt.path, d)
		}
	}
}

// Who stops does not wait for a service.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	p := &patience{ctx: ctx, next: newTransport(), wait: time.Hour, note: func(string) { cancel() }}
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:1/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.RoundTrip(r)
	if answer != nil {
		answer.Body.Close()
	}
	if err == nil || gate.Code(err) != "" || !strings.Contains(err.Error(), "canceled") {
		t.Error(err)
	}
}
