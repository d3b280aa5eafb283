package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/registry/registrytest"
)

// TestImageSessions runs sessions with images. Each has a registry of its own, empty, at $REGISTRY. All of them run
// against the registry that is in this process; the whole flow also against those of other makes, which know no
// referrers API.
func TestImageSessions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	dir := filepath.Join("testdata", "images")
	for _, kind := range registrytest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			if !kind.ReferrersAPI { // where a registry is not installed this is skipped
				kind.Start(t)
			}
			p := testscript.Params{Dir: dir, Cmds: withRegistry(commands()), Condition: condition, Setup: func(e *testscript.Env) error {
				return imageSession(e, kind)
			}}
			if !kind.ReferrersAPI {
				p.Dir, p.Files = "", []string{filepath.Join(dir, "release.txt")}
			}
			testscript.Run(t, p)
		})
	}
}

// TestImageJudges lets others judge what was released: cosign, crane, skopeo, umoci, podman. It runs where they are.
func TestImageJudges(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	for _, judge := range []string{"skopeo", "umoci", "podman", "runc"} {
		if _, err := exec.LookPath(judge); err != nil {
			t.Skip(judge + " is not installed: run scripts/deps test")
		}
	}
	cosign, crane := registrytest.Tool(t, "cosign"), registrytest.Tool(t, "crane")
	for _, kind := range registrytest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			if !kind.ReferrersAPI {
				kind.Start(t)
			}
			testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "judges"), Cmds: withRegistry(commands()), Condition: condition, Setup: func(e *testscript.Env) error {
				e.Setenv("COSIGN", cosign)
				e.Setenv("CRANE", crane)
				e.Setenv("XDG_RUNTIME_DIR", e.WorkDir)
				return imageSession(e, kind)
			}})
		})
	}
}

func imageSession(e *testscript.Env, kind registrytest.Kind) error {
	home := filepath.Join(e.WorkDir, "home")
	front, err := newFront(e, kind)
	if err != nil {
		return err
	}
	for k, v := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config"), "SELLO_CACHE": filepath.Join(testCache(), "sello"), "GIT_CONFIG_GLOBAL": os.DevNull,
		"GIT_AUTHOR_NAME": "A Maintainer", "GIT_AUTHOR_EMAIL": "maintainer@example.org", "GIT_COMMITTER_NAME": "A Maintainer", "GIT_COMMITTER_EMAIL": "maintainer@example.org",
		"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z", "REGISTRY": front.host,
	} {
		e.Setenv(k, v)
	}
	for _, name := range []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOFLAGS", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY"} {
		if v, ok := os.LookupEnv(name); ok {
			e.Setenv(name, v)
		}
	}
	return os.MkdirAll(home, 0o755)
}

// TestInputJudges takes what cosign attests of base images for evidence about inputs.
func TestInputJudges(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	t.Parallel()
	cosign := registrytest.Tool(t, "cosign")
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "inputs"), Cmds: withRegistry(commands()), Condition: condition, Setup: func(e *testscript.Env) error {
		e.Setenv("COSIGN", cosign)
		return imageSession(e, registrytest.Kinds()[0])
	}})
}
