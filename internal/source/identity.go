package source

import (
	"context"
	"os"
	"os/exec"
	"strings"
)

// Identity gives the user's own name and address, as git knows them from its configuration and environment, or
// empty strings. They say who made a tag, for people; the tag's signature is what proves it.
func (r *Repository) Identity(ctx context.Context) (name, email string) {
	cmd := exec.CommandContext(ctx, "git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "var", "GIT_COMMITTER_IDENT")
	cmd.Dir = r.Root()
	for _, kv := range os.Environ() { // the repository is the one that was opened, whatever GIT_DIR says
		if !strings.HasPrefix(kv, "GIT_") || strings.HasPrefix(kv, "GIT_COMMITTER_") || strings.HasPrefix(kv, "GIT_CONFIG_GLOBAL=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	out, err := cmd.Output()
	if err != nil {
		return "", ""
	}
	name, rest, _ := strings.Cut(string(out), " <")
	email, _, _ = strings.Cut(rest, ">")
	return name, email
}
