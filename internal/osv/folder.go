package osv

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
)

// maxRecords is how many records a database may have.
const maxRecords = 5_000_000

// folder is a mirror on disk.
type folder struct{ path string }

// Find reads the whole mirror, or of Go's layout only what its index names.
func (f folder) Find(ctx context.Context, packages []Package) (*Found, error) {
	l := &loader{want: want(packages), found: &Found{URI: filepath.ToSlash(f.path)}, loose: &part{loose: true}}
	l.group, ctx = errgroup.WithContext(ctx)
	l.group.SetLimit(runtime.GOMAXPROCS(0))
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &gate.Refusal{Code: "vuln-db-missing", Class: gate.Usage, Where: f.path, What: "there is no database of vulnerabilities", Expected: "a folder of OSV records, or of the zips that OSV publishes",
			Fix: "mirror one there, or give another with --db"}
	case err != nil:
		return nil, fmt.Errorf("open vulnerability database: %w", err)
	}
	name := "."
	dir := f.path
	if !info.IsDir() {
		if f.path, err = filepath.EvalSymlinks(f.path); err != nil {
			return nil, fmt.Errorf("open vulnerability database: %w", err)
		}
		dir, name = filepath.Split(f.path)
		if dir == "" {
			dir = "."
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open vulnerability database: %w", err)
	}
	defer root.Close()
	walked := l.walk(ctx, root, name)
	if err := l.group.Wait(); err != nil {
		return nil, err // of the reading; the walk only says that it was stopped
	}
	if walked != nil {
		return nil, walked
	}
	if l.found.Total == 0 && len(l.mirrors) == 0 {
		return nil, &gate.Refusal{Code: "vuln-db-invalid", Class: gate.Usage, Where: f.path, What: "this is no database of vulnerabilities", Expected: "OSV records (.json), OSV's zips, or Go's layout with index/modules.json",
			Actual: "none of them", Fix: "give the folder that the database was mirrored to"}
	}
	l.found.fresh(l.want, l.mirrors, l.loose)
	l.noteUnread()
	return l.found.finish(l.want), nil
}

// loader reads records on all cores and keeps those that are wanted.
type loader struct {
	want   wanted
	group  *errgroup.Group
	linked []fs.FileInfo // folders that links lead to

	mu      sync.Mutex
	found   *Found
	mirrors []*part // zips, and what Go's indices name
	loose   *part   // records by themselves
	unread  []string
}

func (l *loader) walk(ctx context.Context, root *os.Root, name string) error {
	indexed := map[string]*goMirror{} // by folder
	return fs.WalkDir(root.FS(), name, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read vulnerability database: %w", err)
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir() && e.Name() == ".git":
			return fs.SkipDir
		case e.IsDir():
			if _, err := root.Stat(path.Join(p, "index", "modules.json")); err != nil {
				return nil
			}
			indexed[p], err = l.goLayout(ctx, root, p)
			return err
		case e.Type()&fs.ModeSymlink != 0 && p != name:
			return l.link(ctx, root, p)
		}
		if m := indexed[path.Dir(path.Dir(p))]; m != nil && m.has(p) {
			return nil
		}
		return l.take(ctx, root, p, e.Type())
	})
}

// take reads what a file of the database is by its name.
func (l *loader) take(ctx context.Context, root *os.Root, p string, mode fs.FileMode) error {
	kind := kindOf(p)
	if !mode.IsRegular() && (kind == aRecord || kind == aZip) {
		kind = suspect
	}
	switch kind {
	case aRecord:
		l.group.Go(func() error { return l.file(root, p, l.loose) })
	case aZip:
		in := path.Base(path.Dir(p))
		if _, known := orderOf(in); known == nil && strings.EqualFold(path.Base(p), "all.zip") && !l.want.ecosystem(base(canonical(in))) {
			return nil // OSV's folder of an ecosystem that nobody asked for
		}
		return l.zip(ctx, root, p)
	case suspect:
		if packed, ok := strings.CutSuffix(p, ".gz"); ok {
			if _, err := root.Stat(packed); err == nil {
				return nil // the same again, packed
			}
		}
		return notRead(p)
	case unknown:
		l.unread = append(l.unread, p)
	}
	return nil
}

