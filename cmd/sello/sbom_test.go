package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestBillsOfMaterials runs sessions with sello sbom. Nothing in them needs a network.
func TestBillsOfMaterials(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "sbom"),
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("GOPATH", filepath.Join(home, "go"))
			e.Setenv("GOCACHE", filepath.Join(home, "cache"))
			e.Setenv("GOFLAGS", "-mod=mod")
			e.Setenv("GOPROXY", "off")
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
			e.Setenv("SOURCE_DATE_EPOCH", "1767322800")
			return os.MkdirAll(home, 0o755)
		},
		Cmds:      commands(),
		Condition: condition,
	})
}
