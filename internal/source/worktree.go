package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// Status reports whether the work tree, or one of its checked-out submodules, differs from the
// checked-out commit, files that are neither tracked nor ignored included. It is a hint for people:
// it trusts the index, and proves nothing.
func (r *Repository) Status(ctx context.Context) (dirty bool, err error) {
	dirty, err = r.changed(ctx, true)
	if dirty || err != nil {
		return dirty, err
	}
	_, modules, err := r.index(ctx)
	if err != nil {
		return false, err
	}
	for _, m := range modules {
		sub, err := r.checkedOut(ctx, m.path)
		if err != nil {
			return false, err
		}
		if sub == nil {
			continue
		}
		head, err := sub.headCommit(ctx)
		if err != nil || head != m.commit {
			return err == nil, err
		}
		if dirty, err := sub.Status(ctx); dirty || err != nil {
			return dirty, err
		}
	}
	return false, nil
}

// changed compares this work tree alone with its HEAD.
func (r *Repository) changed(ctx context.Context, untracked bool) (bool, error) {
	mode := "--untracked-files=no"
	if untracked {
		mode = "--untracked-files=normal"
	}
	changed := false
	err := r.inWorkTree(ctx, func(out io.Reader) error {
		n, err := io.Copy(io.Discard, out)
		changed = n > 0
		return err
	}, "status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all", mode)
	if err != nil {
		return false, fmt.Errorf("read status: %w", err)
	}
	return changed, nil
}

// index lists the tracked paths, and those that are neither tracked nor ignored; submodules apart.
func (r *Repository) index(ctx context.Context) (files []string, modules []module, err error) {
	err = r.list(ctx, func(line string) error {
		info, name, ok := strings.Cut(line, "\t")
		fields := strings.Fields(info) // mode id stage
		if !ok || len(fields) != 3 {
			return fmt.Errorf("unexpected line %s", quote(line))
		}
		if fields[0] == "160000" {
			modules = append(modules, module{path: name, commit: fields[1]})
		} else {
			files = append(files, name)
		}
		return nil
	}, "--cached", "--stage")
	if err == nil {
		err = r.list(ctx, func(name string) error {
			if !strings.HasSuffix(name, "/") { // another repository, which is no submodule
				files = append(files, name)
			}
			return nil
		}, "--others", "--exclude-standard")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list files: %w", err)
	}
	return files, modules, nil
}

func (r *Repository) list(ctx context.Context, add func(string) error, args ...string) error {
	return r.inWorkTree(ctx, func(out io.Reader) error {
		lines := bufio.NewScanner(out)
		lines.Split(splitNUL)
		for n := 0; lines.Scan(); n++ {
			if n > DefaultFiles {
				return errors.New("there are more than a million")
			}
			if err := add(lines.Text()); err != nil {
				return err
			}
		}
		return lines.Err()
	}, append([]string{"ls-files", "-z"}, args...)...)
}

func splitNUL(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// inWorkTree runs git on the work tree and the index, with our own git directory, so that no filter
// or monitor of the repository's configuration is known.
func (r *Repository) inWorkTree(ctx context.Context, read func(io.Reader) error, args ...string) error {
	if r.bare {
		return refusal{
			code: "source-no-work-tree", class: gate.Usage, where: quote(r.root), what: "this repository has no work tree",
			fix: "clone it: git clone <this folder>",
		}.err()
	}
	head, err := r.headCommit(ctx)
	if err != nil {
		return err
	}
	s, err := r.scratch(head)
	if err != nil {
		return err
	}
	defer s.remove()
	if err := r.lendIndex(s); err != nil {
		return err
	}
	cmd := s.onObjects(ctx, append(r.settings(ctx, s), args...)...)
	cmd.Args = slices.Insert(cmd.Args, 1, "--work-tree="+r.root)
	cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+filepath.Join(s.dir, "index"))
	cmd.Dir = r.root
	return stream(cmd, read)
}

