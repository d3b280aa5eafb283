package sbom_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
)

// scan looks at files in the order of their names, or backwards.
func scan(files map[string]string, backwards bool) ([]sbom.OSPackage, []sbom.Binary, error) {
	names := slices.Sorted(maps.Keys(files))
	if backwards {
		slices.Reverse(names)
	}
	s := sbom.NewScan()
	for _, name := range names {
		open := func() (io.ReadCloser, error) {
			return io.NopCloser(iotest.OneByteReader(strings.NewReader(files[name]))), nil
		}
		if len(files[name]) > 1<<16 {
			open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[name])), nil }
		}
		if err := s.Visit(name, int64(len(files[name])), open); err != nil {
			return nil, nil, err
		}
	}
	return s.Result()
}

const (
	osRelease = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\n# comment\nVERSION_CODENAME=bookworm\nID=debian\n"

	dpkgStatus = `Package: libc6
Status: install ok installed
Priority: optional
Architecture: amd64
Multi-Arch: same
Source: glibc
Version: 2.36-9+deb12u10
Conffiles:
 /etc/ld.so.conf.d/x86_64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
Description: GNU C Library: Shared libraries
 Contains the standard libraries.
 .
 And more.

Package: libc6
Status: install ok installed
Architecture: arm64
Source: glibc
Version: 2.36-9+deb12u10

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1.0

Package: libstdc++6
Status: hold ok half-configured
Architecture: amd64
Source: gcc-12 (12.2.0-14+deb12u1)
Version: 12.2.0-14+deb12u1
`
	apkInstalled = `C:Q1p78yvTLG094tHE1+dToJGbmYzQE=
P:musl
V:1.2.5-r9
A:x86_64
S:383152
T:the musl c library (libc) implementation
L:MIT
o:musl
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
R:libc.musl-x86_64.so.1

P:libcrypto3
V:3.3.3-r0
A:x86_64
L:Apache-2.0 AND (BSD-3-Clause OR MIT)
o:openssl
F:usr
F:usr/lib

P:.build-deps
V:20260101.120000
A:noarch
`
)

