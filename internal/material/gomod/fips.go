package gomod

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/material"
)

// fipsModule is what the go command calls the frozen cryptography that GOFIPS140 chooses.
const fipsModule = "golang.org/fips140"

// layOutFIPS moves the modules that the go command unpacked from the toolchain
// itself, which it does into the module cache when GOFIPS140 names a version. The zip is part of the
// toolchain, which is proven; the unpacked files must be those of the zip.
func (s *session) layOutFIPS(cache string) ([]material.Material, error) {
	dirs, err := filepath.Glob(filepath.Join(globEscape(s.modcache()), filepath.FromSlash(fipsModule)+"@*"))
	if err != nil {
		return nil, fmt.Errorf("find cryptography modules: %w", err)
	}
	var out []material.Material
	for _, dir := range dirs {
		_, version, _ := strings.Cut(filepath.Base(dir), "@")
		mv := module.Version{Path: fipsModule, Version: version}
		m, err := s.proveFIPS(mv, dir)
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", mv, err)
		}
		out = append(out, m)
		to := filepath.Join(cache, filepath.FromSlash(fipsModule)+"@"+version)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, fmt.Errorf("lay out modules: %w", err)
		}
		if err := os.Rename(dir, to); err != nil {
			return nil, fmt.Errorf("lay out modules: %w", err)
		}
	}
	return out, nil
}

func (s *session) proveFIPS(mv module.Version, dir string) (material.Material, error) {
	zip := filepath.Join(filepath.Dir(filepath.Dir(s.goBin)), "lib", "fips140", mv.Version+".zip")
	sums, err := digest.File(zip)
	if err != nil {
		return material.Material{}, err
	}
	h1, err := dirhash.HashZip(zip, dirhash.Hash1)
	if err != nil {
		return material.Material{}, err
	}
	got, err := hashTree(dir, mv.String(), nil)
	if err != nil {
		return material.Material{}, err
	}
	if got != h1 {
		return material.Material{}, changed("unpacked folder", h1, got)
	}
	sum, err := hexHash(h1)
	return material.Material{
		URI: purl(mv), Name: mv.String(), Digest: map[string]string{"sha256": sums.SHA256, "dirHash": sum},
		Annotations: map[string]string{"h1": h1, "origin": "toolchain"},
	}, err
}

// globEscape makes a path match only itself.
func globEscape(path string) string {
	return strings.NewReplacer(`[`, `[[]`, `*`, `[*]`, `?`, `[?]`).Replace(path)
}
