package gomod

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

// install gives a freshly unpacked tree the bits that a zip does not have, proves it, and moves it to its folder.
func (t *unpacked) install(staging string) (string, error) {
	root, err := t.folder()
	if err != nil {
		return "", err
	}
	if err := finishToolchain(staging); err != nil {
		return "", fmt.Errorf("unpack toolchain: %w", err)
	}
	if err := proveToolchain(staging, t.mod.String(), t.entry.H1); err != nil {
		return "", fmt.Errorf("unpack toolchain: %w", err)
	}
	// What is in the way is broken, or another process was quicker.
	if proveToolchain(root, t.mod.String(), t.entry.H1) == nil {
		return root, nil
	}
	trash, err := os.MkdirTemp(filepath.Join(t.f.opts.CacheDir, "tmp"), "trash-*")
	if err != nil {
		return "", fmt.Errorf("create scratch folder: %w", err)
	}
	defer os.RemoveAll(trash)
	if err := os.Rename(root, filepath.Join(trash, "root")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("remove broken toolchain: %w", err)
	}
	if err := os.Rename(staging, root); err != nil {
		if proveToolchain(root, t.mod.String(), t.entry.H1) == nil {
			return root, nil
		}
		return "", fmt.Errorf("name toolchain: %w", err)
	}
	return root, nil
}

// isProgram reports whether a file of a toolchain has to be executable, as the go command decides it.
func isProgram(rel string) bool {
	if strings.HasPrefix(rel, "bin/") || strings.HasPrefix(rel, "pkg/tool/") {
		return true
	}
	ok, _ := path.Match("go_?*_?*_exec", path.Base(rel))
	return ok && strings.HasPrefix(rel, "lib/")
}

// finishToolchain sets executable bits, and gives each _go.mod its real name
// beside it: a module zip cannot hold the go.mod files of other modules.
func finishToolchain(root string) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(name, 0o755)
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.Name() == "_go.mod" {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			twin := filepath.Join(filepath.Dir(name), "go.mod")
			if err := errors.Join(os.WriteFile(twin, data, 0o644), os.Chmod(twin, 0o444)); err != nil {
				return err
			}
		}
		mode := fs.FileMode(0o444)
		if isProgram(filepath.ToSlash(rel)) {
			mode = 0o555
		}
		return os.Chmod(name, mode)
	})
}

// proveToolchain recomputes the hash of an unpacked toolchain from every byte in it.
func proveToolchain(root, prefix, want string) error {
	got, err := hashTree(root, prefix, func(rel string) bool { return path.Base(rel) == "go.mod" && hasTwin(root, rel) })
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("hash toolchain: expected %s, found %s", want, got)
	}
	return proveBits(root)
}

// hasTwin reports whether a go.mod file is the exact copy of the _go.mod beside it.
func hasTwin(root, rel string) bool {
	file := filepath.Join(root, filepath.FromSlash(rel))
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
		return false
	}
	twin, err := os.ReadFile(filepath.Join(filepath.Dir(file), "_go.mod"))
	if err != nil {
		return false
	}
	data, err := os.ReadFile(file)
	return err == nil && bytes.Equal(data, twin)
}

// proveBits checks what the hash does not cover: programs can be run, and the main go.mod is there.
func proveBits(root string) error {
	for _, file := range []string{"src/go.mod", "src/cmd/go.mod"} {
		_, twinErr := os.Stat(filepath.Join(root, filepath.FromSlash(path.Dir(file)), "_go.mod"))
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(file))); err != nil && twinErr == nil {
			return fmt.Errorf("toolchain lacks %s", file)
		}
	}
	if runtime.GOOS == "windows" {
		return nil
	}
	for _, dir := range []string{"bin", "pkg/tool"} {
		err := filepath.WalkDir(filepath.Join(root, filepath.FromSlash(dir)), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm() != 0o555 {
				err = fmt.Errorf("%s has mode %v", name, info.Mode())
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("check toolchain: %w", err)
		}
	}
	return nil
}

// localToolchain pins the toolchain of this machine by a hash over all its files, named relative to its GOROOT.
func (f *Fetcher) localToolchain(u *user) (material.Toolchain, error) {
	f.opts.Progress("hash toolchain of this machine")
	h1, err := hashTree(u.goroot, "", nil)
	if err != nil {
		return material.Toolchain{}, &gate.Refusal{Code: "toolchain-local-unusable", Class: gate.Failed, What: "the Go installation of this machine cannot be pinned", Where: u.goroot,
			Expected: "a GOROOT of regular files", Fix: "set builds[].go.toolchain to a release like go1.26.8", Cause: err}
	}
	sum, err := hexHash(h1)
	if err != nil {
		return material.Toolchain{}, err
	}
	return material.Toolchain{Version: u.version, Root: u.goroot, Material: material.Material{
		Name: "toolchain", Digest: map[string]string{"dirHash": sum},
		Annotations: map[string]string{"h1": h1, "origin": "machine", "version": u.version},
	}}, nil
}
