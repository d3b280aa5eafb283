package pack_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/pack"
)

// tool gives the path of a program that judges what we wrote.
func tool(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return p
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool(t, name), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func saved(t *testing.T, format string) (dir, name string) {
	t.Helper()
	dir, name = t.TempDir(), "a."+format
	entries := append(sample(), program("bin/big", prose(1, 3<<20)))
	b := write(t, entries, pack.Options{Format: format, Prefix: "top"})
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, name
}

func TestTarLists(t *testing.T) {
	t.Parallel()
	dir, name := saved(t, pack.TarGz)
	long := "top/doc/" + strings.Repeat("long-", 45)
	got := run(t, dir, "tar", "--numeric-owner", "--full-time", "-tvf", name)
	want := []string{
		"drwxr-xr-x 0/0 0 2026-11-20 09:30:00 top/",
		"-rw-r--r-- 0/0 8 2026-11-20 09:30:00 top/README.md",
		"drwxr-xr-x 0/0 0 2026-11-20 09:30:00 top/bin/",
		"-rwxr-xr-x 0/0 19 2026-11-20 09:30:00 top/bin/age",
		"-rwxr-xr-x 0/0 3145728 2026-11-20 09:30:00 top/bin/big",
		"-rw-r--r-- 0/0 1 2026-11-20 09:30:00 top/doc-2/x",
		"drwxr-xr-x 0/0 0 2026-11-20 09:30:00 top/doc-2/",
		"drwxr-xr-x 0/0 0 2026-11-20 09:30:00 top/doc/",
		"lrwxrwxrwx 0/0 0 2026-11-20 09:30:00 top/doc/link.md -> ../README.md",
		"drwxr-xr-x 0/0 0 2026-11-20 09:30:00 " + long + "/",
		"-rw-r--r-- 0/0 4 2026-11-20 09:30:00 " + long + "/ü.txt",
		"-rw-r--r-- 0/0 0 2026-11-20 09:30:00 top/empty",
	}
	if strings.Contains(got, `\303\274`) {
		got = strings.ReplaceAll(got, `\303\274`, "ü")
	}
	for _, line := range want {
		if !strings.Contains(strings.Join(strings.Fields(got), " ")+" ", line+" ") {
			t.Errorf("no line %q in\n%s", line, got)
		}
	}
	if n := strings.Count(got, "\n"); n != len(want) {
		t.Errorf("%d entries, want %d", n, len(want))
	}
	run(t, dir, "tar", "-xf", name)
	checkUnpacked(t, dir)
}

func TestUnzipTestsListsAndUnpacks(t *testing.T) {
	t.Parallel()
	dir, name := saved(t, pack.Zip)
	run(t, dir, "unzip", "-t", name)
	got := run(t, dir, "unzip", "-Z", "-T", name)
	for _, want := range []string{"-rwxr-xr-x", "drwxr-xr-x", "lrwxrwxrwx", "20261120.093000 top/bin/big"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	run(t, dir, "unzip", "-q", name)
	checkUnpacked(t, dir)
}

func checkUnpacked(t *testing.T, dir string) {
	t.Helper()
	big, err := os.ReadFile(filepath.Join(dir, "top/bin/big"))
	if err != nil || string(big) != prose(1, 3<<20) {
		t.Errorf("content changed: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "top/bin/age"))
	if err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("program is not executable: %v", err)
	}
	linked, err := os.ReadFile(filepath.Join(dir, "top/doc/link.md"))
	if err != nil || string(linked) != "read me\n" {
		t.Errorf("link leads to %q: %v", linked, err)
	}
}

func TestPythonReads(t *testing.T) {
	t.Parallel()
	const script = `
import sys, tarfile, zipfile
name = sys.argv[1]
if name.endswith(".zip"):
    z = zipfile.ZipFile(name)
    assert z.testzip() is None
    assert all(i.date_time == (2026, 11, 20, 9, 30, 0) for i in z.infolist())
    print("\n".join(f"{i.filename} {i.file_size} {i.external_attr >> 16:o}" for i in z.infolist()))
else:
    t = tarfile.open(name)
    for m in t.getmembers():
        assert (m.uid, m.gid, m.uname, m.gname, m.mtime) == (0, 0, "", "", 1795167000), (m, m.mtime)
        assert set(m.pax_headers) <= {"path"}, m.pax_headers
    print("\n".join(f"{m.name} {m.size} {m.mode:o}" for m in t.getmembers()))
`
	formats(t, func(t *testing.T, format string) {
		dir, name := saved(t, format)
		got := run(t, dir, "python3", "-c", script, name)
		if !strings.Contains(got, "top/bin/big 3145728 ") || strings.Count(got, "\n") != 12 {
			t.Errorf("python reads\n%s", got)
		}
	})
}

func TestGzipAgrees(t *testing.T) {
	t.Parallel()
	dir, name := saved(t, pack.TarGz)
	run(t, dir, "gzip", "-t", name)
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b[:10], []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}) {
		t.Errorf("gzip header is % x", b[:10])
	}
}

func TestSha256sumAccepts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var items []pack.Checksum
	for i, name := range []string{"z.tar.gz", "a b", " leading", "*star", "bin/linux/amd64/age", "ü", "#hash", "-dash", "SHA256 (x) = y"} {
		content := []byte(strings.Repeat("x", i))
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		items = append(items, pack.Checksum{Name: name, Sum: hex.EncodeToString(sum[:])})
	}
	var b bytes.Buffer
	if err := pack.Checksums(&b, "sha256", items); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got := run(t, dir, "sha256sum", "--strict", "-c", "SHA256SUMS")
	if n := strings.Count(got, ": OK\n"); n != len(items) {
		t.Errorf("%d of %d accepted:\n%s", n, len(items), got)
	}
}

// TestPackInOtherSurroundings is run by TestSameBytesInOtherSurroundings.
func TestPackInOtherSurroundings(t *testing.T) {
	tree := os.Getenv("PACK_TEST_TREE")
	if tree == "" {
		t.Skip("only as a part of TestSameBytesInOtherSurroundings")
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	entries, err := pack.FromTree(root)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(os.Getenv("PACK_TEST_OUT"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for _, format := range []string{pack.TarGz, pack.Zip} {
		if err := pack.Write(context.Background(), out, entries, pack.Options{Format: format, Time: when}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSameBytesInOtherSurroundings(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for _, around := range []struct{ umask, env string }{
		{"022", "TZ=UTC LC_ALL=C GOMAXPROCS=1 USER=a HOME=/nonexistent"},
		{"077", "TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 GOMAXPROCS=2 USER=b HOME=/"},
		{"000", "TZ=America/St_Johns LC_ALL=en_US.UTF-8 GOMAXPROCS=8 SOURCE_DATE_EPOCH=7 GZIP=-1"},
	} {
		dir := t.TempDir()
		out := filepath.Join(dir, "out")
		script := `umask ` + around.umask + ` && mkdir tree tree/sub && printf '#!/bin/sh\n' >tree/tool && chmod +x tree/tool &&
			printf İI >tree/sub/text && ln -s ../tool tree/sub/link && exec env ` + around.env + ` PACK_TEST_TREE=tree PACK_TEST_OUT=out "$0" -test.run '^TestPackInOtherSurroundings$'`
		cmd := exec.Command(tool(t, "sh"), "-c", script, self)
		cmd.Dir = dir
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("other bytes with umask %s and %s", around.umask, around.env)
		}
	}
}
