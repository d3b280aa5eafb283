package license

import (
	"archive/zip"
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/module"
	"golang.org/x/sync/errgroup"
)

const mit = `MIT License

Copyright (c) 2021 Ann Example

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`

const house = `Example Corporation Licence. You may look at this program on working days between nine and five,
provided that you wear a hat. No hat, no look. Copies are made by us alone, and we make none.
Whoever reads this far owes the author a postcard of a mountain of his choice.
`

func apache(t *testing.T) string {
	data, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func TestFolder(t *testing.T) {
	a := apache(t)
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
		found []string
	}{
		"one text":                        {files("LICENSE", mit, "main.go", "package main"), "MIT", nil},
		"nothing":                         {files("main.go", "package main"), NoAssertion, nil},
		"an empty file":                   {files("LICENSE", "", "main.go", "package main"), NoAssertion, nil},
		"two texts in one file":           {files("LICENSE", mit+"\n----\n"+a), "Apache-2.0 AND MIT", nil},
		"two files":                       {files("LICENSE", mit, "COPYING", a), "Apache-2.0 AND MIT", nil},
		"a choice":                        {files("LICENSE-MIT", mit, "LICENSE-APACHE", a, "LICENSE", "This project is dual-licensed under the MIT and Apache 2.0 terms."), "Apache-2.0 OR MIT", nil},
		"a text of their own":             {files("LICENSE", house), "LicenseRef-1b8e8c1f2d9e7f5c", nil},
		"a text of their own, and a list": {files("LICENSE", house, "LICENSE.MIT", mit), "LicenseRef-1b8e8c1f2d9e7f5c AND MIT", nil},
		"the name of a licence in a list": {files("LICENSE", house+"Portions were once under the MIT License."), "", nil},
		"a notice changes nothing":        {files("LICENSE", a, "NOTICE", "Copyright 2020 Example\n"+mit), "Apache-2.0", nil},
		"tags, where there is no text":    {files("a.go", "// SPDX-License-Identifier: MPL-2.0\npackage a", "b/b.go", "// SPDX-License-Identifier: MIT OR Apache-2.0\n"), "(MIT OR Apache-2.0) AND MPL-2.0", nil},
		"a tag that is no expression":     {files("a.go", "// SPDX-License-Identifier: whatever I want\npackage a"), NoAssertion, nil},
		"a text that is a tag":            {files("LICENSE", "SPDX-License-Identifier: GPL-2.0-only WITH Classpath-exception-2.0\n"), "GPL-2.0-only WITH Classpath-exception-2.0", nil},
		"parts have their own":            {files("LICENSE", a, "third_party/x/LICENSE", mit), "Apache-2.0", []string{"MIT"}},
		"REUSE":                           {files("LICENSES/MIT.txt", mit, "a.go", "package a"), "MIT", nil},
		"a program called license":        {files("license.go", mit), NoAssertion, nil},
		"hostile names":                   {files("LICENSE-\x1b[31m", mit), "MIT", nil},
		"not text":                        {files("LICENSE", "\xff\xfe\x00\x01"), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := New().Folder(context.Background(), c.files)
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if strings.Contains(want, "LicenseRef-") {
				want = strings.ReplaceAll(want, "LicenseRef-1b8e8c1f2d9e7f5c", "LicenseRef-"+sumOf([]byte(house))[:16])
			}
			if want == "" {
				if !strings.HasPrefix(got.Expression, "LicenseRef-") {
					t.Errorf("the expression is %q, want a LicenseRef", got.Expression)
				}
			} else if got.Expression != want {
				t.Errorf("the expression is %q, want %q", got.Expression, want)
			}
			if diff := cmp.Diff(c.found, got.Found); diff != "" {
				t.Error(diff)
			}
			consistent(t, got)
		})
	}
}

