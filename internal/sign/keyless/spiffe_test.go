package keyless

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign/keyless/keylesstest"
)

// workloads is a Workload API, as an agent of SPIRE's serves it.
type workloads struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	answer func(ctx context.Context, r *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error)
}

func (w workloads) FetchJWTSVID(ctx context.Context, r *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	if md, _ := metadata.FromIncomingContext(ctx); strings.Join(md.Get("workload.spiffe.io"), "") != "true" {
		return nil, status.Error(codes.InvalidArgument, "security header missing from request") // SPIFFE Workload Endpoint, section 3
	}
	return w.answer(ctx, r)
}

func (w workloads) serve(t *testing.T) (socket string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skipf("no sockets here: %v", err)
	}
	s := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(s, w)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return "unix://" + path
}

func TestSPIFFE(t *testing.T) {
	t.Parallel()
	svid := func(subject string, changes map[string]any) string {
		i := keylesstest.NewIssuer(t)
		claims := map[string]any{"sub": subject, "aud": []string{"sigstore"}, "exp": time.Now().Add(time.Minute).Unix()}
		for k, v := range changes {
			claims[k] = v
		}
		return i.Token(t, subject, claims)
	}
	const id = "spiffe://hello.example/builder"
	good := svid(id, nil)
	gives := func(tokens ...string) func(context.Context, *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
		return func(_ context.Context, r *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
			if len(r.Audience) != 1 || r.Audience[0] != "sigstore" || r.SpiffeId != "" {
				return nil, status.Errorf(codes.InvalidArgument, "asked for %v", r)
			}
			out := &workload.JWTSVIDResponse{}
			for _, text := range tokens {
				out.Svids = append(out.Svids, &workload.JWTSVID{SpiffeId: id, Svid: text})
			}
			return out, nil
		}
	}
	ask := func(socket string) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return Environment{Mount: filepath.Join(t.TempDir(), "none"), Getenv: func(k string) string { return map[string]string{spiffeVariable: socket}[k] }}.Token(ctx, "sigstore")
	}
	for name, tt := range map[string]struct {
		answer func(context.Context, *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error)
		want   string
	}{
		"one":               {gives(good), good},
		"two":               {gives(good, svid("spiffe://hello.example/other", nil)), good},
		"none":              {gives(), ""},
		"no token":          {gives("x"), ""},
		"no SPIFFE ID":      {gives(svid("https://hello.example", nil)), ""},
		"for somebody else": {gives(svid(id, map[string]any{"aud": []string{"other"}})), ""},
		"expired":           {gives(svid(id, map[string]any{"exp": 1})), ""},
		"signed by nobody":  {gives(strings.Replace(good, good[:strings.Index(good, ".")], "eyJhbGciOiJub25lIn0", 1)), ""},
		"without end":       {gives(strings.Repeat("A", 5<<20)), ""},
		"no identity": {func(context.Context, *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
			return nil, status.Error(codes.PermissionDenied, "no identity issued")
		}, ""},
		"never an answer": {func(ctx context.Context, _ *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
			<-ctx.Done()
			return nil, errors.New("late")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(workloads{answer: tt.answer}.serve(t))
			if got != tt.want || (tt.want == "") != (gate.Code(err) == "token-refused") || err != nil && len(err.Error()) > 1000 {
				t.Errorf("%.80q, %v", got, err)
			}
		})
	}
	for _, socket := range []string{"unix:///nowhere/agent.sock", "agent.sock", "https://hello.example", "tcp://hello.example:1", "unix://" + t.TempDir()} {
		if _, err := ask(socket); gate.Code(err) != "token-refused" {
			t.Errorf("%s: %v", socket, err)
		}
	}
}

// Platforms that answer otherwise than they should give no token, and what they say is not repeated.
func TestHostilePlatforms(t *testing.T) {
	t.Parallel()
	platforms := map[string]func(url string) map[string]string{
		"GitHub": func(url string) map[string]string {
			return map[string]string{requestURLVariable: url, requestTokenVariable: "s3cret"}
		},
		"Buildkite": func(url string) map[string]string {
			return map[string]string{buildkiteURLVariable: url, buildkiteTokenVariable: "s3cret", buildkiteJobVariable: "j/../1"}
		},
		"Google": func(url string) map[string]string {
			return map[string]string{googleHostVariable: strings.TrimPrefix(url, "http://")}
		},
	}
	for answer, status := range map[string]int{`{"value":"s3cret","token":"s3cret"}`: 500, "s3cret": 403, "<html>": 200, `{"value":1,"token":1}`: 200, "{}": 200, "[]": 200, "": 200, "go": 302, strings.Repeat("x", 2*maxToken): 200} {
		url := fixed(t, status, answer)
		for name, env := range platforms {
			token, err := Environment{Mount: "/nowhere", Getenv: func(k string) string { return env(url)[k] }}.Token(context.Background(), "sigstore")
			if err == nil && name == "Google" {
				err = checkToken(token, "sigstore", time.Now()) // its answer is the token
			}
			if code := gate.Code(err); code != "token-refused" && code != "token-invalid" || strings.Contains(err.Error(), "s3cret") || len(err.Error()) > 1000 {
				t.Errorf("%s, %d %.20q: %v", name, status, answer, err)
			}
		}
	}
	// A folder where Kubernetes would have put the file.
	if _, err := (Environment{Mount: t.TempDir(), Getenv: func(string) string { return "" }}).Token(context.Background(), "sigstore"); gate.Code(err) != "token-refused" {
		t.Error(err)
	}
}

// fixed is a server that answers the same, always; who follows where it sends them finds a token.
func fixed(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			_, _ = w.Write([]byte(`{"value":"e30.e30.AAAA","token":"e30.e30.AAAA"}`))
			return
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}
