package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// commands are what sessions can do besides testscript's own commands.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "serve": serve, "tmpfs": tmpfs}
}

// condition is what sessions can ask of the machine besides testscript's own conditions.
//
//	[large]  SELLO_TEST_LARGE=1 is set: sessions of minutes are wanted
//	[root]   the test runs as root, so that it can become somebody else
//	[mount]  a file system can be mounted
//	[policytester]  SELLO_POLICY_TESTER names policy-controller's tester
func condition(name string) (bool, error) {
	switch name {
	case "large":
		return os.Getenv("SELLO_TEST_LARGE") == "1", nil
	case "root":
		return os.Geteuid() == 0, nil
	case "mount":
		return canMount(), nil
	case "policytester":
		return os.Getenv("SELLO_POLICY_TESTER") != "", nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// exits runs a command and wants a certain exit code: exits 3 sello promote …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run %s: %v", strings.Join(args[1:], " "), err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, expected %d", strings.Join(args[1:], " "), got, want)
	}
}
