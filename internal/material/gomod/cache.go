package gomod

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/material"
)

// layOut makes the folder that a build step mounts as its module cache. It holds,
// for each module, what the go command reads when it may ask no proxy: the go.mod file, and, where
// packages are compiled, the hash and the unpacked files. No zip, no .info, no lock.
func (s *session) layOut(work string, ms []fetched) (string, error) {
	cache := filepath.Join(work, "modules")
	if err := os.RemoveAll(cache); err != nil {
		return "", fmt.Errorf("lay out modules: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(cache, "cache", "download"), 0o755); err != nil {
		return "", fmt.Errorf("lay out modules: %w", err)
	}
	for _, m := range ms {
		if err := s.layOutOne(cache, m); err != nil {
			return "", fmt.Errorf("lay out modules: %s: %w", m.Version, err)
		}
	}
	return cache, nil
}

func (s *session) layOutOne(cache string, m fetched) error {
	rel, err := filepath.Rel(s.modcache(), m.modFile)
	if err != nil {
		return err
	}
	to := filepath.Join(cache, rel)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.Rename(m.modFile, to); err != nil {
		return err
	}
	if !m.hasZip() || m.dir == "" {
		return nil
	}
	if err := os.WriteFile(strings.TrimSuffix(to, ".mod")+".ziphash", []byte(m.h1), 0o444); err != nil {
		return err
	}
	rel, err = filepath.Rel(s.modcache(), m.dir)
	if err != nil {
		return err
	}
	to = filepath.Join(cache, rel)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(m.dir, to)
}

// replacing gives, for a module that stands in for others, what it stands in for.
func replacing(ls []listing) map[module.Version]string {
	out := map[module.Version]string{}
	for _, l := range ls {
		for _, p := range l.packages {
			if m := p.Module; m != nil && m.Replace != nil && m.Replace.Version != "" {
				out[module.Version{Path: m.Replace.Path, Version: m.Replace.Version}] = m.String()
			}
		}
	}
	return out
}

// materials describes modules for provenance, sorted by URI.
func materials(ms []fetched, replaces map[module.Version]string) []material.Material {
	out := []material.Material{}
	for _, m := range ms {
		out = append(out, m.material(replaces[m.Version]))
	}
	sortMaterials(out)
	return out
}

func sortMaterials(ms []material.Material) {
	slices.SortFunc(ms, func(a, b material.Material) int { return strings.Compare(a.URI+"\n"+a.Name, b.URI+"\n"+b.Name) })
}

func (m fetched) material(replaces string) material.Material {
	out := material.Material{URI: purl(m.Version), Name: m.String(), DownloadLocation: m.zip.Upstream, Annotations: map[string]string{"sumdb": "verified"}}
	sha, h1 := m.zip.SHA256, m.h1
	if m.hasZip() {
		out.Annotations["goModSum"] = m.modH1
	} else {
		sha, h1 = m.mod.SHA256, m.modH1
		out.URI, out.Name, out.DownloadLocation = purlOf(m.Version, "go.mod"), m.String()+"/go.mod", m.mod.Upstream
	}
	sum, _ := hexHash(h1) // computed from bytes, so it is a hash
	out.Digest = map[string]string{"sha256": sha, "dirHash": sum}
	out.Annotations["h1"] = h1
	if m.exempt != "" {
		out.Annotations["sumdb"], out.Annotations["exemption"] = "exempt", m.exempt
	}
	if !m.published.IsZero() {
		out.Annotations[material.Published] = m.published.UTC().Format(time.RFC3339)
	}
	if replaces != "" {
		out.Annotations["replaces"] = replaces
	}
	return out
}

// annotate adds an annotation to each material.
func annotate(ms []material.Material, key, value string) []material.Material {
	for i := range ms {
		ms[i].Annotations = maps.Clone(ms[i].Annotations)
		ms[i].Annotations[key] = value
	}
	return ms
}