// link follows a link within the database, once to each folder.
func (l *loader) link(ctx context.Context, root *os.Root, p string) error {
	info, err := root.Stat(p)
	if err != nil {
		return &gate.Refusal{Code: "vuln-db-invalid", Where: p, What: "a link in the vulnerability database leads out of it, or nowhere", Expected: "links to what is in the database", Fix: "give the folder that it leads to, or put what it leads to in its place", Cause: err}
	}
	if !info.IsDir() {
		return l.take(ctx, root, p, info.Mode().Type())
	}
	if slices.ContainsFunc(l.linked, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
		return nil
	}
	if above, err := root.Stat("."); err == nil && os.SameFile(info, above) {
		return nil
	}
	l.linked = append(l.linked, info)
	return l.walk(ctx, root, p)
}

// noteUnread names files of the database of which it is not known what they are.
func (l *loader) noteUnread() {
	slices.Sort(l.unread)
	if n := len(l.unread); n > 0 {
		l.found.Notes = append(l.found.Notes, fmt.Sprintf("%d files of the database are neither records (.json) nor zips, and were not read: %s", n, some(l.unread)))
	}
}

func (l *loader) file(root *os.Root, name string, in *part) error {
	f, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("open vulnerability record: %w", err)
	}
	defer f.Close()
	return l.read(f, name, in)
}

// zip reads every record of an archive; its entries are spread over the cores.
func (l *loader) zip(ctx context.Context, root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("open vulnerability database: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open vulnerability database: %w", err)
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return &gate.Refusal{Code: "vuln-db-invalid", Where: name, What: "a zip of the vulnerability database cannot be read", Expected: "a zip archive of OSV records", Fix: "mirror the database again", Cause: err}
	}
	if len(z.File) > maxRecords {
		return &gate.Refusal{Code: "vuln-db-invalid", Where: name, What: "the vulnerability database has more records than are read", Expected: fmt.Sprintf("at most %d", maxRecords), Actual: fmt.Sprint(len(z.File)), Fix: "mirror the database again, from whom you trust"}
	}
	in := &part{}
	l.mirrors = append(l.mirrors, in)
	for _, e := range z.File {
		if kind := kindOf(e.Name); !e.FileInfo().IsDir() && (kind == aZip || kind == suspect) {
			return notRead(name + ":" + fmt.Sprintf("%.200q", e.Name))
		}
	}
	var entries errgroup.Group // of its own: f is closed when all have been read
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		entries.Go(func() error {
			for i := w; i < len(z.File); i += workers {
				if e := z.File[i]; kindOf(e.Name) == aRecord {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := l.entry(e, name, in); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	return entries.Wait()
}

func (l *loader) entry(e *zip.File, archive string, in *part) error {
	where := archive + ":" + fmt.Sprintf("%.200q", e.Name)
	r, err := e.Open()
	if err != nil {
		return invalid(where, err)
	}
	defer r.Close()
	return l.read(r, where, in)
}

// read takes one record. Of those that nobody asked for it is looked at what they are, and which packages they name.
func (l *loader) read(r io.Reader, where string, in *part) error {
	data, err := io.ReadAll(io.LimitReader(r, MaxRecord+1))
	if err != nil {
		return invalid(where, err)
	}
	if len(data) > MaxRecord {
		return tooLarge(where)
	}
	h, err := skim(data, where)
	if err != nil {
		return err
	}
	var record *Record
	if slices.ContainsFunc(h.packages, func(p RecordPackage) bool { return l.want[keyOf(p.Ecosystem, p.Name)] }) {
		if record, err = Parse(data, where); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.found.Total++; l.found.Total > maxRecords {
		return &gate.Refusal{Code: "vuln-db-invalid", Where: where, What: "the vulnerability database has more records than are read", Expected: fmt.Sprintf("at most %d", maxRecords), Fix: "mirror the database again, from whom you trust"}
	}
	in.record(h)
	if record != nil {
		l.found.Records = append(l.found.Records, record)
	}
	return nil
}
