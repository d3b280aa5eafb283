package registry_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sello-release/sello/internal/registry"
)

func TestSecretsAreThoseOfAllLoginFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"auth.json":   `{"auths": {"a.example": {"auth": "dXNlcjpmaXJzdC1wYXNzd29yZA=="}, "b.example": {"identitytoken": "a-token"}}}`,
		"config.json": `{"auths": {"c.example": {"auth": "not base64!"}}, "credsStore": "helper-that-is-not-run"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(dir, "auth.json"))
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(dir, "none"))
	got := registry.Secrets()
	for _, want := range []string{"dXNlcjpmaXJzdC1wYXNzd29yZA==", "first-password", "a-token", "not base64!"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among %q", want, got)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "auth.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := registry.Secrets(); slices.Contains(got, "first-password") || !slices.Contains(got, "not base64!") {
		t.Errorf("of a broken file and a good one: %q", got)
	}
}
