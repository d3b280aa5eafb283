package inventory_test

import (
	"path/filepath"
	"testing"

	"github.com/sello-release/sello/internal/sbom"
)

const goMod = `module example.com/hello

go 1.26.0

require (
	example.com/direct v1.1.0
	example.com/unused v1.0.0
	example.com/deep v0.2.0 // indirect
	example.com/gone v1.0.0
	example.com/replaced v1.0.0
)

replace example.com/replaced => ./fork
`

var sources = map[string]string{
	"go.mod":              goMod,
	"go.sum":              "example.com/direct v1.1.0 " + h1 + "\nexample.com/direct v1.1.0/go.mod " + h1 + "\nexample.com/deep v0.2.0 " + h1 + "\n",
	"main.go":             "package main\n\nimport (\n\t\"fmt\"\n\t\"example.com/direct/part\"\n\t_ \"example.com/gone\"\n\t_ \"example.com/replaced\"\n\t\"example.com/hello/inner\"\n)\n\nfunc main() {}\n",
	"inner/inner.go":      "package inner\n",
	"inner/inner_test.go": "package inner\n\nimport _ \"example.com/unused\"\n",
	"gen.go":              "//go:build ignore\n\npackage main\n\nimport _ \"example.com/unused\"\n",
	"fork/go.mod":         "module example.com/replaced\n",
	"fork/x.go":           "package replaced\n\nimport _ \"example.com/deep\"\n",
	"testdata/go.mod":     "module example.com/test\n",
}

var cache = map[string]string{
	"example.com/direct@v1.1.0/part/x.go": "package part\n\nimport (\n\t\"example.com/deep/x\"\n\t\"os\"\n)\n",
	"example.com/deep@v0.2.0/x/x.go":      "package x\n",
}

func TestGoSources(t *testing.T) {
	t.Parallel()
	o := options
	o.GoCache = place(t, cache)
	doc := describedWith(t, place(t, sources), o)
	has(t, doc, "DOCUMENT DESCRIBES example.com/hello", "example.com/hello CONTAINS example.com/hello", "example.com/hello CONTAINS ./main.go",
		"example.com/hello DEPENDS_ON example.com/direct", "example.com/direct DEPENDS_ON example.com/deep", "example.com/hello DEPENDS_ON ./fork",
		"example.com/hello DEPENDS_ON example.com/unused", "example.com/hello DEPENDS_ON stdlib", "./fork VARIANT_OF example.com/replaced", "./fork DEPENDS_ON example.com/deep",
		"note example.com/gone: The sources of example.com/gone v1.0.0 are neither vendored nor in the module cache: what it imports is not known",
		"note example.com/hello: Modules below folders called testdata were passed over, as the Go command does")
	if facts(doc)["example.com/hello DEPENDS_ON example.com/deep"] {
		t.Error("what is only imported by others is said to be imported by the main module")
	}
	direct := packageNamed(t, doc, "example.com/direct")
	if direct.PURL != "pkg:golang/example.com/direct@v1.1.0" || len(direct.Refs) != 1 || direct.Refs[0].Locator != h1 {
		t.Errorf("%+v", direct)
	}
	for _, r := range doc.Relations {
		if r.To == direct.ID && r.Kind == sbom.DependsOn && r.Comment != "imported by example.com/hello" {
			t.Errorf("brought in by %q", r.Comment)
		}
	}
}

func TestVendoredSources(t *testing.T) {
	t.Parallel()
	files := map[string]string{"vendor/modules.txt": "# example.com/direct v1.1.0\n## explicit\nexample.com/direct/part\n# example.com/hidden v0.1.0\nexample.com/hidden\n",
		"vendor/example.com/direct/part/x.go": "package part\n\nimport \"example.com/hidden\"\n", "vendor/example.com/hidden/x.go": "package hidden\n"}
	for name, content := range sources {
		files[name] = content
	}
	doc := described(t, place(t, files))
	has(t, doc, "example.com/direct DEPENDS_ON example.com/hidden", "example.com/hello DEPENDS_ON example.com/direct")
}

func TestOldGoModReadsTheCache(t *testing.T) {
	t.Parallel()
	o := options
	o.GoCache = place(t, map[string]string{
		"cache/download/example.com/a/@v/v1.0.0.mod": "module example.com/a\n\nrequire example.com/b v1.3.0\n",
		"cache/download/example.com/b/@v/v1.3.0.mod": "module example.com/b\n",
	})
	doc := describedWith(t, place(t, map[string]string{"go.mod": "module example.com/old\n\ngo 1.12\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.2.0\n\texample.com/missing v1.0.0\n)\n"}), o)
	if p := packageNamed(t, doc, "example.com/b"); p.Version != "v1.3.0" {
		t.Errorf("selected %s", p.Version)
	}
	has(t, doc, "note example.com/old: go.mod is of a Go before 1.17 and does not name all that is linked; 1 of the modules that it names are not in the module cache…")
}

func TestBadGoMod(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"no module": "go 1.26\n", "not go.mod": "<<<<<<<\n", "control": "module \"a\x1b[2J\"\n", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := place(t, map[string]string{"sub/go.mod": text, "sub/x.go": "package x\n"})
			has(t, described(t, dir), "note sub: sub/go.mod cannot be read, and what it requires is not described: …")
		})
	}
	dir := place(t, map[string]string{"go.mod": "module example.com/m\n\nrequire example.com/../evil v1.0.0\nreplace x\n"})
	doc := described(t, dir)
	has(t, doc, "note example.com/m: go.mod has mistakes…")
	if _, err := filepath.Abs(dir); err != nil {
		t.Fatal(err)
	}
}

func TestRootFileSystem(t *testing.T) {
	t.Parallel()
	dir := place(t, map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=12\n", "var/lib/dpkg/status": "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\nArchitecture: amd64\n"})
	has(t, described(t, dir), filepath.Base(dir)+" CONTAINS libc6")
	tarball := gzipOf(t, tarOf(t, member{"./etc/os-release", "ID=alpine\nVERSION_ID=3.22.1\n"}, member{"./lib/apk/db/installed", "P:musl\nV:1.2.5-r9\nA:x86_64\nL:MIT\n\n"}))
	doc := described(t, filepath.Join(place(t, map[string]string{"root.tgz": tarball}), "root.tgz"))
	has(t, doc, "root.tgz CONTAINS musl")
	if p := packageNamed(t, doc, "musl"); p.PURL != "pkg:apk/alpine/musl@1.2.5-r9?arch=x86_64&distro=alpine-3.22.1" || p.License.Declared != "MIT" {
		t.Errorf("%+v", p)
	}
	bad := gzipOf(t, tarOf(t, member{"var/lib/dpkg/status", "no database\n"}))
	has(t, described(t, filepath.Join(place(t, map[string]string{"bad.tgz": bad}), "bad.tgz")), "note bad.tgz: The lists of installed packages were not read: …")
}
