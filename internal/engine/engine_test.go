package engine_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

func TestDefaults(t *testing.T) {
	got := engine.Limits{Processes: 7}.WithDefaults(engine.DefaultMemory(100 << 30))
	want := engine.Limits{Memory: (100 << 30) / 10 * 8, Processes: 7, Time: time.Hour, Output: 20 << 30, Log: 64 << 20}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, small := range []int64{0, 1 << 30} {
		if got := engine.DefaultMemory(small); got != 2<<30 {
			t.Errorf("DefaultMemory(%d) = %d", small, got)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 50 << 20: "50 MiB", 3 << 29: "1.5 GiB", 1<<63 - 1: "8 EiB"} {
		if got := engine.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestMaterials(t *testing.T) {
	a, b, c := material.Material{Name: "a"}, material.Material{Name: "b"}, material.Material{Name: "c"}
	s := engine.Step{Mounts: []engine.Mount{{Materials: []material.Material{a, b}}, {Writable: true}, {Materials: []material.Material{c}}}}
	if d := cmp.Diff([]material.Material{a, b, c}, s.Materials()); d != "" {
		t.Error(d)
	}
}

func TestLog(t *testing.T) {
	var w bytes.Buffer
	l := engine.NewLog(&w, 10)
	for _, s := range []string{"12345", "67890", "abc", "def"} {
		if n, err := l.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("Write(%q) = %d, %v", s, n, err)
		}
	}
	if got := w.String(); !strings.HasPrefix(got, "1234567890\n[log limit of 10 B reached") || strings.Count(got, "[") != 1 {
		t.Errorf("passed on %q", got)
	}
	if got := string(l.Tail()); got != "1234567890abcdef" || !l.Dropped() || l.Err() != nil {
		t.Errorf("tail %q, dropped %t, error %v", got, l.Dropped(), l.Err())
	}
}

func TestLogTail(t *testing.T) {
	l := engine.NewLog(nil, 1<<30)
	var all []byte
	for i := range 5000 {
		p := fmt.Appendf(nil, "%d:%s\n", i, strings.Repeat("x", i%300))
		all = append(all, p...)
		_, _ = l.Write(p)
	}
	if !bytes.Equal(l.Tail(), all[len(all)-engine.TailSize:]) || l.Dropped() {
		t.Error("the tail is not the end of what was written")
	}
	_, _ = l.Write(bytes.Repeat([]byte("y"), 3*engine.TailSize))
	if !bytes.Equal(l.Tail(), bytes.Repeat([]byte("y"), engine.TailSize)) {
		t.Error("the tail of one large write is not its end")
	}
}

type brokenWriter struct{}

var errBroken = errors.New("disk full")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestLogError(t *testing.T) {
	l := engine.NewLog(brokenWriter{}, 100)
	if n, err := l.Write([]byte("abc")); n != 3 || err != nil {
		t.Errorf("Write = %d, %v: a step must not notice", n, err)
	}
	if !errors.Is(l.Err(), errBroken) {
		t.Errorf("Err() = %v", l.Err())
	}
}

// tree writes files, by path and content, below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for p, content := range files {
		p = filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCollect(t *testing.T) {
	dir := tree(t, map[string]string{"b": "bee", "a/x y": "", "a/ü": "u", "a.txt": "dot"})
	if err := os.Chmod(filepath.Join(dir, "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "b"), filepath.Join(dir, "a", "same")); err != nil {
		t.Fatal(err)
	}
	got, err := engine.Collect(t.Context(), dir, engine.CollectLimits{})
	if err != nil {
		t.Fatal(err)
	}
	output := func(path string, executable bool, s string) engine.Output {
		w := digest.NewWriter()
		_, _ = w.Write([]byte(s))
		return engine.Output{Path: path, Executable: executable, Sums: w.Sums(), SHA1: fmt.Sprintf("%x", sha1.Sum([]byte(s))), CRC32: crc32.ChecksumIEEE([]byte(s))}
	}
	x := runtime.GOOS != "windows"
	want := []engine.Output{output("a.txt", false, "dot"), output("a/same", x, "bee"), output("a/x y", false, ""), output("a/ü", false, "u"), output("b", x, "bee")}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
}

func TestCollectRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, code string
		limits     engine.CollectLimits
		make       func(dir string) error
	}{
		{"a symlink", "output-symlink", engine.CollectLimits{}, func(d string) error { return os.Symlink("/etc/passwd", filepath.Join(d, "s")) }},
		{"a symlink to a folder", "output-symlink", engine.CollectLimits{}, func(d string) error { return os.Symlink("/", filepath.Join(d, "s")) }},
		{"a hard link to a file elsewhere", "output-hard-link", engine.CollectLimits{}, func(d string) error {
			outside := d + "-outside"
			return errors.Join(os.WriteFile(outside, nil, 0o644), os.Link(outside, filepath.Join(d, "h")))
		}},
		{"a setuid file", "output-bad-mode", engine.CollectLimits{}, func(d string) error {
			f := filepath.Join(d, "f")
			return errors.Join(os.WriteFile(f, nil, 0o755), os.Chmod(f, 0o755|os.ModeSetuid))
		}},
		{"an unreadable file", "output-bad-mode", engine.CollectLimits{}, func(d string) error { return os.WriteFile(filepath.Join(d, "f"), nil, 0) }},
		{"an unreadable folder", "output-bad-mode", engine.CollectLimits{}, func(d string) error { return os.Mkdir(filepath.Join(d, "f"), 0o300) }},
		{"a name with a tab", "output-bad-name", engine.CollectLimits{}, func(d string) error { return os.WriteFile(filepath.Join(d, "a\tb"), nil, 0o644) }},
		{"a name that turns the text around", "output-bad-name", engine.CollectLimits{}, func(d string) error { return os.WriteFile(filepath.Join(d, "a\u202eb"), nil, 0o644) }},
		{"a folder with a bad name", "output-bad-name", engine.CollectLimits{}, func(d string) error { return os.Mkdir(filepath.Join(d, `a\b`), 0o755) }},
		{"too many files", "output-too-many", engine.CollectLimits{Files: 2}, func(d string) error {
			return errors.Join(os.WriteFile(filepath.Join(d, "1"), nil, 0o644), os.WriteFile(filepath.Join(d, "2"), nil, 0o644))
		}},
		{"too many bytes", "output-too-large", engine.CollectLimits{Bytes: 8}, func(d string) error { return os.WriteFile(filepath.Join(d, "1"), []byte("1234567"), 0o644) }},
		{"a sparse giant", "output-too-large", engine.CollectLimits{}, func(d string) error {
			return errors.Join(os.WriteFile(filepath.Join(d, "1"), nil, 0o644), os.Truncate(filepath.Join(d, "1"), 1<<40))
		}},
		{"too deep", "output-too-many", engine.CollectLimits{}, func(d string) error {
			return os.MkdirAll(filepath.Join(d, strings.Repeat("d/", engine.MaxDepth+10)), 0o755)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("Windows has neither these names nor these modes")
			}
			dir := tree(t, map[string]string{"ok": "ok"})
			if err := tc.make(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := engine.Collect(t.Context(), dir, tc.limits); gate.Code(err) != tc.code {
				t.Errorf("error %v, want %s", err, tc.code)
			}
		})
	}
}

func TestCollectStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.Collect(ctx, tree(t, map[string]string{"a": "b"}), engine.CollectLimits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := engine.Collect(t.Context(), filepath.Join(t.TempDir(), "none"), engine.CollectLimits{}); err == nil {
		t.Error("a folder that is not there was collected")
	}
}

func TestUsage(t *testing.T) {
	dir := tree(t, map[string]string{"a": strings.Repeat("x", 100_000), "d/b": strings.Repeat("y", 50_000)})
	file := filepath.Join(dir, "a")
	got, err := engine.Usage([]string{dir}, 1<<40)
	if err != nil || got < 150_000 || got > 300_000 {
		t.Errorf("Usage(folder) = %d, %v", got, err)
	}
	if got, err := engine.Usage([]string{file}, 1<<40); err != nil || got < 100_000 || got > 120_000 {
		t.Errorf("Usage(file) = %d, %v", got, err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Symlink("/", filepath.Join(dir, "root")); err != nil {
			t.Fatal(err)
		}
		if again, err := engine.Usage([]string{dir}, 1<<40); err != nil || again > got+10_000 {
			t.Errorf("with a symlink: %d, %v", again, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", engine.MaxDepth+10)), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Usage([]string{dir}, 1<<40); !errors.Is(err, engine.ErrUnmeasurable) {
		t.Errorf("nested too deep: %v", err)
	}
}

func TestRemoveAll(t *testing.T) {
	dir := tree(t, map[string]string{"locked/deeper/f": "x"})
	outside := tree(t, map[string]string{"keep": "x"})
	_ = os.Symlink(outside, filepath.Join(dir, "link")) // where there are symlinks
	for _, d := range []string{"locked/deeper", "locked"} {
		if err := os.Chmod(filepath.Join(dir, d), 0o500); err != nil {
			t.Fatal(err)
		}
	}
	if err := engine.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(outside, "keep")); err != nil {
		t.Error(err)
	}
}

// FuzzCollectName holds that whatever name a step gives a file, it is refused or comes back as it is, clean and printable.
func FuzzCollectName(f *testing.F) {
	for _, s := range []string{"a", "a b", "a\nb", `a\b`, "\xff", "ü", "\u202e", strings.Repeat("x", 256), "...", "-rf", "~"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			t.Skip("no name of a file")
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Skipf("this file system has no such names: %v", err)
		}
		got, err := engine.Collect(t.Context(), dir, engine.CollectLimits{})
		switch {
		case err != nil && gate.Code(err) != "output-bad-name":
			t.Errorf("%q: %v", name, err)
		case err == nil && (len(got) != 1 || got[0].Path != name || strings.ContainsAny(name, "\\\n\r\t\x1b")):
			t.Errorf("%q came back as %+v", name, got)
		}
	})
}
