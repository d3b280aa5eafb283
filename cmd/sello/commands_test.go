package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/offlinetest"
)

// commands are what sessions can do besides testscript's own commands.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "serve": serve, "tmpfs": tmpfs, "offline": offline}
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

// offline runs a command in a network namespace of its own, in which even loopback is down, with proxies that lead nowhere. Where none
// can be made it is run as it is, and the session says so; root can make one, and in CI it has to.
func offline(ts *testscript.TestScript, neg bool, args []string) {
	unshare := []string{"unshare", "--net"}
	if os.Geteuid() != 0 {
		unshare = append(unshare, "--map-current-user")
	}
	if out, err := exec.Command(unshare[0], append(unshare[1:], "true")...).CombinedOutput(); err != nil {
		if os.Geteuid() == 0 && os.Getenv("CI") != "" {
			ts.Fatalf("no network namespace can be made: %v\n%s", err, out)
		}
		ts.Logf("not run without a network, since no namespace can be made: %v", err)
		unshare = nil
	}
	line := slices.Concat(unshare, []string{"env"}, offlinetest.NoProxies(), args)
	if err := ts.Exec(line[0], line[1:]...); (err != nil) != neg {
		ts.Fatalf("offline %s: %v", strings.Join(args, " "), err)
	}
}
