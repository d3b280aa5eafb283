package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/image"
)

// tarWith makes a tar of headers, whose content is their name.
func tarWith(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = io.WriteString(w, h.Name)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func rootfsLayer(t testing.TB) rawLayer {
	return gz(tarWith(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "tmp", Mode: 0o1777, ModTime: when},
		tar.Header{Typeflag: tar.TypeDir, Name: "locked", Mode: 0o555, ModTime: when},
		tar.Header{Typeflag: tar.TypeReg, Name: "locked/file", Mode: 0o444, ModTime: when},
		tar.Header{Typeflag: tar.TypeDir, Name: "none", Mode: 0, ModTime: when},
		tar.Header{Typeflag: tar.TypeReg, Name: "none/file", Mode: 0, Uid: 1234, ModTime: when},
		tar.Header{Typeflag: tar.TypeReg, Name: "bin/su", Mode: 0o6755, ModTime: when},
		tar.Header{Typeflag: tar.TypeLink, Name: "bin/again", Linkname: "bin/su"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/host", Linkname: "/etc/passwd"},
		tar.Header{Typeflag: tar.TypeReg, Name: "early", Mode: 0o644, ModTime: time.Unix(-5, 0)},
		tar.Header{Typeflag: tar.TypeReg, Name: "late", Mode: 0o644, ModTime: time.Unix(1<<40, 0)},
	))
}

func unpacked(t testing.TB, m ocispec.Descriptor, from image.Fetcher) (string, *os.Root, image.Rootfs) {
	t.Helper()
	dir := t.TempDir()
	root := openRoot(t, dir)
	tree, err := image.Unpack(context.Background(), from, m, root, image.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return dir, root, tree
}

func TestUnpackedTree(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	b, _ := newBlobs(t)
	m := rawImage(t, b, rootfsLayer(t))
	dir, root, tree := unpacked(t, m, b)
	got := map[string]string{}
	err := fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		got[p] = info.Mode().String()
		if d.Type()&fs.ModeSymlink == 0 {
			got[p] += info.ModTime().UTC().Format(" 2006")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{".": "drwxr-xr-x 1970", "tmp": "dtrwxrwxrwx 2026", "locked": "drwxr-xr-x 2026", "locked/file": "-r--r--r-- 2026", "none": "drwx------ 2026",
		"none/file": "-r-------- 2026", "bin": "drwxr-xr-x 1970", "bin/su": "-rwxr-xr-x 2026", "bin/again": "-rwxr-xr-x 2026", "bin/host": "Lrwxrwxrwx", "early": "-rw-r--r-- 1970", "late": "-rw-r--r-- 2038"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	su, err := os.Stat(filepath.Join(dir, "bin/su"))
	if err != nil || !su.ModTime().Equal(when) {
		t.Error(su.ModTime(), err)
	}
	again, err := os.Stat(filepath.Join(dir, "bin/again"))
	if err != nil || !os.SameFile(su, again) {
		t.Error("the hard link is another file")
	}
	if tree.Entries != len(want) || tree.Size != int64(len("locked/filenone/filebin/subin/suearlylate")) {
		t.Errorf("%+v", tree)
	}
	if err := image.VerifyTree(context.Background(), root, tree); err != nil {
		t.Error(err)
	}
	if _, _, again := unpacked(t, m, b); again != tree {
		t.Errorf("%+v the second time, %+v the first", again, tree)
	}
	if tree.Digest != goldenTree {
		t.Errorf("digest of the tree is %s", tree.Digest)
	}
	if _, err := image.Unpack(context.Background(), b, m, root, image.Limits{}); err == nil {
		t.Error("unpacked into a folder that is not empty")
	}
}

// goldenTree holds the form that Rootfs.Digest documents, for trees that were unpacked by an earlier version.
const goldenTree = "sha256:cc183d421d4c28ffa6f3b1dee627c3e00e695f6ec6c217b84a5feaa5e4d7fb52"

func TestVerifyTreeFindsEachChange(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	b, _ := newBlobs(t)
	m := rawImage(t, b, rootfsLayer(t))
	for name, change := range map[string]func(dir string) error{
		"content": func(dir string) error {
			p := filepath.Join(dir, "early")
			if err := os.WriteFile(p, []byte("EARLY"), 0o644); err != nil {
				return err
			}
			return os.Chtimes(p, time.Unix(0, 0), time.Unix(0, 0))
		},
		"time":    func(dir string) error { return os.Chtimes(filepath.Join(dir, "early"), when, when) },
		"mode":    func(dir string) error { return os.Chmod(filepath.Join(dir, "early"), 0o666) },
		"setuid":  func(dir string) error { return os.Chmod(filepath.Join(dir, "bin/su"), 0o755|os.ModeSetuid) },
		"removed": func(dir string) error { return os.Remove(filepath.Join(dir, "late")) },
		"added":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "tmp/x"), nil, 0o644) },
		"longer":  func(dir string) error { return os.WriteFile(filepath.Join(dir, "early"), []byte("early!"), 0o644) },
		"renamed": func(dir string) error { return os.Rename(filepath.Join(dir, "early"), filepath.Join(dir, "earli")) },
		"folder":  func(dir string) error { return os.Chmod(filepath.Join(dir, "tmp"), 0o777) },
		"root":    func(dir string) error { return os.Chmod(dir, 0o700) },
		"relinked": func(dir string) error {
			p := filepath.Join(dir, "bin/host")
			if err := os.Remove(p); err != nil {
				return err
			}
			if err := os.Symlink("/etc/passwx", p); err != nil {
				return err
			}
			return os.Chtimes(filepath.Join(dir, "bin"), time.Unix(0, 0), time.Unix(0, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, root, tree := unpacked(t, m, b)
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			wantCode(t, image.VerifyTree(context.Background(), root, tree), image.CodeTreeChanged)
		})
	}
}

func TestUnpackNeverWritesOutside(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	outside := t.TempDir()
	if strings.ContainsAny(outside, "\\=") {
		t.Skip("the name of the temporary folder cannot be written into this tar")
	}
	layers := [][]byte{tarOf(t, "out->"+outside, "up->../../../../../../../.."+outside), tarOf(t, "out/a=1", "up/b=2", "hard=>out/a"), tarOf(t, "out/c=3", "out/.wh.a=")}
	var raw []rawLayer
	for _, l := range layers {
		raw = append(raw, gz(l))
	}
	_, root, tree := unpacked(t, rawImage(t, b, raw...), b)
	if names, err := os.ReadDir(outside); err != nil || len(names) > 0 {
		t.Errorf("written outside: %v %v", names, err)
	}
	inside := strings.TrimPrefix(outside, "/")
	want := map[string]string{"out": "->" + outside, "up": "->../../../../../../../.." + outside, inside + "/b": "2", inside + "/c": "3", "hard": "1"}
	if diff := cmp.Diff(want, onDisk(t, root.FS())); diff != "" {
		t.Error(diff)
	}
	if err := image.VerifyTree(context.Background(), root, tree); err != nil {
		t.Error(err)
	}
}
