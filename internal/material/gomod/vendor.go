package gomod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

// vendored resolves a source that brings its modules along, and compares them
// with what the modules themselves say. The build reads the source alone.
func (s *session) vendored(ctx context.Context, req ModulesRequest, p plan) (material.Modules, error) {
	w := where{dir: filepath.Join(req.Source, filepath.FromSlash(p.dir)), env: p.environ(), mod: "vendor"}
	ls, err := s.list(ctx, w, req.Targets)
	if err != nil {
		return material.Modules{}, err
	}
	s.f.opts.Progress("compare vendor folder with its modules")
	want, err := s.vendorAgain(ctx, p)
	if err != nil {
		return material.Modules{}, err
	}
	if err := sameVendor(p.vendor, filepath.Join(req.Source, filepath.FromSlash(p.vendor)), want); err != nil {
		return material.Modules{}, err
	}
	ms, err := s.collect(ctx)
	if err != nil {
		return material.Modules{}, err
	}
	for _, m := range ms {
		if err := p.sums.check(m); err != nil {
			return material.Modules{}, err
		}
	}
	if err := s.checkSumDB(ctx, ms); err != nil {
		return material.Modules{}, err
	}
	if err := s.f.remember(ms); err != nil {
		return material.Modules{}, err
	}
	if req.Times {
		s.date(ctx, ms)
	}
	m := describe(ls, "")
	m.GoWork, m.Vendored = p.work, true
	m.VendorChecked = annotate(materials(ms, replacing(ls)), "use", "vendor-check")
	return m, s.rememberInfo(ms)
}

// vendorAgain makes the vendor folder anew, from the modules, beside the source.
func (s *session) vendorAgain(ctx context.Context, p plan) (string, error) {
	out := filepath.Join(s.dir, "vendor")
	var err error
	if p.work == "off" {
		err = s.vendorModule(ctx, p, out)
	} else {
		err = s.vendorWorkspace(ctx, p, out)
	}
	if err == nil {
		// A project without dependencies has nothing to vendor, and then nothing is written.
		err = os.MkdirAll(out, 0o755)
	}
	if err != nil && gate.Code(err) == "" {
		return "", &gate.Refusal{Code: "vendor-mismatch", Class: gate.Refused, What: "the vendor folder cannot be made again from its modules", Where: p.vendor,
			Fix: "go mod tidy && go mod vendor, and commit", Cause: err}
	}
	return out, err
}

// vendorModule lets the go command work on copies of go.mod and go.sum, so that the source stays as it is.
func (s *session) vendorModule(ctx context.Context, p plan, out string) error {
	dir := filepath.Join(p.source, filepath.FromSlash(p.module))
	alt := filepath.Join(s.dir, "modfile")
	if err := os.Mkdir(alt, 0o755); err != nil {
		return fmt.Errorf("create scratch folder: %w", err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(alt, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	_, err := s.run(ctx, dir, s.proxied(false), "mod", "vendor", "-modcacherw", "-modfile="+filepath.Join(alt, "go.mod"), "-o", out)
	return err
}

// vendorWorkspace works on a copy of the source: a workspace cannot be given other go.mod files.
func (s *session) vendorWorkspace(ctx context.Context, p plan, out string) error {
	base := filepath.Join(s.dir, "workspace")
	skip := filepath.Join(p.source, filepath.FromSlash(p.vendor))
	err := filepath.WalkDir(p.source, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == skip {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(p.source, name)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(base, rel), 0o755)
		case d.Type().IsRegular():
			return copyFile(name, filepath.Join(base, rel))
		}
		return nil // the go command follows no links into packages
	})
	if err != nil {
		return fmt.Errorf("copy workspace: %w", err)
	}
	work := filepath.Join(base, filepath.FromSlash(p.work))
	_, err = s.run(ctx, filepath.Dir(work), s.proxied(false, "GOWORK="+work), "work", "vendor", "-modcacherw", "-o", out)
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// shown bounds how many differences a refusal names.
const shown = 5

// sameVendor refuses a vendor folder that differs in any file from the one that was made anew.
func sameVendor(name, have, want string) error {
	var got, expected map[string]string
	var g errgroup.Group
	g.Go(func() (err error) { got, err = treeSums(have); return err })
	g.Go(func() (err error) { expected, err = treeSums(want); return err })
	if err := g.Wait(); err != nil {
		return &gate.Refusal{Code: "vendor-mismatch", Class: gate.Refused, What: "the vendor folder cannot be compared with its modules", Where: name,
			Fix: "go mod vendor, and commit vendor/", Cause: err}
	}
	all := maps.Clone(got)
	maps.Copy(all, expected)
	var diffs []string
	for _, file := range slices.Sorted(maps.Keys(all)) {
		a, inSource := got[file]
		b, inModules := expected[file]
		switch {
		case !inSource:
			diffs = append(diffs, path.Join(name, file)+" (missing)")
		case !inModules:
			diffs = append(diffs, path.Join(name, file)+" (not of any module)")
		case a != b:
			diffs = append(diffs, path.Join(name, file)+" (changed)")
		}
	}
	if len(diffs) == 0 {
		return nil
	}
	actual := strings.Join(diffs[:min(shown, len(diffs))], ", ")
	if len(diffs) > shown {
		actual += fmt.Sprintf(" and %d more", len(diffs)-shown)
	}
	return &gate.Refusal{Code: "vendor-mismatch", Class: gate.Refused, What: "the vendor folder is not what its modules say", Where: name,
		Expected: "what go mod vendor gives", Actual: actual, Fix: "go mod vendor, and commit vendor/"}
}

// treeSums gives the SHA-256 of each file below root.
func treeSums(root string) (map[string]string, error) {
	names, err := treeFiles(root, nil)
	if err != nil {
		return nil, err
	}
	out, buf := make(map[string]string, len(names)), make([]byte, 128<<10)
	for _, name := range names {
		sum, err := hashFile(filepath.Join(root, filepath.FromSlash(name)), buf)
		if err != nil {
			return nil, fmt.Errorf("hash vendor folder: %w", err)
		}
		out[name] = string(sum)
	}
	return out, nil
}
