// Package registrytest starts real registries, puts a failing proxy in front of them,
// and makes images for them.
package registrytest

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
)

// Kind is one implementation of a registry.
type Kind struct {
	Name         string
	ReferrersAPI bool // answers the referrers API; else the tag scheme is what works
	Mounts       bool // knows which repository holds a blob, and mounts from another one
	// Start starts an empty registry that ends with its test, and gives its host:port on
	// loopback, which speaks plain HTTP.
	Start func(t testing.TB) string
}

// Kinds are the registries that tests run against.
func Kinds() []Kind {
	return []Kind{
		{Name: "go-containerregistry", ReferrersAPI: true, Start: InProcess},
		{Name: "docker-registry", Mounts: true, Start: Debian},
		{Name: "distribution-v3", Mounts: true, Start: Distribution},
	}
}

// Handler is an empty in-process registry with the referrers API.
func Handler() http.Handler {
	return ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0)))
}

// InProcess starts go-containerregistry's registry in this process.
func InProcess(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(Handler())
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// Debian starts Debian's docker-registry. The test is skipped where it is not installed.
func Debian(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed: run scripts/deps test")
	}
	return serve(t, program)
}

// Distribution starts distribution v3. It is built when SELLO_JUDGES is 1; otherwise the
// test is skipped where no earlier build left it.
func Distribution(t testing.TB) string {
	t.Helper()
	return serve(t, Tool(t, "registry"))
}

// serve runs a registry of the distribution family on a free port.
func serve(t testing.TB, program string) string {
	t.Helper()
	dir := t.TempDir()
	host := freePort(t)
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}, maintenance: {uploadpurging: {enabled: false}}}
http: {addr: "%s"}
`, filepath.Join(dir, "data"), host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd := exec.Command(program, "serve", config)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "OTEL_TRACES_EXPORTER=none"}
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("start registry: %v", err)
	}
	var exit error
	ended := make(chan struct{})
	go func() {
		exit = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			resp.Body.Close()
			return host
		}
		select {
		case <-ended:
			t.Fatalf("the registry ended: %v\n%s", exit, said.String())
		default:
		}
	}
	t.Fatal("the registry does not answer")
	return ""
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Tool gives a program from the test cache, building it first when SELLO_JUDGES is 1;
// else the test is skipped where it is missing.
func Tool(t testing.TB, name string) string {
	t.Helper()
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the source tree was not found")
	}
	scripts := filepath.Join(filepath.Dir(here), "..", "..", "..", "scripts")
	if os.Getenv("SELLO_JUDGES") == "1" {
		out, err := exec.Command(filepath.Join(scripts, "tool"), name).Output()
		if err != nil {
			t.Fatalf("build %s: %v", name, err)
		}
		return strings.TrimSpace(string(out))
	}
	list, err := os.ReadFile(filepath.Join(scripts, "tools.txt"))
	if err != nil {
		t.Fatal(err)
	}
	cache := os.Getenv("SELLO_TEST_CACHE")
	if user, err := os.UserCacheDir(); cache == "" && err == nil {
		cache = filepath.Join(user, "sello-test")
	}
	for line := range strings.Lines(string(list)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			program := filepath.Join(cache, "tools", name+"@"+f[2], name)
			if _, err := os.Stat(program); err == nil {
				return program
			}
		}
	}
	t.Skipf("%s is not in the test cache: set SELLO_JUDGES=1 to build it", name)
	return ""
}
