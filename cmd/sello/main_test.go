package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sello": func() {
			os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, cli.Build{Version: "v0.0.0-test"}))
		},
	})
}

// TestSessions runs sessions that a user could have typed. Each has a HOME of its own; fetched toolchains and
// modules are shared in the test cache, as they would be on a user's machine.
func TestSessions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	testscript.Run(t, testscript.Params{
		Dir:       "testdata",
		Setup:     session,
		Cmds:      commands(),
		Condition: condition,
	})
}

// session gives a session a HOME of its own.
func session(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	e.Setenv("HOME", home)
	e.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	e.Setenv("SELLO_CACHE", filepath.Join(testCache(), "sello"))
	e.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	for _, name := range []string{"AUTHOR", "COMMITTER"} {
		e.Setenv("GIT_"+name+"_NAME", "A Maintainer")
		e.Setenv("GIT_"+name+"_EMAIL", "maintainer@example.org")
		e.Setenv("GIT_"+name+"_DATE", "2026-01-02T03:04:05Z")
	}
	for _, name := range []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOFLAGS", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY"} {
		if v, ok := os.LookupEnv(name); ok {
			e.Setenv(name, v)
		}
	}
	return os.MkdirAll(home, 0o755)
}

// testCache is where tests keep what they fetch.
func testCache() string {
	if dir := os.Getenv("SELLO_TEST_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "sello-test")
}
