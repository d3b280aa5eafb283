package source

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// sink writes a tree below one folder. Files and folders come first; symbolic links come
// last, when all of them are known and none leaves the tree, so no byte is ever
// written through one.
type sink struct {
	root    *os.Root
	made    bool // the folder was not there before
	time    time.Time
	budget  *budget
	folders []string
	mu      sync.Mutex // guards what follows
	files   int
	lfs     []string
	links   map[string]string // path -> target
	targets int               // bytes of all targets
}

func newSink(dest string, t time.Time, b *budget) (*sink, error) {
	s := &sink{time: t, budget: b, links: map[string]string{}}
	err := os.Mkdir(dest, 0o755)
	s.made = err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make destination: %w", err)
	}
	if s.root, err = os.OpenRoot(dest); err != nil {
		return nil, fmt.Errorf("open destination: %w", err)
	}
	if names, err := fs.ReadDir(s.root.FS(), "."); err != nil || len(names) > 0 {
		s.root.Close()
		if err != nil {
			return nil, fmt.Errorf("read destination: %w", err)
		}
		return nil, refusal{
			code: "source-destination-in-use", class: gate.Failed, where: quote(dest), what: "folder to export to is not empty",
			expected: "an empty folder, or none", fix: "name another folder",
		}.err()
	}
	return s, nil
}

// openFolder is a folder that is being written to, closed when nobody holds it any more.
type openFolder struct {
	path string
	root *os.Root
	refs atomic.Int64
}

func (f *openFolder) hold() { f.refs.Add(1) }

func (f *openFolder) release() {
	if f.refs.Add(-1) == 0 {
		f.root.Close()
	}
}

// folder makes the folder at p, whose parent was made before, and opens it for the caller to release.
func (s *sink) folder(p string) (*openFolder, error) {
	name := path.Join(".", p)
	if p != "" {
		if err := s.root.Mkdir(name, 0o755); errors.Is(err, fs.ErrExist) {
			return nil, alreadyThere(p)
		} else if err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
	}
	if err := s.root.Chmod(name, 0o755); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	root, err := s.root.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	s.folders = append(s.folders, name)
	f := &openFolder{path: p, root: root}
	f.hold()
	return f, nil
}

// alreadyThere is what a file system says that takes two names for one where we did not.
func alreadyThere(p string) error {
	return refusal{
		code: "source-case-collision", where: quote(p), what: "this file system takes two of the tree's names for one",
		fix: "git mv one of them to another name",
	}.err()
}

// job is one small blob to be proven and written.
type job struct {
	into        *openFolder
	name, where string
	id          string // "" when there is nothing to prove
	link        bool
	executable  bool
	time        time.Time // zero: the sink's
	buffer      *[]byte
}

func (j job) release() {
	putBuffer(j.buffer)
	j.into.release()
}

// prover hashes many objects with one hash.
type prover struct {
	format format
	hash   hash.Hash
}

func newProver(f format) *prover { return &prover{format: f, hash: f.hasher(kindBlob, 0)} }

