package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/gate"
)

// PathInRepository gives the path of a file relative to the repository's root, with slashes. It refuses with usage one that is elsewhere.
func (p *Project) PathInRepository(file string) (string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", file, err)
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	rel, err := filepath.Rel(p.Repo.Root(), abs)
	if err != nil || !filepath.IsLocal(rel) {
		return "", usageRefusal("usage", file, "this file is not in the repository", "copy it there, and name it by its path there")
	}
	return filepath.ToSlash(rel), nil
}

// repoPath turns what a user typed into a path relative to the repository's root: a path with or without its
// ending, or just a version.
func (p *Project) repoPath(file string) string {
	file = filepath.ToSlash(file)
	file = path.Clean(strings.TrimPrefix(strings.ReplaceAll(file, filepath.ToSlash(p.Repo.Root())+"/", ""), "./"))
	if semver.IsValid(strings.TrimSuffix(file, ".yaml")) {
		file = path.Join("releases", file)
	}
	if semver.IsValid(path.Base(file)) && path.Ext(file) != ".yaml" {
		file += ".yaml"
	}
	return file
}

// detached gives the release branch where no branch is checked out, as in CI: the one that the definition of the
// commit names. cause says that none is checked out.
func (p *Project) detached(ctx context.Context, cause error) (name, tip string, err error) {
	commit, err := p.Repo.HeadCommit(ctx)
	if err != nil || commit == "" {
		return "", "", errors.Join(err, cause)
	}
	def, _, err := p.definitionAt(ctx, commit)
	if err != nil {
		return "", "", err
	}
	matching, err := p.Repo.BranchesMatching(ctx, def.Branch)
	if err != nil {
		return "", "", err
	}
	if len(matching) != 1 {
		return "", "", cause
	}
	tip, err = p.Repo.Head(ctx, matching[0])
	return matching[0], tip, err
}

// atTip refuses to take the tip of the release branch for what the user looks at, when that is another commit.
func (p *Project) atTip(ctx context.Context, branch, tip string) error {
	head, err := p.Repo.HeadCommit(ctx)
	if err != nil || head == tip {
		return err
	}
	actual := "no branch, at " + short(head)
	switch current, err := p.Repo.Branch(ctx); {
	case err == nil && current == branch:
		return nil
	case err == nil:
		actual = "branch " + current + " at " + short(head)
	case gate.Code(err) != "source-detached-head":
		return err
	}
	return &gate.Refusal{Code: "propose-branch", Class: gate.Usage, Where: p.Repo.Root(), What: "releases come from another branch than the one that is checked out",
		Expected: "branch " + branch + " at " + short(tip), Actual: actual,
		Fix: "git switch " + branch + ", or name a commit of " + branch + ": --commit " + tip}
}

func short(commit string) string { return commit[:min(12, len(commit))] }

// notMerged says why a release file is not on the release branch: it lies in the working tree, or on other branches.
func (p *Project) notMerged(ctx context.Context, c *Candidate) error {
	r := &gate.Refusal{Code: "release-file-not-merged", Where: c.Path,
		What:     "the release file is not on the release branch; working trees do not count",
		Expected: fmt.Sprintf("%s in the tip of %s (%s)", c.Path, c.Branch, short(c.Tip)), Actual: "no such file in that commit",
		Fix: fmt.Sprintf("git add %s && git commit -m 'Propose %s', or merge the change that adds it", c.Path, versionOf(c.Path))}
	holders, err := p.branchesWith(ctx, c)
	if err != nil {
		return err
	}
	if len(holders) == 0 {
		return r
	}
	r.Actual = fmt.Sprintf("it is on %s, and not on %s", strings.Join(holders, ", "), c.Branch)
	r.Fix = fmt.Sprintf("merge it: git switch %s && git merge %s", c.Branch, holders[0])
	return r
}

// maxBranches bounds how many branches are looked at for a release file.
const maxBranches = 50

// branchesWith gives the branches, at most three, that have the release file which the release branch lacks.
func (p *Project) branchesWith(ctx context.Context, c *Candidate) ([]string, error) {
	all, err := p.Repo.BranchesMatching(ctx, "*")
	if err != nil {
		return nil, err
	}
	if current, err := p.Repo.Branch(ctx); err == nil { // the likeliest
		all = append([]string{current}, slices.DeleteFunc(all, func(b string) bool { return b == current })...)
	}
	var out []string
	for _, b := range all[:min(len(all), maxBranches)] {
		tip, err := p.Repo.Head(ctx, b)
		if err != nil || b == c.Branch {
			continue
		}
		if _, err := p.Repo.ReadFile(ctx, tip, c.Path, maxReviewed); err == nil && len(out) < 3 {
			out = append(out, b)
		}
	}
	return out, nil
}

// notes reads the release notes of a candidate from the tip of the release branch, nil where it has none. They become
// the tag's message, so they are checked long before there is a tag.
func (p *Project) notes(ctx context.Context, c *Candidate) ([]byte, error) {
	name := c.Release.Notes
	if name == "" {
		return nil, nil
	}
	data, err := p.Repo.ReadFile(ctx, c.Tip, name, maxReviewed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notesMissing(c.Path, name, "the tip of "+c.Branch+" ("+short(c.Tip)+")")
	}
	if err != nil {
		return nil, fmt.Errorf("read release notes: %w", err)
	}
	return data, checkNotes(name, data)
}

// draftedNotes is notes for a release file that is not committed yet: the working tree may hold them.
func (p *Project) draftedNotes(name string) error {
	if name == "" {
		return nil
	}
	data, err := readLimited(filepath.Join(p.Repo.Root(), filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return notesMissing(name, name, "the working tree")
	}
	if err != nil {
		return fmt.Errorf("read release notes: %w", err)
	}
	return checkNotes(name, data)
}

// checkNotes refuses what cannot be the message of a tag.
func checkNotes(name string, data []byte) error {
	text := string(data)
	why := ""
	switch {
	case len(data) > maxReviewed/2:
		why = fmt.Sprintf("%d bytes", len(data))
	case strings.ContainsRune(text, 0) || strings.ToValidUTF8(text, "") != text:
		why = "bytes that are no text"
	case strings.HasPrefix(text, "-----BEGIN") || strings.Contains(text, "\n-----BEGIN"):
		why = "a line that could be taken for a signature"
	default:
		return nil
	}
	return &gate.Refusal{Code: "release-notes-unusable", Class: gate.Usage, Where: name, What: "the release notes cannot become the message of a tag",
		Expected: fmt.Sprintf("text of at most %d bytes, without lines that begin with -----BEGIN", maxReviewed/2), Actual: why, Fix: "change the file, or take notes: out of the release file"}
}

func notesMissing(where, name, place string) error {
	return &gate.Refusal{Code: "release-notes-missing", Class: gate.Usage, Where: where, What: "the release notes that the release file names are not there",
		Expected: name + " in " + place, Actual: "no such file", Fix: "write " + name + " and commit it with the release file, or take notes: out of the release file"}
}