// lendIndex copies the index, its shared part and the repository's exclude file into our git directory.
func (r *Repository) lendIndex(s *scratch) error {
	lent := map[string]string{
		filepath.Join(r.gitDir, "index"):              filepath.Join(s.dir, "index"),
		filepath.Join(r.commonDir, "info", "exclude"): filepath.Join(s.dir, "info", "exclude"),
	}
	shared, err := filepath.Glob(filepath.Join(globQuote(r.gitDir), "sharedindex.*"))
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	for _, name := range shared {
		lent[name] = filepath.Join(s.dir, filepath.Base(name))
	}
	for from, to := range lent {
		if err := copyPlain(from, to); err != nil {
			return fmt.Errorf("read index: %w", err)
		}
	}
	return nil
}

// copyPlain copies a regular file of git's own; one that is not there is skipped. The time stays: git
// compares it with the files' times.
func copyPlain(from, to string) error {
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", quote(from))
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chtimes(to, info.ModTime(), info.ModTime())
	}
	return err
}

// harmless are the settings of the user and the repository that say how files are compared, and their values.
var (
	harmless = `^core\.(filemode|symlinks|ignorecase|precomposeunicode|autocrlf|eol|checkstat|trustctime)$`
	values   = regexp.MustCompile(`^[a-z0-9]{0,10}$`)
)

// settings gives options for those settings, and for the user's own list of ignored files. Where they
// cannot be read, git's defaults hold.
func (r *Repository) settings(ctx context.Context, s *scratch) []string {
	var options []string
	asUser := func(args ...string) string {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir, cmd.Env = s.dir, userEnvironment()
		out, err := output(cmd)
		if err != nil {
			return ""
		}
		return out
	}
	for setting := range strings.SplitSeq(asUser("--git-dir="+r.gitDir, "config", "-z", "--get-regexp", harmless), "\x00") {
		key, value, ok := strings.Cut(setting, "\n")
		if ok && values.MatchString(value) {
			options = append(options, "-c", key+"="+value)
		}
	}
	ignored := asUser("config", "--global", "--type=path", "--get", "core.excludesFile")
	if ignored == "" {
		dir := os.Getenv("XDG_CONFIG_HOME")
		if dir == "" {
			dir = filepath.Join(os.Getenv("HOME"), ".config")
		}
		ignored = filepath.Join(dir, "git", "ignore")
	}
	if filepath.IsAbs(ignored) {
		options = append(options, "-c", "core.excludesFile="+ignored)
	}
	return options
}

// SnapshotFiles gives the paths (slash-separated, sorted) of the files and symbolic links in the work
// tree that are tracked, or neither tracked nor ignored; those of checked-out submodules included.
func (r *Repository) SnapshotFiles(ctx context.Context) ([]string, error) {
	listed, modules, err := r.index(ctx)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(r.root)
	if err != nil {
		return nil, fmt.Errorf("open work tree: %w", err)
	}
	defer root.Close()
	t := &workTree{root: root, folders: map[string]bool{".": true}}
	var files []string
	for _, name := range listed {
		if _, ok := t.lstat(name); ok {
			files = append(files, name)
		}
	}
	for _, m := range modules {
		sub, err := r.checkedOut(ctx, m.path)
		if err != nil {
			return nil, err
		}
		if sub == nil {
			continue
		}
		below, err := sub.SnapshotFiles(ctx)
		if err != nil {
			return nil, err
		}
		for _, name := range below {
			files = append(files, path.Join(m.path, name))
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// workTree looks at files below real folders only: what lies behind a symbolic link is not in the tree.
type workTree struct {
	root    *os.Root
	folders map[string]bool // known, and whether they are real folders
}

// lstat gives what a path is, if it is there and neither a folder nor behind a link.
func (t *workTree) lstat(name string) (fs.FileInfo, bool) {
	if !t.isFolder(path.Dir(name)) {
		return nil, false
	}
	info, err := t.root.Lstat(filepath.FromSlash(name))
	return info, err == nil && !info.IsDir()
}

func (t *workTree) isFolder(name string) bool {
	if is, known := t.folders[name]; known {
		return is
	}
	is := false
	if t.isFolder(path.Dir(name)) {
		info, err := t.root.Lstat(filepath.FromSlash(name))
		is = err == nil && info.IsDir()
	}
	t.folders[name] = is
	return is
}
