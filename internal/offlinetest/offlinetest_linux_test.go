package offlinetest

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A test that asks for a socket does not survive that.
func TestASocketKills(t *testing.T) {
	if os.Getenv("SELLO_TEST_ASK") != "" {
		_, err := net.Dial("tcp", "127.0.0.1:1")
		t.Errorf("still here: %v", err)
		return
	}
	Possible(t)
	for ask, said := range map[string]string{"1": "bad system call", "": ""} {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestASocketKills$")
		if ask == "" {
			cmd.Args[2] = "^TestNothing$"
		}
		Isolate(cmd)
		cmd.Env = append(cmd.Env, inside+"=1", "SELLO_TEST_ASK="+ask)
		out, err := cmd.CombinedOutput()
		if (err == nil) != (said == "") || err != nil && !strings.Contains(err.Error(), said) {
			t.Errorf("asking %q: %v\n%s", ask, err, out)
		}
	}
	// With a network the guard refuses to begin.
	cmd := exec.Command(os.Args[0], "-test.run", "^TestNothing$")
	cmd.Env = append(os.Environ(), inside+"=1")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "loopback can be reached") {
		t.Errorf("with a network: %v\n%s", err, out)
	}
}
