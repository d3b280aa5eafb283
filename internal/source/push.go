package source

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// PushTag gives the tag to a remote: a name of the repository's configuration, or a URL. How git reaches it
// (URL rewriting, credentials, ssh) is up to the configuration of the user and the repository. Hooks do
// not run, nobody is asked for a password, and nothing is ever forced. A tag of
// this name that names the same commit already is left alone. Refused: tag-bad-name, tag-missing, tag-moved, tag-push.
func (r *Repository) PushTag(ctx context.Context, remote, name string) error {
	commit, ok, err := r.Tag(ctx, name)
	if err != nil {
		return err
	}
	if !ok {
		return refusal{
			code: "tag-missing", where: quote(r.root), what: "tag to push does not exist", expected: quote(name), fix: "git tag --list",
		}.err()
	}
	where := "remote " + quote(remoteName(remote))
	if remote == "" || strings.HasPrefix(remote, "-") {
		return refusal{code: "tag-push", class: gate.Usage, where: where, what: "this is not a remote", fix: "git remote --verbose"}.err()
	}
	s, err := newScratch("", "")
	if err != nil {
		return err
	}
	defer s.remove()
	ref := tags + name
	_, pushErr := output(r.asUser(ctx, s, "push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--", remote, ref+":"+ref))
	if pushErr == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	there, err := r.tagAt(ctx, s, remote, ref)
	switch {
	case err == nil && there == commit:
		return nil
	case err == nil && there != "":
		return tagMoved(where, name, commit, there)
	}
	return refusal{
		code: "tag-push", class: gate.Failed, where: where, what: "remote did not take the tag " + quote(name), cause: pushErr,
		fix: "git push " + quote(remoteName(remote)) + " " + ref + " shows what is wrong",
	}.err()
}

// tagAt asks a remote for the commit that its tag names, or "".
func (r *Repository) tagAt(ctx context.Context, s *scratch, remote, ref string) (string, error) {
	listed, err := output(r.asUser(ctx, s, "ls-remote", "--", remote, ref, ref+"^{}"))
	if err != nil {
		return "", fmt.Errorf("ask remote for tag: %w", err)
	}
	commit := ""
	for line := range strings.Lines(listed) {
		id, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || !r.format.valid(id) {
			continue
		}
		if name == ref+"^{}" {
			return id, nil
		}
		if name == ref {
			commit = id
		}
	}
	return commit, nil
}

// asUser runs git in the repository as the user would, but for hooks and questions.
func (r *Repository) asUser(ctx context.Context, s *scratch, args ...string) *exec.Cmd {
	place := []string{"-C", r.root}
	if r.bare {
		place = []string{"--git-dir=" + r.gitDir}
	}
	place = append(place, "-c", "core.hooksPath="+filepath.Join(s.dir, "hooks"), "-c", "core.fsmonitor=")
	cmd := exec.CommandContext(ctx, "git", append(place, args...)...)
	cmd.Env = append(userEnvironment(), "GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1", "LC_ALL=C")
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// bound are the variables that would point git to another repository.
var bound = []string{
	"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
	"GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_CEILING_DIRECTORIES",
}

func userEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(bound, name)
	})
}

// remoteName is a remote as it may be shown.
func remoteName(remote string) string {
	if strings.Contains(remote, ":") || strings.Contains(remote, "@") {
		return withoutCredentials(remote)
	}
	return shorten(remote)
}
