package gomod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// networkVariables are those that reaching the network may need.
var networkVariables = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT", "SystemRoot",
}

// versionControlVariables are those that git and its kind need to reach a private repository.
var versionControlVariables = []string{
	"PATH", "HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS",
	"SSH_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_SSL_CAINFO", "NETRC",
}

// Bounds on what a go command may print, in bytes.
const (
	maxStdout = 512 << 20
	maxStderr = 256 << 10
)

// command is one run of the go command.
type command struct {
	bin, dir string
	env      []string // the whole environment
	args     []string
}

// goError is a go command that exited with an error.
type goError struct {
	verb   string
	stderr string
	err    error
}

func (e *goError) Error() string {
	text := strings.TrimSpace(e.stderr)
	if text == "" {
		return fmt.Sprintf("%s: %v", e.verb, e.err)
	}
	return fmt.Sprintf("%s: %s", e.verb, text)
}

func (e *goError) Unwrap() error { return e.err }

// run runs the go command and gives what it prints, also beside an error.
func run(ctx context.Context, c command) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.bin, c.args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = c.dir, c.env, 5*time.Second
	stdout, stderr := &bounded{limit: maxStdout}, &bounded{limit: maxStderr, drop: true}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	verb := "go " + strings.Join(c.args[:min(2, len(c.args))], " ")
	if errors.Is(stdout.err, errOutput) {
		return nil, &goError{verb: verb, err: errOutput}
	}
	if err != nil {
		return stdout.Bytes(), &goError{verb: verb, stderr: strings.ToValidUTF8(stderr.String(), "\uFFFD"), err: err}
	}
	return stdout.Bytes(), nil
}

var errOutput = errors.New("it prints more than is sensible")

// bounded is a buffer that ends at its limit: with an error, or dropping the rest.
type bounded struct {
	bytes.Buffer
	limit int
	drop  bool
	err   error
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - b.Len()
	if len(p) <= room {
		return b.Buffer.Write(p)
	}
	if !b.drop {
		b.err = errOutput
		return 0, errOutput
	}
	b.Buffer.Write(p[:room])
	return len(p), nil
}
