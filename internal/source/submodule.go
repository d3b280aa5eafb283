package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sello-release/sello/internal/gate"
)

// modules reads .gitmodules of a commit; a commit without one has none.
func (r *Repository) modules(ctx context.Context, commit string) (map[string]moduleEntry, error) {
	content, err := r.ReadFile(ctx, commit, ".gitmodules", maxModulesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known, err := parseModules(content)
	if err != nil {
		return nil, refusal{
			code: "source-bad-gitmodules", where: inCommit(".gitmodules", commit), what: "submodules' file cannot be read", cause: err,
			fix: "git config --file .gitmodules --list shows where it is malformed",
		}.err()
	}
	return known, nil
}

// submodule opens the repository of a submodule on this machine, and refuses when its work
// tree has something else than what is pinned. where is its path below the root of the export.
func (r *Repository) submodule(ctx context.Context, m module, known map[string]moduleEntry, where string) (*Repository, string, error) {
	described, ok := known[m.path]
	if !ok {
		return nil, "", refusal{
			code: "source-submodule-missing", where: quote(where), what: ".gitmodules does not describe this submodule",
			expected: "a section with path = " + quote(m.path), fix: "git submodule add <url> " + quote(m.path),
		}.err()
	}
	uri := withoutCredentials(described.url)
	if !r.bare {
		sub, err := r.checkedOut(ctx, m.path)
		if err != nil {
			return nil, "", err
		}
		if sub != nil {
			return sub, uri, r.checkClean(ctx, sub, m, where)
		}
	}
	for _, dir := range []string{r.gitDir, r.commonDir} {
		store := filepath.Join(dir, "modules", filepath.FromSlash(described.name))
		if isGitDir(store) {
			sub, err := openGitDir(ctx, "", store)
			return sub, uri, err
		}
	}
	return nil, "", notThere(where, m.commit, nil)
}

// checkedOut opens the submodule in the work tree, or gives nil where none is checked out.
func (r *Repository) checkedOut(ctx context.Context, at string) (*Repository, error) {
	root, err := os.OpenRoot(r.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Stat(at); err != nil || !info.IsDir() { // through no link that leaves the work tree
		return nil, nil
	}
	dir := filepath.Join(r.root, filepath.FromSlash(at))
	gitDir, err := gitDirOf(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoGit) {
		return nil, nil
	}
	if err != nil {
		return nil, notARepository(dir, err)
	}
	return openGitDir(ctx, dir, gitDir)
}

// checkClean refuses a submodule that was worked on: one whose work tree has changes, or
// another commit than the one that is exported or the one that the checked-out commit pins.
func (r *Repository) checkClean(ctx context.Context, sub *Repository, m module, where string) error {
	head, err := sub.headCommit(ctx)
	if err != nil {
		return err
	}
	dirty := refusal{
		code: "source-submodule-dirty", where: quote(where), what: "submodule's work tree is not what the commit pins",
		expected: m.commit, actual: head, fix: "git submodule update --init --recursive",
	}
	if head != m.commit {
		pinned, err := r.pinnedNow(ctx, m.path)
		if err != nil {
			return err
		}
		if head != pinned {
			return dirty.err()
		}
	}
	changed, err := sub.changed(ctx, false)
	if err != nil {
		return err
	}
	if changed {
		dirty.actual, dirty.fix = "uncommitted changes", "commit or undo the changes in "+quote(where)
		return dirty.err()
	}
	return nil
}

// pinnedNow is the commit that the checked-out commit pins at a path, or "".
func (r *Repository) pinnedNow(ctx context.Context, at string) (string, error) {
	head, err := r.headCommit(ctx)
	if err != nil || head == "" {
		return "", err
	}
	o, err := r.objects(ctx, false)
	if err != nil {
		return "", err
	}
	defer o.close()
	e, err := o.at(head, at)
	if errors.Is(err, fs.ErrNotExist) || err == nil && e.mode != modeSubmodule {
		return "", nil
	}
	return e.id.hex(), err
}

func notThere(where, commit string, cause error) error {
	code := gate.Code(cause)
	if cause != nil && code != "source-commit-missing" && code != "source-bad-commit-id" { // an id of the other object format
		return cause
	}
	return refusal{
		code: "source-submodule-missing", where: quote(where), what: "submodule's commit is not on this machine",
		expected: "commit " + commit, fix: "git submodule update --init --recursive",
	}.err()
}
