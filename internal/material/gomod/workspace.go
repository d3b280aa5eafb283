package gomod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// workBeside gives a session a workspace file of its own, with the same content
// and absolute paths. The go command adds what it misses to go.work.sum without being
// asked, whatever -mod says; this way it does not write into the source, and the lack is found
// here rather than by a build whose source is read-only.
func (s *session) workBeside(p plan) ([]string, error) {
	file := filepath.Join(p.source, filepath.FromSlash(p.work))
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read workspace: %w", err)
	}
	work, err := modfile.ParseWork(p.work, data, nil)
	if err != nil {
		return nil, badModFile(p.work, err)
	}
	if err := absoluteWork(work, filepath.Dir(file)); err != nil {
		return nil, fmt.Errorf("rewrite workspace: %w", err)
	}
	dir := filepath.Join(s.dir, "work")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create scratch folder: %w", err)
	}
	to := filepath.Join(dir, "go.work")
	if err := os.WriteFile(to, modfile.Format(work.Syntax), 0o644); err != nil {
		return nil, fmt.Errorf("write workspace: %w", err)
	}
	if err := copyFile(file+".sum", to+".sum"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("copy go.work.sum: %w", err)
	}
	return []string{"GOWORK=" + to}, nil
}

// absoluteWork makes the folders that a workspace names absolute. They were found to be inside the source.
func absoluteWork(work *modfile.WorkFile, base string) error {
	var uses []string
	for _, u := range work.Use {
		uses = append(uses, u.Path)
	}
	for _, use := range uses {
		abs := filepath.ToSlash(filepath.Join(base, filepath.FromSlash(use)))
		if err := errors.Join(work.DropUse(use), work.AddUse(abs, "")); err != nil {
			return err
		}
	}
	for _, r := range work.Replace {
		if r.New.Version != "" {
			continue
		}
		abs := filepath.ToSlash(filepath.Join(base, filepath.FromSlash(r.New.Path)))
		if err := work.AddReplace(r.Old.Path, r.Old.Version, abs, ""); err != nil {
			return err
		}
	}
	work.Cleanup()
	return nil
}
