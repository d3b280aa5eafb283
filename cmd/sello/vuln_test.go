package main

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestVulnerabilitySessions runs sessions with databases of vulnerabilities, which are files of theirs.
func TestVulnerabilitySessions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "vuln"), Setup: session, Cmds: commands(), Condition: condition})
}