func (s *sink) writeSmall(j job, p *prover) error {
	content := *j.buffer
	if j.id != "" {
		p.format.restart(p.hash, kindBlob, int64(len(content)))
		p.hash.Write(content)
		if err := proven(p.hash, j.id); err != nil {
			return err
		}
	}
	if j.link {
		return s.addLink(j.where, string(content))
	}
	err := s.create(j, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files++
	if isLFSPointer(content) {
		s.lfs = append(s.lfs, j.where)
	}
	return nil
}

// writeLarge streams one answer to its file.
func (s *sink) writeLarge(j job, o *objects, size int64) error {
	if j.link {
		return badTarget(j.where, "its target is too long")
	}
	h := o.repo.format.hasher(kindBlob, size)
	err := s.create(j, func(f *os.File) error {
		buffer := getBuffer(small)
		defer putBuffer(buffer)
		n, err := io.CopyBuffer(io.MultiWriter(h, onlyWriter{f}), onlyReader{io.LimitReader(o.out, size)}, *buffer)
		if err == nil && n < size {
			err = io.ErrUnexpectedEOF
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return o.died(j.id, err)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := o.newline(j.id); err != nil {
		return err
	}
	s.mu.Lock()
	s.files++
	s.mu.Unlock()
	return proven(h, j.id)
}

// onlyReader and onlyWriter hide shortcuts, so that the buffer is ours.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// create makes a file with the mode and the time it must have.
func (s *sink) create(j job, write func(*os.File) error) error {
	mode := fs.FileMode(0o644)
	if j.executable {
		mode = 0o755
	}
	f, err := j.into.root.OpenFile(j.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return alreadyThere(j.where)
	}
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	err = write(f)
	if err == nil {
		err = f.Chmod(mode) // the umask had its say
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		t := j.time
		if t.IsZero() {
			t = s.time
		}
		err = j.into.root.Chtimes(j.name, t, t)
	}
	if err != nil && gate.Code(err) == "" {
		return fmt.Errorf("write %s: %w", quote(j.where), err)
	}
	return err
}

func (s *sink) addLink(where, target string) error {
	if why := checkTarget(target); why != "" {
		return badTarget(where, why)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files++
	s.links[where] = target
	if s.targets += len(target); s.targets > maxTargets {
		return refusal{
			code: "source-too-large", where: quote(where), what: "tree's symbolic links have too long targets",
			expected: fmt.Sprintf("at most %d bytes in all of them", maxTargets), fix: "remove what does not belong into the source",
		}.err()
	}
	return nil
}

func badTarget(where, why string) error {
	return refusal{
		code: "source-bad-name", where: quote(where), what: "symbolic link is not safe: " + why, fix: "remove it in a new commit",
	}.err()
}

// finish writes the symbolic links and sets the folders' times. After an error, err or its own,
// it empties the destination.
func (s *sink) finish(err error) error {
	if err == nil {
		err = s.writeLinks()
	}
	if err == nil {
		for _, name := range s.folders {
			if err = s.root.Chtimes(name, s.time, s.time); err != nil {
				err = fmt.Errorf("set folder's time: %w", err)
				break
			}
		}
	}
	if err != nil {
		s.empty()
	}
	s.root.Close()
	if err != nil && s.made {
		_ = os.Remove(s.root.Name())
	}
	return err
}

func (s *sink) writeLinks() error {
	set := newLinkSet()
	var paths []string
	for p, target := range s.links {
		set.add(p, target)
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		if err := set.check(p); err != nil {
			return refusal{
				code: "source-symlink-escapes", where: quote(p), what: "symbolic link leaves the tree: " + err.Error(),
				expected: "a target below the root of the repository", actual: quote(shorten(s.links[p])),
				fix: "point it to something in the tree, or remove it, in a new commit",
			}.err()
		}
	}
	for _, p := range paths {
		if err := s.root.Symlink(filepath.FromSlash(s.links[p]), p); err != nil {
			return fmt.Errorf("write symbolic link: %w", err)
		}
		if err := setLinkTime(s.root, p, s.time); err != nil {
			return fmt.Errorf("set symbolic link's time: %w", err)
		}
	}
	return nil
}

func (s *sink) empty() {
	names, _ := fs.ReadDir(s.root.FS(), ".")
	for _, name := range names {
		_ = s.root.RemoveAll(name.Name())
	}
}

func (s *sink) sortedLFS() []string {
	slices.Sort(s.lfs)
	return s.lfs
}

// isLFSPointer recognises pointer files as the Git LFS specification defines them: less than 1024 bytes, version first.
func isLFSPointer(content []byte) bool {
	if len(content) >= 1024 {
		return false
	}
	for _, version := range []string{"https://git-lfs.github.com/spec/", "https://hawser.github.com/spec/"} {
		if bytes.HasPrefix(content, []byte("version "+version)) {
			return bytes.Contains(content, []byte("\noid "))
		}
	}
	return false
}

var buffers = sync.Pool{New: func() any {
	b := make([]byte, small)
	return &b
}}

// getBuffer lends n bytes, at most small.
func getBuffer(n int) *[]byte {
	b := buffers.Get().(*[]byte)
	*b = (*b)[:n]
	return b
}

func putBuffer(b *[]byte) {
	*b = (*b)[:cap(*b)]
	buffers.Put(b)
}