// consistent holds what every conclusion promises.
func consistent(t testing.TB, c Conclusion) {
	t.Helper()
	if c.Known() && !Valid(c.Expression, true) {
		t.Errorf("%q is no SPDX expression", c.Expression)
	}
	if c.Confidence < 0 || c.Confidence > 1 {
		t.Errorf("confidence %v", c.Confidence)
	}
	texts := map[string]bool{}
	for _, e := range c.Extracted {
		if texts[e.ID] {
			t.Errorf("the text of %s is there twice", e.ID)
		}
		texts[e.ID] = true
	}
	for _, id := range append(IDs(c.Expression), c.Found...) {
		if strings.HasPrefix(id, "LicenseRef-") && !texts[id] {
			t.Errorf("the text of %s is missing", id)
		}
	}
}

func TestCopyrights(t *testing.T) {
	got := copyrights([]byte(`/* Copyright 2009 The Go Authors. All rights reserved.
 * Copyright (c) 2012-2014, Ann & Bob <ann@example.org>
   (c) 2020 Somebody
# © Example GmbH
Copyright [yyyy] [name of copyright owner]
the above copyright notice
Copyright notice must stay
Copyright and license
COPYRIGHT HOLDERS BE LIABLE 2020
Copyright 2009 The Go Authors. All rights reserved.
`))
	want := []string{"Copyright 2009 The Go Authors. All rights reserved.", "Copyright (c) 2012-2014, Ann & Bob <ann@example.org>", "(c) 2020 Somebody", "© Example GmbH"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestValid(t *testing.T) {
	for s, want := range map[string]bool{
		"MIT": true, "MIT AND (Apache-2.0 OR GPL-2.0+)": true, "GPL-2.0-only WITH Classpath-exception-2.0": true,
		"": false, "MIT AND": false, "AND MIT": false, "(MIT": false, "MIT Apache-2.0": false, "Nonsense": false, "MIT WITH nothing": false,
		"LicenseRef-x": true, "LicenseRef-": false, "LicenseRef-a b": false, strings.Repeat("(", 50) + "MIT" + strings.Repeat(")", 50): false,
	} {
		if got := Valid(s, true); got != want {
			t.Errorf("Valid(%q) is %v", s, got)
		}
	}
	if Valid("LicenseRef-x", false) {
		t.Error("a LicenseRef is no listed licence")
	}
}

func TestZip(t *testing.T) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for name, text := range map[string]string{"example.org/m@v1.0.0/LICENSE": mit, "example.org/m@v1.0.0/sub/COPYING": apache(t), "elsewhere/LICENSE": house, "example.org/m@v1.0.0/../LICENSE": house} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte(text))
	}
	w.Close()
	got, err := New().Zip(context.Background(), bytes.NewReader(buf.Bytes()), int64(buf.Len()), "example.org/m@v1.0.0/")
	if err != nil {
		t.Fatal(err)
	}
	if got.Expression != "MIT" || !cmp.Equal(got.Found, []string{"Apache-2.0"}) || !cmp.Equal(got.Copyrights, []string{"Copyright (c) 2021 Ann Example"}) {
		t.Errorf("got %+v", got)
	}
	if _, err := New().Zip(context.Background(), bytes.NewReader(buf.Bytes()[:100]), 100, ""); err == nil {
		t.Error("a zip that is cut off was read")
	}
}

