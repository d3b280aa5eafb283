package osv

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
)

// maxRecords is how many records a database may have.
const maxRecords = 5_000_000

// folder is a mirror on disk.
type folder struct{ path string }

// Find reads the whole mirror, or of Go's layout only what its index names.
func (f folder) Find(ctx context.Context, packages []Package) (*Found, error) {
	l := &loader{want: want(packages), found: &Found{URI: filepath.ToSlash(f.path)}, covered: map[string]bool{}}
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
	if l.found.Total == 0 && l.found.Newest.IsZero() {
		return nil, &gate.Refusal{Code: "vuln-db-invalid", Class: gate.Usage, Where: f.path, What: "this is no database of vulnerabilities", Expected: "OSV records (.json), OSV's zips, or Go's layout with index/modules.json",
			Actual: "none of them", Fix: "give the folder that the database was mirrored to"}
	}
	return l.found.finish(l.want, l.covered), nil
}

// loader reads records on all cores and keeps those that are wanted.
type loader struct {
	want  wanted
	group *errgroup.Group

	mu      sync.Mutex
	found   *Found
	covered map[string]bool
}

func (l *loader) walk(ctx context.Context, root *os.Root, name string) error {
	return fs.WalkDir(root.FS(), name, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read vulnerability database: %w", err)
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir():
			if _, err := root.Stat(path.Join(p, "index", "modules.json")); err == nil {
				if err := l.goLayout(ctx, root, p); err != nil {
					return err
				}
				return fs.SkipDir
			}
			return nil
		case !e.Type().IsRegular():
			return nil
		}
		switch path.Ext(p) {
		case ".json":
			l.group.Go(func() error { return l.file(root, p) })
		case ".zip":
			if _, known := orderOf(path.Base(path.Dir(p))); known == nil && !l.want.ecosystem(path.Base(path.Dir(p))) {
				return nil // OSV's folder of an ecosystem that nobody asked for
			}
			return l.zip(ctx, root, p)
		}
		return nil
	})
}

func (l *loader) file(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("open vulnerability record: %w", err)
	}
	defer f.Close()
	return l.read(f, name)
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
	var entries errgroup.Group // of its own: f is closed when all have been read
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		entries.Go(func() error {
			for i := w; i < len(z.File); i += workers {
				if e := z.File[i]; path.Ext(e.Name) == ".json" {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := l.entry(e, name); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	return entries.Wait()
}

func (l *loader) entry(e *zip.File, in string) error {
	where := in + ":" + fmt.Sprintf("%.200q", e.Name)
	r, err := e.Open()
	if err != nil {
		return invalid(where, err)
	}
	defer r.Close()
	return l.read(r, where)
}

// head is what decides whether a record is wanted.
type head struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Affected []struct {
		Package RecordPackage `json:"package"`
	} `json:"affected"`
}

// read takes one record. Those that nobody asked for are read as far as their packages.
func (l *loader) read(r io.Reader, where string) error {
	data, err := io.ReadAll(io.LimitReader(r, MaxRecord+1))
	if err != nil {
		return invalid(where, err)
	}
	if len(data) > MaxRecord {
		return tooLarge(where)
	}
	var h head
	if err := json.Unmarshal(data, &h); err != nil {
		return invalid(where, err)
	}
	wanted := h.ID == "" || h.Modified.IsZero() // Parse says what is wrong with it
	for _, a := range h.Affected {
		wanted = wanted || l.want[keyOf(a.Package.Ecosystem, a.Package.Name)]
	}
	var record *Record
	if wanted {
		if record, err = Parse(data, where); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.found.Total++; l.found.Total > maxRecords {
		return &gate.Refusal{Code: "vuln-db-invalid", Where: where, What: "the vulnerability database has more records than are read", Expected: fmt.Sprintf("at most %d", maxRecords), Fix: "mirror the database again, from whom you trust"}
	}
	for _, a := range h.Affected {
		l.covered[base(a.Package.Ecosystem)] = true
	}
	l.newer(h.Modified)
	if record != nil {
		l.found.Records = append(l.found.Records, record)
	}
	return nil
}

func (l *loader) newer(t time.Time) {
	if t.After(l.found.Newest) {
		l.found.Newest = t
	}
}
