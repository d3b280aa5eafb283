// Package licenses tells the licences of Go modules to internal/sbom, offline, from the module zips that a build
// mounts or from what the go command keeps.
//
// What it tells was read from the module's own files; internal/license says how. A module that is in none of the
// places has no known licence, which a document says by leaving it out. It asks no network, and trusts no index.
package licenses

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/license"
	"github.com/sello-release/sello/internal/sbom"
)

// Places are where modules are looked for, in this order. All are folders; "" and absent ones are passed over.
type Places struct {
	Own        map[string]string // modules of the source itself: their folders, by path
	Downloads  []string          // as the go command lays out GOPROXY=file://: <escaped path>/@v/<escaped version>.zip
	Caches     []string          // GOMODCACHE: <escaped path>@<escaped version>/, and cache/download in it as above
	Vendors    []string          // vendor folders: <path>/
	Toolchains map[string]string // GOROOT by version without "go": 1.26.8
	Kept       string            // a file in which what licence texts are outlives the process (license.NewKeeping); "" for none
}

// Modules implements sbom.Licenses. It may be used by many at once; each module is read once.
type Modules struct {
	places   Places
	detector *license.Detector

	mu   sync.Mutex
	told map[string]func() told
}

type told struct {
	license sbom.License
	texts   []sbom.LicenseText
}

// New looks for modules in these places.
func New(p Places) *Modules {
	return &Modules{places: p, detector: license.NewKeeping(p.Kept), told: map[string]func() told{}}
}

// Save writes what was learned of licence texts to Places.Kept.
func (m *Modules) Save() error { return m.detector.Save() }

// Package implements sbom.Licenses for package URLs of type golang, and knows nothing of others.
func (m *Modules) Package(purl string) (sbom.License, []sbom.LicenseText) {
	m.mu.Lock()
	get, ok := m.told[purl]
	if !ok {
		get = sync.OnceValue(func() told { return m.find(purl) })
		m.told[purl] = get
	}
	m.mu.Unlock()
	t := get()
	return t.license, t.texts
}

// find reads a module. What is there and cannot be read is said in a comment.
func (m *Modules) find(purl string) told {
	path, version, ok := golang(purl)
	if !ok {
		return told{}
	}
	c, err := m.conclude(path, version)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return told{}
	case err != nil:
		return told{license: sbom.License{Comment: "The licence could not be read: " + err.Error()}}
	}
	return tell(c)
}

// golang gives the module and the version of a package URL of type golang. Libraries for package URLs fold the case of a
// module's path, by which it could not be found any more.
func golang(purl string) (path, version string, ok bool) {
	rest, ok := strings.CutPrefix(purl, "pkg:golang/")
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	path, version, _ = strings.Cut(rest, "@")
	path, err1 := url.PathUnescape(path)
	version, err2 := url.PathUnescape(version)
	return path, version, ok && err1 == nil && err2 == nil
}

// declaredFrom is how sure it must be which texts a module's makers put into it, so that they count as declared by them.
const declaredFrom = 0.95

// tell puts a conclusion into a document's words.
func tell(c license.Conclusion) told {
	t := told{license: sbom.License{Copyright: strings.Join(c.Copyrights, "\n")}}
	var files []string
	for _, f := range c.Files {
		files = append(files, f.Path)
	}
	if c.Known() {
		t.license.Concluded, t.license.Confidence = c.Expression, c.Confidence
		t.license.Comment = fmt.Sprintf("Concluded from %s.", strings.Join(files, ", "))
		if c.Confidence >= declaredFrom { // the texts that its makers put at the top are what they declare (SPDX 2.3, 7.15)
			t.license.Declared = c.Expression
		}
	}
	if len(c.Found) > 0 {
		t.license.Comment += fmt.Sprintf(" Parts of it stand under %s.", strings.Join(c.Found, ", "))
	}
	for _, note := range c.Notes {
		t.license.Comment += " " + note + "."
	}
	t.license.Comment = strings.TrimSpace(t.license.Comment)
	for _, x := range c.Extracted {
		t.texts = append(t.texts, sbom.LicenseText{ID: x.ID, Name: x.Name, Text: x.Text})
	}
	return t
}

// conclude gives fs.ErrNotExist when the module is in none of the places.
func (m *Modules) conclude(path, version string) (license.Conclusion, error) {
	if path == "stdlib" || path == "toolchain" {
		return m.top(m.toolchain(version))
	}
	if dir, ok := m.places.Own[path]; ok {
		return m.top(dir)
	}
	escaped, err := module.EscapePath(path)
	if err != nil {
		return license.Conclusion{}, fs.ErrNotExist // the document may say anything
	}
	at, err := module.EscapeVersion(version)
	if err == nil && version != "" {
		for _, dir := range m.downloads() {
			c, err := m.zip(filepath.Join(dir, filepath.FromSlash(escaped), "@v", at+".zip"), path+"@"+version+"/")
			if !errors.Is(err, fs.ErrNotExist) {
				return c, err
			}
		}
		for _, dir := range m.places.Caches {
			c, err := m.folder(dir, filepath.FromSlash(escaped)+"@"+at)
			if !errors.Is(err, fs.ErrNotExist) {
				return c, err
			}
		}
	}
	for _, dir := range m.places.Vendors {
		c, err := m.folder(dir, filepath.FromSlash(path))
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
	}
	return license.Conclusion{}, fs.ErrNotExist
}

func (m *Modules) downloads() []string {
	out := m.places.Downloads
	for _, dir := range m.places.Caches {
		if dir != "" {
			out = append(out[:len(out):len(out)], filepath.Join(dir, "cache", "download"))
		}
	}
	return out
}

// toolchain gives the GOROOT of a version, "" when there is none.
func (m *Modules) toolchain(version string) string {
	if root := m.places.Toolchains[version]; root != "" {
		return root
	}
	for _, dir := range m.places.Caches {
		found, _ := filepath.Glob(filepath.Join(dir, "golang.org", "toolchain@v0.0.1-go"+version+".*"))
		if len(found) > 0 {
			return found[0] // they have the same licence on each platform
		}
	}
	return ""
}

func (m *Modules) zip(name, prefix string) (license.Conclusion, error) {
	f, err := os.Open(name)
	if err != nil {
		return license.Conclusion{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return license.Conclusion{}, err
	}
	return m.detector.Zip(context.Background(), f, info.Size(), prefix)
}

// folder concludes for a folder below dir, which no link leads out of.
func (m *Modules) folder(dir, name string) (license.Conclusion, error) {
	if dir == "" {
		return license.Conclusion{}, fs.ErrNotExist
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return license.Conclusion{}, err
	}
	defer root.Close()
	below, err := root.OpenRoot(name)
	if err != nil {
		return license.Conclusion{}, err
	}
	defer below.Close()
	return m.detector.Folder(context.Background(), below.FS())
}

// top concludes for the files right in a folder, and in LICENSES: what lies further below has licences of its own.
func (m *Modules) top(dir string) (license.Conclusion, error) {
	if dir == "" {
		return license.Conclusion{}, fs.ErrNotExist
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return license.Conclusion{}, err
	}
	defer root.Close()
	return m.detector.Folder(context.Background(), topOnly{root.FS()})
}

// topOnly is a file system of which only the first level is seen, and the folder LICENSES.
type topOnly struct{ fs.FS }

// ReadDir implements fs.ReadDirFS.
func (t topOnly) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(t.FS, name)
	var out []fs.DirEntry
	for _, e := range entries {
		if !e.IsDir() || name == "." && e.Name() == "LICENSES" {
			out = append(out, e)
		}
	}
	return out, err
}
