package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// scratch is a temporary git directory of our own: our configuration, no
// references, no hooks, no attributes. Commands that read or write objects run in it,
// with the object store of a repository, and so never see that repository's
// configuration. It is also the home folder of every command.
type scratch struct {
	dir     string
	objects string // object store of the repository
	gitDir  string // git directory of the repository
}

// scratch makes a git directory whose HEAD is head: a commit id, or "" for none.
func (r *Repository) scratch(head string) (*scratch, error) {
	s, err := newScratch(r.gitDir, filepath.Join(r.commonDir, "objects"))
	if err != nil {
		return nil, err
	}
	version := "0"
	if r.format != formatSHA1 {
		version = "1\n[extensions]\n\tobjectFormat = " + r.format.name
	}
	if head == "" {
		head = "ref: refs/heads/none"
	}
	files := []struct{ name, content string }{
		{"HEAD", head + "\n"},
		{"config", "[core]\n\trepositoryFormatVersion = " + version + "\n"},
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(s.dir, f.name), []byte(f.content), 0o600); err != nil {
			s.remove()
			return nil, fmt.Errorf("make git directory: %w", err)
		}
	}
	return s, nil
}

func newScratch(gitDir, objects string) (*scratch, error) {
	dir, err := os.MkdirTemp("", "sello-git-")
	if err != nil {
		return nil, fmt.Errorf("make git directory: %w", err)
	}
	s := &scratch{dir: dir, objects: objects, gitDir: gitDir}
	for _, name := range []string{"refs", "info"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			s.remove()
			return nil, fmt.Errorf("make git directory: %w", err)
		}
	}
	// git 2.35 to 2.37 take safe.directory from a file only.
	if err := os.WriteFile(filepath.Join(dir, ".gitconfig"), []byte("[safe]\n\tdirectory = *\n"), 0o600); err != nil {
		s.remove()
		return nil, fmt.Errorf("make git directory: %w", err)
	}
	return s, nil
}

func (s *scratch) remove() { _ = os.RemoveAll(s.dir) }

// kept are the variables that commands inherit: where programs, libraries and temporary files are.
var kept = []string{
	"PATH", "GIT_EXEC_PATH", "LD_LIBRARY_PATH", "TMPDIR", "TMP", "TEMP",
	"SYSTEMROOT", "SystemRoot", "WINDIR", "COMSPEC", "PATHEXT",
}

// environment is the whole environment of a hardened command.
func (s *scratch) environment() []string {
	env := []string{
		"HOME=" + s.dir, "XDG_CONFIG_HOME=" + s.dir,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + filepath.Join(s.dir, ".gitconfig"),
		"GIT_ATTR_NOSYSTEM=1", "GIT_NO_REPLACE_OBJECTS=1", "GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_PAGER=cat", "GIT_EDITOR=:",
		"LC_ALL=C", "TZ=UTC",
	}
	for _, name := range kept {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// overrides outrank every configuration file.
func (s *scratch) overrides() []string {
	var args []string
	for _, setting := range []string{
		"core.hooksPath=" + filepath.Join(s.dir, "hooks"), "core.fsmonitor=", "core.untrackedCache=false",
		"core.commitGraph=false", "core.bigFileThreshold=8m", "core.attributesFile=", "protocol.allow=never",
		"safe.directory=*", "gc.auto=0", "maintenance.auto=false",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

func (s *scratch) command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append(s.overrides(), args...)...)
	cmd.Dir = s.dir
	cmd.Env = append(s.environment(), env...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// onObjects runs git in our own git directory on the repository's objects.
func (s *scratch) onObjects(ctx context.Context, args ...string) *exec.Cmd {
	return s.command(ctx, []string{"GIT_DIR=" + s.dir, "GIT_OBJECT_DIRECTORY=" + s.objects}, args...)
}

// onRefs runs git in the repository's git directory. Only commands that read or write
// references or print the configuration may use it. The work tree that the
// configuration names, if any, may not be there, or anywhere, and is not entered.
func (s *scratch) onRefs(ctx context.Context, args ...string) *exec.Cmd {
	return s.command(ctx, []string{"GIT_DIR=" + s.gitDir, "GIT_WORK_TREE=" + s.dir}, args...)
}

// maxOutput bounds what a command may print where a short answer is expected, in bytes.
const maxOutput = 1 << 20

// output runs cmd and gives what it printed.
func output(cmd *exec.Cmd) (string, error) {
	var b strings.Builder
	err := stream(cmd, func(r io.Reader) error {
		n, err := io.Copy(&b, io.LimitReader(r, maxOutput+1))
		if err == nil && n > maxOutput {
			err = errors.New("the answer is too long")
		}
		return err
	})
	return strings.TrimSuffix(b.String(), "\n"), err
}

// stream runs cmd and lets read consume what it prints.
func stream(cmd *exec.Cmd, read func(io.Reader) error) error {
	stderr := &tail{}
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run git: %w", err)
	}
	if err := start(cmd); err != nil {
		return err
	}
	readErr := read(out)
	if readErr != nil {
		_ = cmd.Process.Kill()
	}
	err = cmd.Wait()
	if readErr != nil {
		return readErr
	}
	if err != nil {
		return &gitError{verb: verb(cmd), stderr: stderr.String(), cause: err}
	}
	return nil
}

func start(cmd *exec.Cmd) error {
	err := cmd.Start()
	if errors.Is(err, exec.ErrNotFound) {
		return refusal{
			code: "source-git-missing", class: gate.Failed, where: "PATH", what: "the git command is not there",
			expected: "git 2.30 or later", fix: "install git (Debian, Ubuntu: apt-get install git)", cause: err,
		}.err()
	}
	if err != nil {
		return fmt.Errorf("run git: %w", err)
	}
	return nil
}

// verb is the git command that cmd runs, for messages.
func verb(cmd *exec.Cmd) string {
	for i := 1; i < len(cmd.Args); i++ {
		switch {
		case cmd.Args[i] == "-c" || cmd.Args[i] == "-C":
			i++
		case !strings.HasPrefix(cmd.Args[i], "-"):
			return cmd.Args[i]
		}
	}
	return ""
}

// gitError is a git command that ended badly.
type gitError struct {
	verb, stderr string
	cause        error
}

func (e *gitError) Error() string {
	if e.stderr == "" {
		return fmt.Sprintf("git %s: %v", e.verb, e.cause)
	}
	return fmt.Sprintf("git %s: %v: %s", e.verb, e.cause, e.stderr)
}

func (e *gitError) Unwrap() error { return e.cause }

// exitCode is the command's exit code, or -1 when it did not end by itself.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// tail keeps the end of what a command printed.
type tail struct{ b []byte }

const maxTail = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2*maxTail {
		t.b = append(t.b[:0], t.b[len(t.b)-maxTail:]...)
	}
	return len(p), nil
}

// secret is what stands before the host in a URL.
var secret = regexp.MustCompile(`://[^/@\s]*@`)

// String gives the lines as one, safe to print.
func (t *tail) String() string {
	lines := bytes.Split(bytes.TrimSpace(t.b), []byte("\n"))
	kept := make([]string, len(lines))
	for i, line := range lines {
		kept[i] = secret.ReplaceAllString(plain(string(line)), "://")
	}
	return strings.Join(kept, "; ")
}
