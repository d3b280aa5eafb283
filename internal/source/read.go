package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// ReadFile gives the content of the regular file at path (slash-separated, below the
// root) in the commit, up to max bytes. A path that is not there is fs.ErrNotExist, wrapped.
// Refused: source-not-a-file, source-file-too-large, and what Commit refuses.
func (r *Repository) ReadFile(ctx context.Context, commit, path string, max int64) ([]byte, error) {
	o, err := r.objects(ctx, false)
	if err != nil {
		return nil, err
	}
	defer o.close()
	e, err := o.at(commit, path)
	if err != nil {
		return nil, err
	}
	where := inCommit(path, commit)
	if !e.mode.isFile() {
		return nil, refusal{
			code: "source-not-a-file", where: where, what: "this is not a regular file",
			expected: "a regular file", actual: e.mode.String(), fix: "replace it by a file in a new commit",
		}.err()
	}
	return o.blob(e, where, max)
}

// blob gives a file's content.
func (o *objects) blob(e entry, where string, max int64) ([]byte, error) {
	b, err := o.get(e.id.hex(), kindBlob, max)
	if gate.Code(err) == "source-object-too-large" {
		return nil, fileTooLarge(where, max, err)
	}
	return b, o.broken(err, where)
}

// List gives the names in the folder dir ("." is the root) of the commit, sorted. A path that is not
// there is fs.ErrNotExist, wrapped. Refused: source-not-a-folder, what Commit
// refuses, and names that Export would refuse.
func (r *Repository) List(ctx context.Context, commit, dir string) ([]string, error) {
	o, err := r.objects(ctx, false)
	if err != nil {
		return nil, err
	}
	defer o.close()
	entries, err := o.folder(commit, dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.name
	}
	slices.Sort(names)
	return names, nil
}

func inCommit(path, commit string) string { return quote(path) + " in commit " + shorten(commit) }

func fileTooLarge(where string, max int64, cause error) error {
	return refusal{
		code: "source-file-too-large", where: where, what: "file is too large",
		expected: fmt.Sprintf("at most %d bytes", max), cause: cause, fix: "keep such files outside of the repository",
	}.err()
}

func (m mode) String() string {
	switch {
	case m.isFile():
		return "a regular file"
	case m == modeFolder:
		return "a folder"
	case m == modeSymlink:
		return "a symbolic link"
	case m == modeSubmodule:
		return "a submodule"
	}
	return fmt.Sprintf("mode %o", uint32(m))
}

// at looks up a path in a commit; the root is a folder too.
func (o *objects) at(commit, p string) (entry, error) {
	if !fs.ValidPath(p) {
		return entry{}, refusal{
			code: "source-bad-path", class: gate.Usage, where: quoteShort(p), what: "this is not a path below the root of the repository",
			expected: "a clean path with slashes, like releases/v1.0.0.yaml",
		}.err()
	}
	body, err := o.commitBody(commit)
	if err != nil {
		return entry{}, err
	}
	l, err := parseLinks(o.repo.format, body)
	if err != nil {
		return entry{}, refusal{code: "source-bad-commit", where: "commit " + commit, what: "commit is malformed", cause: err}.err()
	}
	e, ok, err := o.lookup(l.tree, p)
	if err != nil {
		return entry{}, err
	}
	if !ok {
		return entry{}, &fs.PathError{Op: "read", Path: inCommit(p, commit), Err: fs.ErrNotExist}
	}
	return e, nil
}

// lookup finds p below the tree.
func (o *objects) lookup(tree, p string) (entry, bool, error) {
	if p == "." {
		root, err := decode(tree)
		return entry{mode: modeFolder, id: root}, err == nil, err
	}
	id := tree
	names := strings.Split(p, "/")
	for i, name := range names {
		entries, err := o.tree(id, quote(path.Join(names[:i]...)))
		if err != nil {
			return entry{}, false, err
		}
		e, _, err := find(entries, name)
		if err != nil {
			return entry{}, false, collision(path.Join(names[:i]...), name, name)
		}
		last := i == len(names)-1
		if e.mode == 0 || !last && e.mode != modeFolder {
			return entry{}, false, nil
		}
		if last {
			return e, true, nil
		}
		id = e.id.hex()
	}
	return entry{}, false, errors.New("empty path")
}

// tree reads one folder.
func (o *objects) tree(id, where string) ([]entry, error) {
	body, err := o.get(id, kindTree, maxTreeObject)
	if err != nil {
		return nil, o.broken(err, where)
	}
	return entriesOf(o.repo.format, body, where)
}

func entriesOf(f format, body []byte, where string) ([]entry, error) {
	entries, err := parseTree(f, body)
	if err != nil {
		return nil, refusal{
			code: "source-bad-tree", where: where, what: "folder's tree object is malformed", cause: err,
			fix: "git itself never writes this: find out who committed it",
		}.err()
	}
	return entries, nil
}

// ReadFolder gives the regular files of the folder dir of the commit by their names, those that keep wants, each up to max
// bytes. It refuses what ReadFile and List refuse.
func (r *Repository) ReadFolder(ctx context.Context, commit, dir string, keep func(name string) bool, max int64) (map[string][]byte, error) {
	o, err := r.objects(ctx, false)
	if err != nil {
		return nil, err
	}
	defer o.close()
	entries, err := o.folder(commit, dir)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if !keep(e.name) || !e.mode.isFile() {
			continue
		}
		if out[e.name], err = o.blob(e, inCommit(path.Join(dir, e.name), commit), max); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// folder gives what is in the folder of the commit.
func (o *objects) folder(commit, dir string) ([]entry, error) {
	e, err := o.at(commit, dir)
	if err != nil {
		return nil, err
	}
	if e.mode != modeFolder {
		return nil, refusal{
			code: "source-not-a-folder", where: inCommit(dir, commit), what: "this is not a folder",
			expected: "a folder", actual: e.mode.String(),
		}.err()
	}
	entries, err := o.tree(e.id.hex(), inCommit(dir, commit))
	if err != nil {
		return nil, err
	}
	return entries, checkFolder(dir, entries)
}

// Having gives those of the commits that have something at path. Commits that are not in the repository have nothing.
func (r *Repository) Having(ctx context.Context, commits []string, path string) ([]string, error) {
	o, err := r.objects(ctx, false)
	if err != nil {
		return nil, err
	}
	defer o.close()
	var out []string
	for _, commit := range commits {
		_, err := o.at(commit, path)
		switch {
		case err == nil:
			out = append(out, commit)
		case errors.Is(err, fs.ErrNotExist), gate.Code(err) == "source-commit-missing":
		default:
			return nil, err
		}
	}
	return out, nil
}