func TestTree(t *testing.T) {
	fsys := files("LICENSE", apache(t), "a.go", "package a", "vendor/x/LICENSE", mit, "vendor/x/y/y.go", "// SPDX-License-Identifier: ISC\n", "vendor/z/LICENSES/MIT.txt", mit)
	for _, tags := range []bool{false, true} {
		got, err := New().Tree(context.Background(), fsys, TreeOptions{Tags: tags})
		if err != nil {
			t.Fatal(err)
		}
		said := map[string]string{}
		for _, p := range got {
			said[p.Path] = strings.TrimSpace(p.Expression + " " + strings.Join(p.Found, " "))
		}
		want := map[string]string{".": "Apache-2.0", "vendor/x": "MIT", "vendor/z": "MIT"}
		if tags {
			want["vendor/x/y"] = NoAssertion + " ISC"
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTooLarge(t *testing.T) {
	got, err := New().Folder(context.Background(), files("LICENSE", mit+strings.Repeat("word ", MaxFile/5)))
	if err != nil || len(got.Notes) != 1 || !strings.HasPrefix(got.Expression, "LicenseRef-") {
		t.Errorf("%q %v %v", got.Expression, got.Notes, err)
	}
}

// TestModules reads module zips of this machine's module cache: a licence is concluded for nearly all of them, and the matcher
// of common licences never says what that of all would not. SELLO_LICENSE_MODULES=all reads every one.
func TestModules(t *testing.T) {
	zips := moduleZips(t)
	if len(zips) > 150 && os.Getenv("SELLO_LICENSE_MODULES") != "all" {
		zips = zips[:150]
	}
	if len(zips) < 20 {
		t.Skipf("the module cache has %d modules", len(zips))
	}
	d, whole := New(), New()
	whole.common = whole.all
	start := time.Now()
	var mu sync.Mutex
	known, listedOnly := 0, 0
	eachZip(t, d, zips, func(c Conclusion) {
		consistent(t, c)
		mu.Lock()
		defer mu.Unlock()
		if c.Known() {
			known++
		}
		if c.Known() && !strings.Contains(c.Expression, "LicenseRef-") {
			listedOnly++
		}
	})
	t.Logf("%d modules: %d with a licence, %d of them of the SPDX list alone; %d texts; %v", len(zips), known, listedOnly, len(d.seen), time.Since(start))
	if known*100 < len(zips)*98 {
		t.Errorf("a licence is concluded for %d of %d modules", known, len(zips))
	}
	said := func(d *Detector) map[string]string {
		out := map[string]string{}
		for _, r := range d.seen {
			out[r.sum] = strings.Join(r.ids, " ")
		}
		return out
	}
	eachZip(t, whole, zips, func(Conclusion) {})
	if diff := cmp.Diff(said(whole), said(d)); diff != "" {
		t.Errorf("the common licences hide others:\n%s", diff)
	}
}

func moduleZips(t *testing.T) (out []string) {
	root := os.Getenv("GOMODCACHE")
	if home, err := os.UserHomeDir(); root == "" && err == nil {
		root = filepath.Join(home, "go", "pkg", "mod")
	}
	_ = filepath.WalkDir(filepath.Join(root, "cache", "download"), func(p string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".zip") && !strings.Contains(p, "golang.org/toolchain") {
			out = append(out, p)
		}
		return nil
	})
	return out
}

func eachZip(t *testing.T, d *Detector, zips []string, got func(Conclusion)) {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, name := range zips {
		g.Go(func() error {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				return err
			}
			dir, version := filepath.Split(strings.TrimSuffix(name, ".zip"))
			_, escaped, _ := strings.Cut(filepath.ToSlash(dir), "/download/")
			path, err := module.UnescapePath(strings.TrimSuffix(escaped, "/@v/"))
			if err != nil {
				return err
			}
			if version, err = module.UnescapeVersion(version); err != nil {
				return err
			}
			c, err := d.Zip(context.Background(), f, info.Size(), path+"@"+version+"/")
			got(c)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(mit), "LICENSE")
	f.Add([]byte(house), "COPYING")
	f.Add([]byte("// SPDX-License-Identifier: MIT OR (ISC"), "a.go")
	d := New()
	d.all = d.common // compiling all takes seconds in an instrumented program
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		if !fs.ValidPath(name) || name == "." {
			return
		}
		c, err := d.Folder(context.Background(), fstest.MapFS{name: &fstest.MapFile{Data: text}})
		if err != nil {
			return
		}
		consistent(t, c)
	})
}