func TestScanFindsPackages(t *testing.T) {
	t.Parallel()
	debian, alpine := sbom.Distro{ID: "debian", Version: "12"}, sbom.Distro{ID: "alpine", Version: "3.22.1"}
	deb := func(name, version, arch, source string) sbom.OSPackage {
		return sbom.OSPackage{Type: "deb", Name: name, Version: version, Arch: arch, Source: source, Distro: debian}
	}
	apks := []sbom.OSPackage{
		{Type: "apk", Name: ".build-deps", Version: "20260101.120000", Arch: "noarch", Distro: alpine},
		{Type: "apk", Name: "libcrypto3", Version: "3.3.3-r0", Arch: "x86_64", License: "Apache-2.0 AND (BSD-3-Clause OR MIT)", Source: "openssl", Distro: alpine},
		{Type: "apk", Name: "musl", Version: "1.2.5-r9", Arch: "x86_64", License: "MIT", Distro: alpine},
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  []sbom.OSPackage
	}{
		"nothing": {map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\n"}, nil},
		"dpkg": {map[string]string{"etc/os-release": osRelease, "var/lib/dpkg/status": dpkgStatus}, []sbom.OSPackage{
			deb("libc6", "2.36-9+deb12u10", "amd64", "glibc"), deb("libc6", "2.36-9+deb12u10", "arm64", "glibc"),
			deb("libstdc++6", "12.2.0-14+deb12u1", "amd64", "gcc-12@12.2.0-14+deb12u1")}},
		"no dpkg in the image": {map[string]string{"usr/lib/os-release": osRelease, "var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12.4\nArchitecture: all",
			"var/lib/dpkg/status.d/base.md5sums": "d41d8cd98f00b204e9800998ecf8427e  etc/x\n"}, []sbom.OSPackage{deb("base-files", "12.4", "all", "")}},
		"apk":                {map[string]string{"etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\n", "lib/apk/db/installed": apkInstalled}, apks},
		"apk in usr":         {map[string]string{"etc/os-release": "ID='Alpine'\nVERSION_ID='3.22.1'\n", "usr/lib/apk/db/installed": apkInstalled + "\n\n"}, apks},
		"etc's os-release":   {map[string]string{"etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\n", "usr/lib/os-release": osRelease, "lib/apk/db/installed": apkInstalled}, apks},
		"an unknown distro":  {map[string]string{"var/lib/dpkg/status": "Package: x\nVersion: 1\n"}, []sbom.OSPackage{{Type: "deb", Name: "x", Version: "1"}}},
		"a code name only":   {map[string]string{"etc/os-release": "ID=debian\nVERSION_CODENAME=forky\n", "var/lib/dpkg/status": "Package: x\nVersion: 1\n"}, []sbom.OSPackage{{Type: "deb", Name: "x", Version: "1", Distro: sbom.Distro{ID: "debian", Version: "forky"}}}},
		"RPM in Berkeley DB": {map[string]string{"var/lib/rpm/Packages": "x"}, []sbom.OSPackage{{Unread: "The base has an RPM database in Berkeley DB's form, which is not read: var/lib/rpm/Packages"}}},
		"RPM in NDB":         {map[string]string{"usr/lib/sysimage/rpm/Packages.db": "x"}, []sbom.OSPackage{{Unread: "The base has an RPM database in NDB's form, which is not read: usr/lib/sysimage/rpm/Packages.db"}}},
		"empty journal":      {map[string]string{"var/lib/rpm/rpmdb.sqlite-wal": ""}, nil},
	} {
		for _, backwards := range []bool{false, true} {
			got, programs, err := scan(c.files, backwards)
			if err != nil || len(programs) != 0 {
				t.Errorf("%s: %v, %v", name, programs, err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestScanRefusesMalformedDatabases(t *testing.T) {
	t.Parallel()
	const status, installed = "var/lib/dpkg/status", "lib/apk/db/installed"
	for name, c := range map[string]struct{ file, content, where string }{
		"no field":             {status, "Package: x\nVersion 1\n", status + ":2"},
		"field of many words":  {status, "Package: x\nA b: 1\n", status + ":2"},
		"field twice":          {status, "Package: x\nVersion: 1\npackage: y\n", status + ":3"},
		"continuation":         {status, "\n hello\n", status + ":2"},
		"no name":              {status, "Version: 1\nArchitecture: all\n", status + ":1"},
		"no version":           {status, "\nPackage: x\nArchitecture: all\n", status + ":2"},
		"name":                 {status, "Package: x/y\nVersion: 1\n", status + ":1"},
		"version":              {status, "Package: x\nVersion: 1\x1b[2J\n", status + ":1"},
		"architecture":         {status, "Package: x\nVersion: 1\nArchitecture: a b\n", status + ":1"},
		"source":               {status, "Package: x\nVersion: 1\nSource: a?b\n", status + ":1"},
		"source's version":     {status, "Package: x\nVersion: 1\nSource: a (1\n", status + ":1"},
		"status":               {status, "Package: x\nVersion: 1\nStatus: installed\n", status + ":1"},
		"two versions":         {status, "Package: x\nVersion: 1\n\nPackage: x\nVersion: 2\n", status + ":4"},
		"apk: no field":        {installed, "P:x\nhello\n", installed + ":2"},
		"apk: long field":      {installed, "PV:x\n", installed + ":1"},
		"apk: field twice":     {installed, "P:x\nV:1\nP:y\n", installed + ":3"},
		"apk: no name":         {installed, "V:1\n", installed + ":1"},
		"apk: no version":      {installed, "P:x\n", installed + ":1"},
		"apk: architecture":    {installed, "P:x\nV:1\nA:?\n", installed + ":1"},
		"apk: origin":          {installed, "P:x\nV:1\no:a/b\n", installed + ":1"},
		"apk: licence":         {installed, "P:x\nV:1\nL:MIT\x00\n", installed + ":1"},
		"apk: licence's size":  {installed, "P:x\nV:1\nL:" + strings.Repeat("MIT OR ", 1000) + "MIT\n", installed + ":1"},
		"apk: two versions":    {installed, "P:x\nV:1\n\nP:x\nV:2\n", installed + ":4"},
		"apk: two licences":    {installed, "P:x\nV:1\n\nP:x\nV:1\nL:MIT\n", installed + ":4"},
		"os-release":           {"etc/os-release", "ID=debian\nVERSION_ID=\"$(reboot)\"\n", "etc/os-release:2"},
		"RPM: not SQLite":      {"var/lib/rpm/rpmdb.sqlite", "hello", "var/lib/rpm/rpmdb.sqlite"},
		"control in file name": {"var/lib/dpkg/status.d/a\x1bb", "hello\n", ""},
	} {
		_, _, err := scan(map[string]string{c.file: c.content}, false)
		if gate.Code(err) != sbom.CodeOSPackages {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var r *gate.Refusal
		if errors.As(err, &r); c.where != "" && r.Where != c.where {
			t.Errorf("%s: refused at %s, not %s", name, r.Where, c.where)
		}
	}
}

// counted gives one text again and again, and counts the bytes.
type counted struct {
	text string
	read int64
}

func (c *counted) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m := copy(p[n:], c.text[c.read%int64(len(c.text)):])
		n, c.read = n+m, c.read+int64(m)
	}
	return n, nil
}

func (*counted) Close() error { return nil }

func TestScanStopsReading(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"etc/os-release", "var/lib/dpkg/status", "lib/apk/db/installed"} {
		for text, limit := range map[string]int64{"A": 2 << 20, "F:" + strings.Repeat("a", 10_000) + "\n": 66 << 20} {
			in := &counted{text: text}
			err := sbom.NewScan().Visit(name, 1, func() (io.ReadCloser, error) { return in, nil })
			if gate.Code(err) != sbom.CodeOSPackagesTooLarge || in.read > limit {
				t.Errorf("%s of %.3q: read %d bytes: %v", name, text, in.read, err)
			}
		}
	}
	var many strings.Builder
	for i := range 100_001 {
		fmt.Fprintf(&many, "Package: p%d\nVersion: 1\n\n", i)
	}
	if _, _, err := scan(map[string]string{"var/lib/dpkg/status": many.String()}, false); gate.Code(err) != sbom.CodeOSPackagesTooLarge {
		t.Errorf("100,001 packages: %v", err)
	}
}

func TestScanFindsPrograms(t *testing.T) {
	t.Parallel()
	good := string(elfWith("go1.26.8", info))
	object := []byte(good)
	object[16] = 1
	large := good + strings.Repeat("\x00", 5<<20)
	_, programs, err := scan(map[string]string{
		"usr/bin/z":      good,
		"usr/bin/large":  large,
		"usr/lib/a.o":    string(object),
		"usr/bin/script": "#!/bin/sh\n" + strings.Repeat("echo\n", 100),
		"usr/bin/short":  good[:40],
		"usr/bin/cut":    good[:200],
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range programs {
		got = append(got, fmt.Sprint(b.Name, " ", b.SHA256, " ", b.Path, " ", len(b.Deps)))
	}
	want := []string{"usr/bin/large " + sums(large).SHA256 + " example.com/Program/cmd/program 3", "usr/bin/z " + sums(good).SHA256 + " example.com/Program/cmd/program 3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("programs (-want +got):\n%s", diff)
	}
}

func TestScanRefusesMalformedBuildInfo(t *testing.T) {
	t.Parallel()
	_, _, err := scan(map[string]string{"usr/bin/bad": string(elfWith("go1.26.8", "path\tp\nmod\tm\tv1.0.0\t\ndep\td\tv1.0.0\th1:x\n"))}, false)
	var r *gate.Refusal
	if !errors.As(err, &r) || r.Code != sbom.CodeBaseBuildInfo || r.Where != "usr/bin/bad" {
		t.Errorf("malformed build information: %v", err)
	}
}

func TestScanKeepsErrorsOfReading(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"etc/os-release", "var/lib/dpkg/status", "lib/apk/db/installed", "usr/bin/program", "var/lib/rpm/rpmdb.sqlite"} {
		for what, open := range map[string]func() (io.ReadCloser, error){
			"open": func() (io.ReadCloser, error) { return nil, errDisk },
			"read": func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(errDisk)), nil },
			"later": func() (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(bytes.NewReader(elfWith("go1.26.8", info)), iotest.ErrReader(errDisk))), nil
			},
		} {
			if name != "usr/bin/program" && what == "later" {
				continue
			}
			if err := sbom.NewScan().Visit(name, 100, open); !errors.Is(err, errDisk) || gate.Code(err) != "" {
				t.Errorf("%s of %s: %v", what, name, err)
			}
		}
	}
}

func TestScanLeavesNoTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	files := map[string]string{"usr/bin/large": string(elfWith("go1.26.8", info)) + strings.Repeat("\x00", 5<<20)}
	if _, programs, err := scan(files, false); err != nil || len(programs) != 1 {
		t.Fatal(programs, err)
	}
	broken := func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(files["usr/bin/large"]), iotest.ErrReader(errDisk))), nil
	}
	if err := sbom.NewScan().Visit("usr/bin/large", 5<<20, broken); !errors.Is(err, errDisk) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func describePackages(t *testing.T, packages []sbom.OSPackage) {
	t.Helper()
	sum := strings.Repeat("0", 64)
	in := sbom.Image{Name: "registry.example/x", Platform: "linux/amd64", Manifest: sum, Base: "registry.example/base", BaseDigest: sum, Packages: packages}
	if _, err := inImage(meta, in, nil); err != nil {
		t.Fatalf("cannot describe: %v", err)
	}
}

// fuzzDatabase holds that no database panics, and that what can be read can be described.
func fuzzDatabase(f *testing.F, path string) {
	f.Fuzz(func(t *testing.T, content []byte) {
		packages, _, err := scan(map[string]string{path: string(content), "usr/lib/os-release": osRelease}, false)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		describePackages(t, packages)
	})
}

func FuzzDpkg(f *testing.F) {
	f.Add([]byte(dpkgStatus))
	fuzzDatabase(f, "var/lib/dpkg/status")
}

func FuzzAPK(f *testing.F) {
	f.Add([]byte(apkInstalled))
	fuzzDatabase(f, "lib/apk/db/installed")
}

func FuzzOSRelease(f *testing.F) {
	f.Add([]byte(osRelease))
	fuzzDatabase(f, "etc/os-release")
}
