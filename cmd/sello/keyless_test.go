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
	mirror, tufRoot := tuftest.New(t)
	mirror.Publish(2, time.Now().AddDate(0, 0, 1), i.Root)
	url := mirror.Serve()
	dir := sigstoreFiles(t, i)
	if err := os.WriteFile(filepath.Join(dir, "tuf_root.json"), tufRoot, 0o600); err != nil {
		t.Fatal(err)
	}
	cosign := registrytest.Tool(t, "cosign")
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "keyless"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("MIRROR", url)
			return keylessSession(e, i, dir, cosign)
		},
		Cmds:      commands(),
		Condition: condition,
	})
}

// sigstoreFiles writes the files of an instance, and tokens, into a folder.
func sigstoreFiles(t *testing.T, i *keylesstest.Instance) string {
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
	return dir
}

// keylessSession gives a session a HOME of its own, and the instance.
func keylessSession(e *testscript.Env, i *keylesstest.Instance, dir, cosign string) error {
	if err := session(e); err != nil {
		return err
	}
	for k, v := range map[string]string{"SIGSTORE": dir, "ISSUER": i.URL, "ROOT_SHA256": digest.Bytes(i.Root), "COSIGN": cosign} {
		e.Setenv(k, v)
	}
	return nil
}
