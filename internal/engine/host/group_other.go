//go:build !unix

package host

import (
	"os"
	"os/exec"
	"syscall"
)

func group() *syscall.SysProcAttr { return nil }

// kill ends the command; what it started goes on.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // an error says that it is gone already
}

func exitCode(s *os.ProcessState) int { return s.ExitCode() }
