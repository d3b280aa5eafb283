package inventory

import (
	"fmt"
	"strings"

	"github.com/google/osv-scanner/pkg/lockfile"
	"go.yaml.in/yaml/v3"
)

// pnpmLock is pnpm-lock.yaml, with the members that are read. The library loses packages whose peers stand behind them, and pre-releases.
type pnpmLock struct {
	Version  string `yaml:"lockfileVersion"`
	Packages map[string]struct {
		Name       string `yaml:"name"`
		Version    string `yaml:"version"`
		Dev        bool   `yaml:"dev"`
		Resolution struct {
			Commit  string `yaml:"commit"`
			Tarball string `yaml:"tarball"`
			Repo    string `yaml:"repo"`
		} `yaml:"resolution"`
	} `yaml:"packages"`
}

func (l *lockFile) pnpm(data []byte) error {
	var in pnpmLock
	if err := yaml.Unmarshal(data, &in); err != nil {
		return err
	}
	seen := map[[5]string]bool{}
	for key, p := range in.Packages {
		name, version, location := pnpmKey(key, strings.HasPrefix(in.Version, "5"))
		one := locked{name: name, version: version, location: location, dev: p.Dev, commit: p.Resolution.Commit}
		if p.Name != "" {
			one.name = p.Name
		}
		if p.Version != "" {
			one.version = p.Version
		}
		if one.location == "" && p.Resolution.Repo != "" {
			one.location = p.Resolution.Repo
		}
		if one.location == "" {
			one.purl = lockedPURL(lockfile.PackageDetails{Name: one.name, Version: one.version, Ecosystem: lockfile.NpmEcosystem})
		}
		same := [5]string{one.name, one.version, one.location, one.commit, fmt.Sprint(one.dev)}
		if seen[same] { // with other peers
			continue
		}
		seen[same] = true
		if !l.add(one) {
			l.flaw = "a package without a name that can be shown"
		}
	}
	return nil
}

// pnpmKey takes apart what pnpm calls a package: /@scope/name/1.0.0_peer@1 in its format 5, /@scope/name@1.0.0(peer@1) in 6, without the
// first stroke in 9; a place instead of a version.
func pnpmKey(key string, five bool) (name, version, location string) {
	key, _, _ = strings.Cut(key, "(")
	path, registry := strings.CutPrefix(key, "/")
	if five {
		i := strings.LastIndexByte(path, '/')
		if !registry || i <= 0 {
			return "", "", key
		}
		version, _, _ = strings.Cut(path[i+1:], "_")
		return path[:i], version, ""
	}
	i := strings.IndexByte(path[min(1, len(path)):], '@') + 1
	if i <= 0 || strings.Contains(path[:i], ":") {
		return "", "", key
	}
	name, version = path[:i], path[i+1:]
	if strings.ContainsAny(version, ":/") {
		return name, "", version
	}
	return name, version, ""
}
