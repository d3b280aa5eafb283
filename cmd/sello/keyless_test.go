package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign/keyless/keylesstest"
	"github.com/sello-release/sello/internal/tuf/tuftest"
)

// TestKeylessSessions runs sessions that sign keyless, with a Sigstore instance of the real servers. They have its files in
// SIGSTORE, its issuer in ISSUER, and a file with a token for each identity beside them.
func TestKeylessSessions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	i := keylesstest.Start(t)
	i.Email, i.Pending = "builder@hello.example", 1 // who signs in, after a moment
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"trusted_root.json": i.Root, "signing_config.json": i.Config,
		"log_down.json":    keylesstest.Config(t, i.Fulcio, "http://127.0.0.1:1", i.Clock),
		"clock_down.json":  keylesstest.Config(t, i.Fulcio, i.Rekor, "http://127.0.0.1:1"),
		"fulcio_down.json": keylesstest.Config(t, "http://127.0.0.1:1", i.Rekor, i.Clock),
		"builder.token":    []byte(i.Token(t, "builder@hello.example", nil)),
		"manager.token":    []byte(i.Token(t, "manager@hello.example", nil)),
		"gate.token":       []byte(i.Token(t, "gate@hello.example", nil)),
		"stranger.token":   []byte(i.Token(t, "stranger@hello.example", nil)),
		"expired.token":    []byte(i.Token(t, "builder@hello.example", map[string]any{"exp": 1})),
		"audience.token":   []byte(i.Token(t, "builder@hello.example", map[string]any{"aud": "other"})),
		"unsigned.token":   []byte(i.Token(t, "builder@hello.example", nil) + "AAAA"),
		"no.token":         []byte("x"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mirror, tufRoot := tuftest.New(t)
	mirror.Publish(2, time.Now().AddDate(0, 0, 1), i.Root)
	if err := os.WriteFile(filepath.Join(dir, "tuf_root.json"), tufRoot, 0o600); err != nil {
		t.Fatal(err)
	}
	mirrorURL := mirror.Serve()
	cosign := registrytest.Tool(t, "cosign")
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "keyless"),
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			for k, v := range map[string]string{
				"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config"), "SELLO_CACHE": filepath.Join(testCache(), "sello"), "GIT_CONFIG_GLOBAL": os.DevNull,
				"GIT_AUTHOR_NAME": "A Maintainer", "GIT_AUTHOR_EMAIL": "maintainer@example.org", "GIT_COMMITTER_NAME": "A Maintainer", "GIT_COMMITTER_EMAIL": "maintainer@example.org",
				"SIGSTORE": dir, "MIRROR": mirrorURL, "ISSUER": i.URL, "ROOT_SHA256": digest.Bytes(i.Root), "COSIGN": cosign,
			} {
				e.Setenv(k, v)
			}
			for _, name := range []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOFLAGS", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY"} {
				if v, ok := os.LookupEnv(name); ok {
					e.Setenv(name, v)
				}
			}
			return os.MkdirAll(home, 0o755)
		},
		Cmds:      commands(),
		Condition: condition,
	})
}
