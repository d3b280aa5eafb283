package scaffold

import (
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// download gives the folder of a published module, from the user's own module cache and proxy.
func download(t *testing.T, module string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	var m struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &m); err != nil || jsonErr != nil || m.Dir == "" {
		t.Skipf("%s cannot be downloaded here (%v): %s", module, err, m.Error)
	}
	return m.Dir
}

func TestPublishedPrograms(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("downloads modules; not in -short")
	}
	t.Run("age", func(t *testing.T) {
		t.Parallel()
		f, text := detect(t, download(t, "filippo.io/age@v1.2.1"), Options{Remote: "git@github.com:FiloSottile/age.git", GoVersion: "go1.26.8"})
		if f.Project != "age" || f.Source != "https://github.com/FiloSottile/age" || len(f.Builds) != 1 {
			t.Errorf("%+v", f)
		}
		if diff := cmp.Diff([]string{"./cmd/age", "./cmd/age-keygen"}, f.Builds[0].Packages); diff != "" {
			t.Error(diff)
		}
		if f.Builds[0].LDFlags != "-X main.Version={{ .Version }}" {
			t.Errorf("ldflags %q", f.Builds[0].LDFlags)
		}
		if n := strings.Count(text, "\n"); n > 20 {
			t.Errorf("%d lines:\n%s", n, text)
		}
	})
	t.Run("x/tools", func(t *testing.T) {
		t.Parallel()
		f, _ := detect(t, download(t, "golang.org/x/tools@v0.30.0"), Options{Remote: "https://go.googlesource.com/tools"})
		if f.Project != "tools" || len(f.Builds) != 1 || !(slices.Contains(f.Builds[0].Packages, "./cmd/goimports") || slices.Contains(f.Builds[0].Packages, "./cmd/...")) {
			t.Errorf("%+v", f)
		}
	})
}
