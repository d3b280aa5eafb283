package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// Repository is a git repository on this machine. It holds no open files and may be
// used from several goroutines; each call sees the repository as it is then.
type Repository struct {
	root      string // top of the work tree; the git directory itself when bare
	gitDir    string // of this work tree: HEAD, index
	commonDir string // shared by all work trees: objects, references, shallow
	bare      bool
	format    format
}

// Open finds the repository that dir is in: dir or the nearest folder above it
// that holds .git (a folder, or a file that names one), or dir itself as a bare
// repository. GIT_DIR and core.worktree are not followed.
// Refused as source-not-a-repository where there is none.
func Open(ctx context.Context, dir string) (*Repository, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	root, gitDir, err := discover(abs)
	if err != nil {
		return nil, notARepository(dir, err)
	}
	return openGitDir(ctx, root, gitDir)
}

// openGitDir opens the repository with this git directory; root is "" for none.
func openGitDir(ctx context.Context, root, gitDir string) (*Repository, error) {
	commonDir, err := pointedAt(filepath.Join(gitDir, "commondir"), "", gitDir)
	if errors.Is(err, os.ErrNotExist) {
		commonDir, err = gitDir, nil
	}
	if err != nil {
		return nil, notARepository(gitDir, err)
	}
	r := &Repository{root: root, gitDir: gitDir, commonDir: commonDir, bare: root == ""}
	if r.bare {
		r.root = gitDir
	}
	s, err := newScratch(gitDir, "")
	if err != nil {
		return nil, err
	}
	defer s.remove()
	name, err := output(s.onRefs(ctx, "rev-parse", "--show-object-format"))
	if err != nil {
		if ctx.Err() != nil || gate.Code(err) != "" {
			return nil, errors.Join(ctx.Err(), err)
		}
		return nil, notARepository(gitDir, err)
	}
	var ok bool
	if r.format, ok = formatNamed(name); !ok {
		return nil, notARepository(gitDir, fmt.Errorf("unknown object format %s", quote(name)))
	}
	return r, nil
}

func notARepository(dir string, cause error) error {
	if errors.Is(cause, errNoGit) {
		cause = nil
	}
	return refusal{
		code: "source-not-a-repository", class: gate.Usage, where: quote(dir), what: "this is not a git repository",
		expected: "a folder in the work tree of a git repository", cause: cause,
		fix: "change to the project's folder, or clone it first: git clone <url>",
	}.err()
}

var errNoGit = errors.New("no .git here or above")

// discover climbs from dir to the nearest .git.
func discover(dir string) (root, gitDir string, err error) {
	if isGitDir(dir) {
		return "", dir, nil
	}
	for at := dir; ; at = filepath.Dir(at) {
		gitDir, err := gitDirOf(at)
		if err == nil {
			return at, gitDir, nil
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errNoGit) {
			return "", "", err
		}
		if at == filepath.Dir(at) {
			return "", "", errNoGit
		}
	}
}

// gitDirOf gives the git directory of the work tree at root.
func gitDirOf(root string) (string, error) {
	dot := filepath.Join(root, ".git")
	info, err := os.Stat(dot)
	switch {
	case err != nil:
		return "", err
	case info.IsDir() && isGitDir(dot):
		return dot, nil
	case info.IsDir():
		return "", errNoGit
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is neither a folder nor a file", quote(dot))
	}
	gitDir, err := pointedAt(dot, "gitdir:", root)
	if err != nil {
		return "", err
	}
	if !isGitDir(gitDir) {
		return "", fmt.Errorf("%s names a folder that is not a git directory", quote(dot))
	}
	return gitDir, nil
}

// isGitDir is git's own minimal test.
func isGitDir(dir string) bool {
	if _, err := os.Lstat(filepath.Join(dir, "HEAD")); err != nil {
		return false
	}
	if _, err := os.Stat(filepath.Join(dir, "commondir")); err == nil {
		return true
	}
	for _, name := range []string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// pointedAt reads a file that holds one path after prefix, relative to base.
func pointedAt(file, prefix, base string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > 2*maxPath {
		return "", fmt.Errorf("%s does not name a folder", quote(file))
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(strings.TrimRight(string(b), "\r\n"), prefix)
	target = strings.TrimLeft(target, " ")
	if !ok || target == "" || strings.ContainsAny(target, "\x00\n") {
		return "", fmt.Errorf("%s does not name a folder", quote(file))
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(base, filepath.FromSlash(target))
	}
	return filepath.Clean(target), nil
}

// Root is the absolute path of the top of the work tree, or of the git directory when the repository is bare.
func (r *Repository) Root() string { return r.root }

// shallow reports whether history was cut off when the repository was cloned.
func (r *Repository) shallow() bool {
	info, err := os.Stat(filepath.Join(r.commonDir, "shallow"))
	return err == nil && info.Size() > 0
}

// partial reports whether objects were left out when the repository was cloned.
func (r *Repository) partial() bool {
	packs, err := filepath.Glob(filepath.Join(globQuote(r.commonDir), "objects", "pack", "*.promisor"))
	return err == nil && len(packs) > 0
}

// globQuote makes a path match only itself where filepath.Glob knows escapes.
func globQuote(path string) string {
	if filepath.Separator == '\\' {
		return path
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
