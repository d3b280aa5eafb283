package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

const (
	heads   = "refs/heads/"
	tags    = "refs/tags/"
	remotes = "refs/remotes/origin/"
)

// maxRefs bounds the references that are listed.
const maxRefs = 1_000_000

// refs gives the references below prefix, or the one with that name, and the ids they hold.
func (r *Repository) refs(ctx context.Context, prefix string) (map[string]string, error) {
	s, err := r.scratch("")
	if err != nil {
		return nil, err
	}
	defer s.remove()
	found := map[string]string{}
	err = stream(s.onRefs(ctx, "for-each-ref", "--format=%(objectname) %(refname)", "--", prefix), func(out io.Reader) error {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			id, name, ok := strings.Cut(lines.Text(), " ")
			if !ok || !r.format.valid(id) {
				return fmt.Errorf("read references: unexpected line %s", quote(lines.Text()))
			}
			if found[name] = id; len(found) > maxRefs {
				return errors.New("read references: there are more than a million")
			}
		}
		return lines.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read references: %w", err)
	}
	return found, nil
}

// Branch is the name of the branch that is checked out, without refs/heads/.
// Refused as source-detached-head where none is.
func (r *Repository) Branch(ctx context.Context) (string, error) {
	s, err := r.scratch("")
	if err != nil {
		return "", err
	}
	defer s.remove()
	ref, err := output(s.onRefs(ctx, "symbolic-ref", "-q", "HEAD"))
	if err != nil && exitCode(err) != 1 {
		return "", fmt.Errorf("read current branch: %w", err)
	}
	branch, ok := strings.CutPrefix(ref, heads)
	if err != nil || !ok || checkRefName(branch) != nil {
		return "", refusal{
			code: "source-detached-head", class: gate.Usage, where: quote(r.root), what: "no branch is checked out",
			expected: "a branch", actual: "HEAD at a commit", fix: "git switch <branch>",
		}.err()
	}
	return branch, nil
}

// BranchesMatching gives the names of the local branches and of origin's branches,
// each once and sorted, that are equal to pattern, or begin with it where it ends with *.
// Refused: source-bad-branch.
func (r *Repository) BranchesMatching(ctx context.Context, pattern string) ([]string, error) {
	prefix, open := strings.CutSuffix(pattern, "*")
	sample := prefix
	if open {
		sample += "x"
	}
	if err := checkRefName(sample); err != nil {
		return nil, badBranch(pattern, err)
	}
	var names []string
	for _, space := range []string{heads, remotes} {
		refs, err := r.refs(ctx, space)
		if err != nil {
			return nil, err
		}
		for ref := range refs {
			name := strings.TrimPrefix(ref, space)
			if space == remotes && name == "HEAD" { // it only points to another one
				continue
			}
			if name == prefix || open && strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func badBranch(name string, cause error) error {
	return refusal{
		code: "source-bad-branch", class: gate.Usage, where: quote(shorten(name)), what: "git does not allow this name for a branch",
		expected: "a branch name, or its beginning and *", cause: cause, fix: "git branch --all lists the branches",
	}.err()
}

// Head is the commit id at the tip of the local branch, or of origin's branch where
// there is no local one. Refused: source-bad-branch, source-branch-missing.
func (r *Repository) Head(ctx context.Context, branch string) (string, error) {
	if err := checkRefName(branch); err != nil {
		return "", badBranch(branch, err)
	}
	for _, space := range []string{heads, remotes} {
		refs, err := r.refs(ctx, space+branch)
		if err != nil {
			return "", err
		}
		if id, ok := refs[space+branch]; ok {
			return id, nil
		}
	}
	return "", refusal{
		code: "source-branch-missing", where: quote(r.root), what: "branch is not in the repository",
		expected: quote(branch), actual: "neither " + heads + quote(branch) + " nor " + remotes + quote(branch),
		fix: "git fetch origin " + quote(branch),
	}.err()
}

// HeadCommit is the id of the commit that is checked out, on a branch or not; "" before the first commit.
func (r *Repository) HeadCommit(ctx context.Context) (string, error) { return r.headCommit(ctx) }

// headCommit is the commit that is checked out, or "" before the first commit.
func (r *Repository) headCommit(ctx context.Context) (string, error) {
	s, err := r.scratch("")
	if err != nil {
		return "", err
	}
	defer s.remove()
	id, err := output(s.onRefs(ctx, "rev-parse", "-q", "--verify", "HEAD"))
	if exitCode(err) == 1 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read HEAD: %w", err)
	}
	if !r.format.valid(id) {
		return "", fmt.Errorf("read HEAD: unexpected answer %s", quote(id))
	}
	return id, nil
}
