// Package origins tells internal/sbom where Go modules come from, by what the go command keeps of them: the repository and commit
// in which it found a version, and the zip that it fetched.
//
// It asks no network. What the cache does not have is not told.
package origins

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sbom"
)

// maxInfo bounds what the go command keeps about a version, in bytes.
const maxInfo = 1 << 20

// Cache implements sbom.Origins.
type Cache struct {
	downloads string // GOMODCACHE/cache/download; "" for none
	sums      bool
}

// New looks into a module cache (GOMODCACHE; "" for none). sums asks for the digests of zips, too, which are read for it.
func New(cache string, sums bool) *Cache {
	if cache != "" {
		cache = filepath.Join(cache, "cache", "download")
	}
	return &Cache{downloads: cache, sums: sums}
}

// Module implements sbom.Origins.
func (c *Cache) Module(path, version string) (o sbom.Origin) {
	escaped, err := module.EscapePath(path)
	if err != nil || c.downloads == "" {
		return o
	}
	at, err := module.EscapeVersion(version)
	if err != nil || module.Check(path, version) != nil {
		return o
	}
	name := filepath.Join(c.downloads, filepath.FromSlash(escaped), "@v", at)
	o.Download = location(name + ".info")
	if c.sums {
		o.Checksums = zipSums(name + ".zip")
	}
	return o
}

// location gives the VCS location (SPDX 2.3, 7.7) out of a version's .info (https://go.dev/ref/mod#goproxy-protocol), "" when it tells none.
func location(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	var info struct {
		Origin struct{ VCS, URL, Subdir, Hash string }
	}
	if err := json.NewDecoder(io.LimitReader(f, maxInfo)).Decode(&info); err != nil {
		return ""
	}
	o := info.Origin
	if o.VCS != "git" || !strings.HasPrefix(o.URL, "https://") || strings.ContainsAny(o.URL+o.Subdir+o.Hash, "@#? \t\r\n") || !isHex(o.Hash) {
		return ""
	}
	where := "git+" + o.URL + "@" + o.Hash
	if o.Subdir != "" {
		where += "#" + o.Subdir
	}
	return where
}

func isHex(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

func zipSums(name string) []sbom.Checksum {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	sums, err := digest.Reader(f)
	if err != nil {
		return nil
	}
	return []sbom.Checksum{{Algorithm: sbom.SHA256, Value: sums.SHA256}, {Algorithm: sbom.SHA512, Value: sums.SHA512}}
}
