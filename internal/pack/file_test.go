package pack_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/pack"
)

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestToFileWritesAndHashes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 256 << 10, 256<<10 + 1, 5<<20 + 3} {
		dir := t.TempDir()
		content := prose(9, size)
		sums, err := pack.ToFile(openRoot(t, dir), "deep/er/name.bin", func(w io.Writer) error {
			_, err := io.Copy(w, io.MultiReader(strings.NewReader(content[:size/3]), strings.NewReader(content[size/3:])))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "deep/er/name.bin")
		want, err := digest.File(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, sums); diff != "" || sums.Size != int64(size) {
			t.Errorf("size %d: sums differ from the file's (-file +got):\n%s", size, diff)
		}
		info, err := os.Stat(path)
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o644 {
			t.Errorf("mode is %v: %v", info.Mode(), err)
		}
		onlyFile(t, filepath.Dir(path), "name.bin")
	}
}

func TestToFileLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := openRoot(t, dir)
	boom := errors.New("boom")
	_, err := pack.ToFile(root, "name", func(w io.Writer) error {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(dir, "name")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("half-written file under its final name: %v", err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Error(err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = pack.ToFile(root, "name", func(io.Writer) error { panic("in the middle") })
	}()
	onlyFile(t, dir)
}

func TestToFileKeepsEarlierFileUntilDone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := openRoot(t, dir)
	put := func(content string, fail error) error {
		_, err := pack.ToFile(root, "name", func(w io.Writer) error {
			_, _ = io.WriteString(w, content)
			return fail
		})
		return err
	}
	if err := put("first", nil); err != nil {
		t.Fatal(err)
	}
	if err := put("sec", errors.New("killed")); err == nil {
		t.Fatal("no error")
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "name")); string(b) != "first" {
		t.Errorf("earlier file became %q", b)
	}
	if err := put("second", nil); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "name")); string(b) != "second" {
		t.Errorf("file is %q", b)
	}
	onlyFile(t, dir, "name")
}

func TestToFileStaysInItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Skipf("no symlinks here: %v", err)
	}
	root := openRoot(t, dir)
	for _, name := range []string{"../x", "/x", `a\x`, "out/x"} {
		if _, err := pack.ToFile(root, name, func(io.Writer) error { return nil }); err == nil {
			t.Errorf("wrote %q", name)
		}
	}
	onlyFile(t, outside)
}

func onlyFile(t *testing.T, dir string, want ...string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("folder holds (-want +got):\n%s", diff)
	}
}

func TestFromTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"b": 0o600, "a/tool": 0o700, "a/group": 0o610} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../b", filepath.Join(dir, "a/link")); err != nil {
		t.Skipf("no symlinks here: %v", err)
	}
	if err := os.Symlink("a", filepath.Join(dir, "folder-link")); err != nil {
		t.Fatal(err)
	}
	entries, err := pack.FromTree(openRoot(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		Name, Link string
		Exec       bool
		Size       int64
	}
	var got []seen
	for _, e := range entries {
		got = append(got, seen{e.Name, e.Link, e.Executable, e.Size})
	}
	want := []seen{{"a/group", "", true, 7}, {"a/link", "../b", false, 0}, {"a/tool", "", true, 6}, {"b", "", false, 1}, {"folder-link", "a", false, 0}}
	if runtime.GOOS != "windows" {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	}
	write(t, entries, pack.Options{Format: pack.TarGz})
}

func TestFromTreeRefusesWhatWasReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("same size"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("f")
	entries, err := pack.FromTree(openRoot(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	put("g")
	if err := os.Rename(filepath.Join(dir, "g"), path); err != nil {
		t.Fatal(err)
	}
	err = pack.Write(context.Background(), io.Discard, entries, pack.Options{Format: pack.TarGz, Time: when})
	if gate.Code(err) != pack.CodeBadFile {
		t.Errorf("replaced file: %v", err)
	}
}

func TestChecksums(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	var out bytes.Buffer
	if err := pack.Checksums(&out, "sha256", []pack.Checksum{{"z", a}, {"bin/x", b}}); err != nil {
		t.Fatal(err)
	}
	if want := b + "  bin/x\n" + a + "  z\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	for name, c := range map[string]struct {
		items []pack.Checksum
		code  string
	}{
		"newline":     {[]pack.Checksum{{"a\nb", a}}, pack.CodeBadName},
		"backslash":   {[]pack.Checksum{{`a\b`, a}}, pack.CodeBadName},
		"carriage":    {[]pack.Checksum{{"a\r", a}}, pack.CodeBadName},
		"parent":      {[]pack.Checksum{{"../a", a}}, pack.CodeBadName},
		"stdin":       {[]pack.Checksum{{"-", a}}, pack.CodeBadName},
		"twice":       {[]pack.Checksum{{"a", a}, {"a", b}}, pack.CodeDuplicate},
		"short sum":   {[]pack.Checksum{{"a", "abcd"}}, ""},
		"upper case":  {[]pack.Checksum{{"a", strings.Repeat("A", 64)}}, ""},
		"other chars": {[]pack.Checksum{{"a", strings.Repeat("x", 64)}}, ""},
	} {
		if err := pack.Checksums(io.Discard, "sha256", c.items); err == nil || gate.Code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := pack.Checksums(io.Discard, "sha512", []pack.Checksum{{"a", a}}); err == nil {
		t.Error("a SHA-256 passed as SHA-512")
	}
	if err := pack.Checksums(io.Discard, "md5", nil); err == nil {
		t.Error("md5 accepted")
	}
}
