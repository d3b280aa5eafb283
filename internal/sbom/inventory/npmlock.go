package inventory

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sello-release/sello/internal/license"
	"github.com/sello-release/sello/internal/sbom"
)

// npmPackage is what package-lock.json says of a package besides its version (npm's documentation, package-lock.json, packages).
type npmPackage struct {
	Version   string         `json:"version"`
	Name      string         `json:"name"`
	Resolved  string         `json:"resolved"`
	Integrity string         `json:"integrity"`
	License   jsontext.Value `json:"license"`
}

// npmDetails reads, by name and version, what the library that reads lock files leaves out. What is no such file gives nothing: the
// library says what is wrong with it.
func npmDetails(name string, data []byte) map[string]locked {
	if base := path.Base(name); base != "package-lock.json" && base != "npm-shrinkwrap.json" || sbom.CheckText(data) != nil {
		return nil
	}
	var file struct {
		Packages map[string]npmPackage `json:"packages"`
	}
	if err := json.Unmarshal(data, &file, jsontext.AllowDuplicateNames(true)); err != nil {
		return nil
	}
	out := map[string]locked{}
	for _, at := range slices.Sorted(maps.Keys(file.Packages)) {
		p := file.Packages[at]
		_, own, ok := cutLast(at, "node_modules/")
		if !ok {
			continue
		}
		if p.Name != "" {
			own = p.Name // installed under another name
		}
		l := locked{checksums: integrity(p.Integrity)}
		if strings.HasPrefix(p.Resolved, "https://") || strings.HasPrefix(p.Resolved, "git+https://") || strings.HasPrefix(p.Resolved, "git+ssh://") {
			l.download = cleanText(p.Resolved)
		}
		var text string
		if bytes.HasPrefix(p.License, []byte(`"`)) && json.Unmarshal(p.License, &text) == nil && license.Valid(text, false) {
			l.license = text
		}
		if _, ok := out[own+" "+p.Version]; !ok { // installed in several places
			out[own+" "+p.Version] = l
		}
	}
	return out
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// integrityAlgorithms are those of SRI that are kept, with the length of their sums in bytes.
var integrityAlgorithms = map[string]struct {
	name string
	size int
}{"sha512": {sbom.SHA512, 64}, "sha256": {sbom.SHA256, 32}, "sha1": {sbom.SHA1, 20}}

// integrity reads subresource integrity: algorithm-base64, several with spaces between them. One algorithm is kept once.
func integrity(s string) (out []sbom.Checksum) {
	for _, part := range strings.Fields(s) {
		algorithm, sum, _ := strings.Cut(part, "-")
		sum, _, _ = strings.Cut(sum, "?")
		known, ok := integrityAlgorithms[algorithm]
		raw, err := base64.StdEncoding.DecodeString(sum)
		if !ok || err != nil || len(raw) != known.size || hasSum(out, known.name) {
			continue
		}
		out = append(out, sbom.Checksum{Algorithm: known.name, Value: hex.EncodeToString(raw)})
	}
	return out
}

func hasSum(all []sbom.Checksum, algorithm string) bool {
	p := sbom.Package{Checksums: all}
	return p.Checksum(algorithm) != ""
}
