// Package offlinetest runs tests and programs where there is no network: in a network namespace of their own, in which even loopback
// is down, with proxies that lead nowhere. A test that runs so is killed when it asks for a socket. It is for tests alone.
package offlinetest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// inside is set for a test that runs without a network.
const inside = "SELLO_TEST_OFFLINE"

func init() {
	if os.Getenv(inside) == "" {
		return
	}
	if err := sealed(); err != nil {
		fmt.Fprintln(os.Stderr, "offlinetest:", err)
		os.Exit(1)
	}
}

// sealed makes sure that there is no network, and has the process killed when it asks for a socket.
func sealed() error {
	if _, err := net.Dial("tcp", "127.0.0.1:1"); !errors.Is(err, unix.ENETUNREACH) {
		return fmt.Errorf("loopback can be reached: %w", err)
	}
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{{Action: seccomp.ActionKillProcess, Names: []string{"socket", "connect"}}}}})
}

// Run runs tests of this test's binary again without a network: those that a flag, -test.run= or -test.skip=, leaves. It holds that
// none fails, and that at least the named ones ran and were not skipped; outside judges are not asked. Where no
// namespace can be made it skips; root can make one, and in CI it has to.
func Run(t *testing.T, flag string, named ...string) {
	t.Helper()
	if os.Getenv(inside) != "" {
		t.Skip("runs without a network already")
	}
	Possible(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.v", flag}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(program, args...)
	Isolate(cmd)
	cmd.Env = append(cmd.Env, inside+"=1", "SELLO_JUDGES=") // a judge that is not there yet cannot be built without a network
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("without a network: %v\n%s", err, text[max(0, len(text)-6000):])
	}
	passed := names(text, `--- PASS: (Test\w+) `)
	for _, name := range named {
		if !slices.Contains(passed, name) {
			t.Errorf("%s did not run: it may not be skipped here", name)
		}
	}
	t.Logf("%d tests passed without a network; skipped: %s", len(passed), strings.Join(names(text, `--- SKIP: (Test\w+) `), ", "))
}

func names(text, pattern string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^`+pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// Possible skips a test where a program cannot be given a network namespace; root can give one, and in CI it has to be so.
func Possible(tb testing.TB) {
	tb.Helper()
	cmd := exec.Command("/bin/true")
	Isolate(cmd)
	err := cmd.Run()
	switch {
	case err == nil:
	case os.Geteuid() == 0 && os.Getenv("CI") != "":
		tb.Fatalf("no network namespace can be made: %v", err)
	default:
		tb.Skipf("no network namespace can be made here: %v", err)
	}
}

// Isolate has a program run without a network.
func Isolate(cmd *exec.Cmd) {
	cmd.Env = append(cmd.Environ(), NoProxies()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	}
}
