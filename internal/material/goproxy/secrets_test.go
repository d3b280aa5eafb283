package goproxy_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sello-release/sello/internal/material/goproxy"
)

func TestSecretsAreThoseOfTheGoCommandsSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"env":   "GOFLAGS=-mod=mod\nGOPROXY=https://u:written-password@proxy.example\n",
		"netrc": "machine git.example login me password netrc-password\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{
		"GOENV": filepath.Join(dir, "env"), "NETRC": filepath.Join(dir, "netrc"), "HTTPS_PROXY": "http://u:http-password@10.0.0.1:3128",
		"GOPROXY": "https://one.example,https://u:p%40ss%20word@two.example|https://only-a-token@three.example,direct",
	}
	got := goproxy.Secrets(func(name string) string { return env[name] })
	for _, want := range []string{"p@ss word", "u:p%40ss%20word", "only-a-token", "written-password", "netrc-password", "http-password"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among %q", want, got)
		}
	}
}
