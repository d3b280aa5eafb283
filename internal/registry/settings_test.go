package registry_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
)

// TestLoginsOfDockerAndPodmanAreUsed sets the environment, and so runs alone.
func TestLoginsOfDockerAndPodmanAreUsed(t *testing.T) {
	var got atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !ok {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		got.Store(user + ":" + password)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "AppData"} {
		t.Setenv(name, filepath.Join(home, name))
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	o := quick()
	o.Credentials = nil
	resolve := func() error {
		_, err := open(t, host+"/r", o).Resolve(t.Context(), "v1")
		return err
	}
	wantCode(t, resolve(), "registry-denied") // nobody has logged in
	login := func(path, for_, user string) {
		t.Helper()
		auth := base64.StdEncoding.EncodeToString([]byte(user + ":secret"))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, for_, auth), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	docker := filepath.Join(home, "DOCKER_CONFIG", "config.json")
	login(docker, "other.example", "other")
	wantCode(t, resolve(), "registry-denied") // what is for others stays here
	login(docker, host, "docker")
	wantCode(t, resolve(), "image-missing")
	if got.Load() != "docker:secret" {
		t.Errorf("got %v", got.Load())
	}
	login(filepath.Join(home, "XDG_RUNTIME_DIR", "containers", "auth.json"), host, "podman")
	wantCode(t, resolve(), "image-missing")
	if got.Load() != "podman:secret" {
		t.Errorf("got %v", got.Load())
	}
	before, _ := os.ReadFile(docker)
	if err := os.WriteFile(docker, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Open(host+"/r", o); err == nil || strings.Contains(err.Error(), string(before)) {
		t.Errorf("settings that cannot be read: %v", err)
	}
}

func TestAPauseThatTheRegistryAsksForIsKept(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	repo := failing(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	begin := time.Now()
	_, err := repo.Resolve(t.Context(), "v1")
	wantCode(t, err, "image-missing")
	if took := time.Since(begin); took < time.Second {
		t.Errorf("came back after %v", took)
	}
}

func TestAfterALongPauseWasAskedForNothingMoreIsSent(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	repo := failing(t, func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusTooManyRequests)
	})
	for range 3 {
		_, err := repo.Resolve(t.Context(), "v1")
		wantCode(t, err, "registry-throttled")
	}
	if n.Load() != 1 {
		t.Errorf("%d requests", n.Load())
	}
}

// badDisk gives content whose reading fails.
type badDisk struct{ opened atomic.Int64 }

var errDisk = errors.New("input/output error")

func (b *badDisk) open() (io.ReadCloser, error) {
	b.opened.Add(1)
	return io.NopCloser(io.MultiReader(strings.NewReader("ha"), &half{n: 0})), nil
}

func TestASourceThatFailsIsNotTheRegistrysFault(t *testing.T) {
	t.Parallel()
	m := rt.NewMemory()
	layer := m.Add(ocispec.MediaTypeImageLayer, []byte("hay"))
	to := open(t, rt.InProcess(t)+"/r", quick())
	b := &badDisk{}
	err := to.PushFrom(t.Context(), layer, b.open)
	if err == nil || gate.Code(err) != "" || !strings.Contains(err.Error(), "cut off") || b.opened.Load() != 1 {
		t.Errorf("opened %d times, %v", b.opened.Load(), err)
	}
	err = to.PushFrom(t.Context(), layer, func() (io.ReadCloser, error) { return nil, errDisk })
	if !errors.Is(err, errDisk) || gate.Code(err) != "" {
		t.Errorf("%v", err)
	}
	if there, err := to.Exists(t.Context(), layer); err != nil || there {
		t.Errorf("exists: %v, %v", there, err)
	}
}
