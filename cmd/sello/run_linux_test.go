package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/image/imagetest"
	"github.com/sello-release/sello/internal/registry/registrytest"
)

// TestRunSessions runs sessions of projects that are not Go: their commands run in $ROOT, an image with a C compiler that is made
// of this machine's packages.
func TestRunSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("packs compilers into an image")
	}
	host := registrytest.InProcess(t)
	root := imagetest.Push(t, host+"/team/gcc", "linux/"+runtime.GOARCH, imagetest.Debian(t, "gcc", "libc6-dev", "make", "dash", "coreutils"))
	caches := t.TempDir() // apart from the checkouts, one a session
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "run"), Cmds: commands(), Condition: condition,
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			for k, v := range map[string]string{
				"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config"), "SELLO_CACHE": filepath.Join(caches, filepath.Base(e.WorkDir)), "GIT_CONFIG_GLOBAL": os.DevNull,
				"GIT_AUTHOR_NAME": "A Maintainer", "GIT_AUTHOR_EMAIL": "maintainer@example.org", "GIT_COMMITTER_NAME": "A Maintainer", "GIT_COMMITTER_EMAIL": "maintainer@example.org",
				"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z", "ROOT": root, "ARCH": runtime.GOARCH,
			} {
				e.Setenv(k, v)
			}
			return os.MkdirAll(home, 0o755)
		},
	})
}
