package licenses_test

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/sbom/licenses"
)

const mit = `MIT License

Copyright (c) 2026 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeZip(t *testing.T, name string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for name, content := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(elem ...string) string { return filepath.Join(append([]string{dir}, elem...)...) }
	writeZip(t, at("mod", "example.com/!upper/zipped/@v/v1.0.0.zip"), map[string]string{"example.com/Upper/zipped@v1.0.0/LICENSE": mit, "example.com/Upper/zipped@v1.0.0/sub/LICENSE": "Our own terms: you may look at it."})
	writeZip(t, at("mod", "example.com/bare/@v/v1.0.0.zip"), map[string]string{"example.com/bare@v1.0.0/a.go": "package a"})
	write(t, at("mod", "example.com/broken/@v/v1.0.0.zip"), "no zip")
	writeZip(t, at("cache", "cache/download/example.com/downloaded/@v/v2.0.0.zip"), map[string]string{"example.com/downloaded@v2.0.0/COPYING": mit})
	write(t, at("cache", "example.com/unpacked@v1.2.3/LICENSE.md"), mit)
	write(t, at("cache", "golang.org/toolchain@v0.0.1-go1.25.1.linux-amd64/LICENSE"), mit)
	write(t, at("vendor", "example.com/vendored/LICENSE"), mit)
	write(t, at("own", "LICENSE"), mit)
	write(t, at("own", "third_party", "LICENSE"), "Terms of somebody else, which nobody knows.")
	write(t, at("go", "LICENSE"), mit)
	if err := os.Symlink(dir, at("vendor", "example.com", "link")); err != nil {
		t.Logf("without a link: %v", err)
	}
	m := licenses.New(licenses.Places{
		Own: map[string]string{"example.com/own": at("own")}, Downloads: []string{"", at("absent"), at("mod")}, Caches: []string{"", at("cache")}, Vendors: []string{at("vendor")},
		Toolchains: map[string]string{"1.26.8": at("go")},
	})
	for purl, want := range map[string]string{
		"pkg:golang/example.com/Upper/zipped@v1.0.0":            "MIT",
		"pkg:golang/example.com/Upper/zipped@v1.0.0?type=m#x/y": "MIT",
		"pkg:golang/example.com%2FUpper/zipped@v1.0.0":          "MIT",
		"pkg:golang/example.com/downloaded@v2.0.0":              "MIT",
		"pkg:golang/example.com/unpacked@v1.2.3":                "MIT",
		"pkg:golang/example.com/vendored@v1.0.0":                "MIT",
		"pkg:golang/example.com/vendored":                       "MIT",
		"pkg:golang/example.com/own@v0.1.0":                     "MIT",
		"pkg:golang/stdlib@1.26.8":                              "MIT",
		"pkg:golang/toolchain@1.25.1":                           "MIT",
		"pkg:golang/stdlib@1.1.1":                               "",
		"pkg:golang/example.com/upper/zipped@v1.0.0":            "",
		"pkg:golang/example.com/bare@v1.0.0":                    "",
		"pkg:golang/example.com/absent@v1.0.0":                  "",
		"pkg:golang/example.com/link@v1.0.0":                    "",
		"pkg:golang/../../etc@v1.0.0":                           "",
		"pkg:golang/example.com/unpacked@..%2F..%2Fown":         "",
		"pkg:npm/example.com/vendored@1.0.0":                    "",
		"pkg:golang/%zz":                                        "",
		"no package URL":                                        "",
	} {
		got, texts := m.Package(purl)
		if got.Concluded != want || len(texts) != 0 && want == "" {
			t.Errorf("%s: %+v, want %q", purl, got, want)
		}
		if want != "" && (got.Confidence < 0.9 || !strings.Contains(got.Copyright, "2026 Somebody") || !strings.Contains(got.Comment, "Concluded from ")) {
			t.Errorf("%s: %+v", purl, got)
		}
	}
	if got, _ := m.Package("pkg:golang/example.com/broken@v1.0.0"); !strings.Contains(got.Comment, "could not be read") || got.Concluded != "" {
		t.Errorf("broken: %+v", got)
	}
	got, texts := m.Package("pkg:golang/example.com/Upper/zipped@v1.0.0")
	if !strings.Contains(got.Comment, "Parts of it stand under LicenseRef-") || len(texts) != 1 || !strings.Contains(texts[0].Text, "you may look at it") {
		t.Errorf("%+v, %+v", got, texts)
	}
}
