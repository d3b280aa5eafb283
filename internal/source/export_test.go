package source_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/source"
)

func TestExport(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t, "--object-format="+format)
			r.write("README.md", "read me\n")
			r.write("empty", "")
			r.write("cmd/tool/main.go", "package main\n")
			r.write("ünïcode/größe.txt", "x\r\ny\n")
			writeFile(t, r.path("run.sh"), "#!/bin/sh\n", 0o755)
			r.symlink("../run.sh", "cmd/run")
			large := strings.Repeat("large ", 200_000)
			r.write("large.bin", large)
			commit := r.commit("first")

			dest, tree := r.mustExport(commit)
			want := []string{
				". drwxr-xr-x 1767225600",
				"README.md -rw-r--r-- 1767225600 \"read me\\n\"",
				"cmd drwxr-xr-x 1767225600",
				"cmd/run Lrwxrwxrwx 1767225600 -> ../run.sh",
				"cmd/tool drwxr-xr-x 1767225600",
				"cmd/tool/main.go -rw-r--r-- 1767225600 \"package main\\n\"",
				"empty -rw-r--r-- 1767225600 \"\"",
				fmt.Sprintf("large.bin -rw-r--r-- 1767225600 %q", large),
				"run.sh -rwxr-xr-x 1767225600 \"#!/bin/sh\\n\"",
				"ünïcode drwxr-xr-x 1767225600",
				"ünïcode/größe.txt -rw-r--r-- 1767225600 \"x\\r\\ny\\n\"",
			}
			if diff := cmp.Diff(want, snapshot(t, dest)); diff != "" {
				t.Error(diff)
			}
			wantTree := source.Tree{Commit: commit, Tree: r.git("rev-parse", "HEAD^{tree}"), Files: 7, Bytes: int64(len(large)) + 8 + 13 + 5 + 10 + 9}
			if diff := cmp.Diff(wantTree, tree); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestExportUmask runs TestExport as another process, whose umask takes everything from others.
func TestExportUmask(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no umask on Windows")
	}
	for _, umask := range []string{"0077", "0000"} {
		cmd := exec.Command("sh", "-c", `umask "$1" && exec "$2" -test.run='^TestExport$'`, "sh", umask, os.Args[0])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("umask %s: %v\n%s", umask, err, out)
		}
	}
}

func TestExportIgnoresAttributes(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.git("config", "core.autocrlf", "true")
	r.git("config", "core.safecrlf", "false")
	blobs := map[string]string{
		".gitattributes": "ignored export-ignore\nsubst export-subst\ncrlf text eol=crlf\nfiltered filter=evil\n*.bin filter=lfs\n",
		"ignored":        "still there\n",
		"subst":          "$Format:%H$ $Id$\n",
		"crlf":           "one\ntwo\n",
		"filtered":       "unfiltered\n",
		"pointer.bin":    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n",
		"not-lfs.txt":    "version https://git-lfs.github.com/spec/v1 is what a pointer begins with\n",
	}
	var entries []treeEntry
	for _, name := range []string{".gitattributes", "crlf", "filtered", "ignored", "not-lfs.txt", "pointer.bin", "subst"} {
		entries = append(entries, treeEntry{"100644", name, r.blob(blobs[name])})
	}
	dest, tree := r.mustExport(r.treeCommit(r.tree(entries...)))
	for name, want := range blobs {
		if got, err := os.ReadFile(filepath.Join(dest, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	if diff := cmp.Diff([]string{"pointer.bin"}, tree.LFS); diff != "" {
		t.Error(diff)
	}
}

// TestExportAcceptsOldModes exports what git once wrote and still reads.
func TestExportAcceptsOldModes(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	blob := r.blob("x")
	inner := r.tree(treeEntry{"100664", "group", blob})
	dest, _ := r.mustExport(r.treeCommit(r.tree(treeEntry{"100644", "dir.txt", blob}, treeEntry{"040000", "dir", inner})))
	want := []string{
		". drwxr-xr-x 1767225600", "dir drwxr-xr-x 1767225600", `dir.txt -rw-r--r-- 1767225600 "x"`, `dir/group -rw-r--r-- 1767225600 "x"`,
	}
	if diff := cmp.Diff(want, snapshot(t, dest)); diff != "" {
		t.Error(diff)
	}
}

func TestExportRefusesTrees(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	x := r.blob("x")
	file := func(name string) treeEntry { return treeEntry{"100644", name, x} }
	link := func(name, target string) treeEntry { return treeEntry{"120000", name, r.blob(target)} }
	dir := func(name string, entries ...treeEntry) treeEntry { return treeEntry{"40000", name, r.tree(entries...)} }
	tests := []struct {
		name, code, where string
		tree              []treeEntry
	}{
		{"newline", "source-bad-name", `"a\nb"`, []treeEntry{file("a\nb")}},
		{"escape sequence", "source-bad-name", `"sub/\x1b[2J"`, []treeEntry{dir("sub", file("\x1b[2J"))}},
		{"C1 control", "source-bad-name", `"a\u009bb"`, []treeEntry{file("a\u009bb")}},
		{"line separator", "source-bad-name", `"a\u2028b"`, []treeEntry{file("a\u2028b")}},
		{"backslash", "source-bad-name", `"..\\evil"`, []treeEntry{file(`..\evil`)}},
		{"slash", "source-bad-name", "a/b", []treeEntry{file("a/b")}},
		{"climbing name", "source-bad-name", "../evil", []treeEntry{file("../evil")}},
		{"parent", "source-bad-name", "..", []treeEntry{dir("..", file("x"))}},
		{"itself", "source-bad-name", ".", []treeEntry{file(".")}},
		{"empty", "source-bad-name", "", []treeEntry{dir("sub", file(""))}},
		{"not UTF-8", "source-bad-name", `"caf\xe9"`, []treeEntry{file("caf\xe9")}},
		{"too long", "source-bad-name", "", []treeEntry{file(strings.Repeat("n", 256))}},
		{"git directory", "source-bad-name", ".git", []treeEntry{dir(".git", file("config"))}},
		{"git directory deeper", "source-bad-name", "sub/.GIT", []treeEntry{dir("sub", file(".GIT"))}},
		{"git directory on NTFS", "source-bad-name", "GIT~1", []treeEntry{file("GIT~1")}},
		{"git directory on NTFS, stream", "source-bad-name", "", []treeEntry{file(".git::$INDEX_ALLOCATION")}},
		{"git directory on NTFS, dots", "source-bad-name", "", []treeEntry{file(".git . .")}},
		{"git directory on HFS+", "source-bad-name", "", []treeEntry{file(".g\u200cit")}},
		{"case", "source-case-collision", "readme", []treeEntry{file("README"), file("readme")}},
		{"case of folder and file", "source-case-collision", "sub/a", []treeEntry{dir("sub", dir("A", file("x")), file("a"))}},
		{"case beyond ASCII", "source-case-collision", "straße", []treeEntry{file("STRASSE"), file("straße")}},
		{"normalisation", "source-case-collision", "é", []treeEntry{file("e\u0301"), file("\u00e9")}},
		{"twice", "source-duplicate-entry", "a", []treeEntry{file("a"), file("a")}},
		{"twice, apart", "source-duplicate-entry", "a", []treeEntry{file("a"), file("a.b"), dir("a", file("x"))}},
		{"mode of a device", "source-unknown-mode", "a", []treeEntry{{"20666", "a", x}}},
		{"mode 0", "source-unknown-mode", "a", []treeEntry{{"0", "a", x}}},
		{"set-user-id", "source-unknown-mode", "a", []treeEntry{{"104755", "a", x}}},
		{"not octal", "source-bad-tree", ".", []treeEntry{{"100648", "a", x}}},
		{"not sorted", "source-bad-tree", ".", []treeEntry{file("b"), file("a")}},
		{"folder sorted like a file", "source-bad-tree", "sub", []treeEntry{dir("sub", dir("a", file("x")), file("a.b"))}},
		{"cut off", "source-bad-tree", ".", []treeEntry{{"100644", "a", x[:30]}}},
		{"file that is a folder", "source-object-corrupt", "a", []treeEntry{{"100644", "a", r.tree()}}},
		{"folder that is a file", "source-object-corrupt", "a", []treeEntry{{"40000", "a", x}}},
		{"no such object", "source-object-missing", "a", []treeEntry{{"100644", "a", strings.Repeat("1", 40)}}},
		{"no such folder", "source-object-missing", "a", []treeEntry{{"40000", "a", strings.Repeat("1", 40)}}},
		{"absolute link", "source-symlink-escapes", "l", []treeEntry{link("l", "/etc/passwd")}},
		{"climbing link", "source-symlink-escapes", "l", []treeEntry{link("l", "../x")}},
		{"climbing link below", "source-symlink-escapes", "a/b/l", []treeEntry{dir("a", dir("b", link("l", "../x/../../../y")))}},
		{"empty link", "source-symlink-escapes", "l", []treeEntry{link("l", "")}},
		{"link to a drive", "source-symlink-escapes", "l", []treeEntry{link("l", "C:/Windows")}},
		{"link through another", "source-symlink-escapes", "x/l", []treeEntry{dir("a", link("up", "..")), dir("x", link("l", "../a/up/../y"))}},
		{"link through another in other case", "source-symlink-escapes", "a/l", []treeEntry{dir("a", link("UP", ".."), link("l", "up/../y"))}},
		{"link with a backslash", "source-bad-name", "l", []treeEntry{link("l", `..\..\x`)}},
		{"link with a newline", "source-bad-name", "l", []treeEntry{link("l", "a\nb")}},
		{"long link", "source-bad-name", "l", []treeEntry{link("l", strings.Repeat("a", 4096))}},
		{"very long link", "source-bad-name", "l", []treeEntry{link("l", strings.Repeat("a", 200_000))}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			commit := r.treeCommit(r.tree(append([]treeEntry{file("!first")}, test.tree...)...))
			_, _, err := r.export(commit, source.Limits{})
			refusal := wantCode(t, err, test.code)
			if test.where != "" && refusal.Where != test.where {
				t.Errorf("refused at %s, want %s", refusal.Where, test.where)
			}
		})
	}
}

func TestExportAcceptsLinks(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("a/b/file", "x")
	for link, target := range map[string]string{
		"loop": "loop", "ping": "pong", "pong": "ping", "dangling": "nowhere/at/all", "here": ".", "folder": "a/b",
		"through": "folder/../b/file", "a/b/up": "../..", "a/again": "b/up/a/b/up/here/file", "a/odd": ".//b/./file",
	} {
		r.symlink(target, link)
	}
	dest, tree := r.mustExport(r.commit("links"))
	if got, err := os.ReadFile(filepath.Join(dest, "through")); string(got) != "x" {
		t.Errorf("file through links: %q, %v", got, err)
	}
	if got, _ := os.Readlink(filepath.Join(dest, "a/odd")); got != ".//b/./file" {
		t.Errorf("target was changed to %q", got)
	}
	if tree.Files != 11 {
		t.Errorf("%d files, want 11", tree.Files)
	}
}

func TestExportLimits(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("a/b/c/file", "12345")
	r.write("other", "1234567890")
	r.write("large", strings.Repeat("x", 200_000))
	commit := r.commit("some")
	exact := source.Limits{File: 200_000, Bytes: 200_015, Files: 6, Depth: 3}
	if _, _, err := r.export(commit, exact); err != nil {
		t.Fatal(err)
	}
	for code, change := range map[string]func(*source.Limits){
		"source-file-too-large": func(l *source.Limits) { l.File-- },
		"source-too-large":      func(l *source.Limits) { l.Bytes-- },
		"source-too-many-files": func(l *source.Limits) { l.Files-- },
		"source-too-deep":       func(l *source.Limits) { l.Depth-- },
	} {
		l := exact
		change(&l)
		_, _, err := r.export(commit, l)
		wantCode(t, err, code)
	}
}

// TestExportTreeBomb exports a few objects that stand for 10^20 files.
func TestExportTreeBomb(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	entry := treeEntry{"100644", "f", r.blob("x")}
	for range 20 {
		var entries []treeEntry
		for i := range 10 {
			entries = append(entries, treeEntry{entry.mode, fmt.Sprint(i), entry.id})
		}
		entry = treeEntry{"40000", "", r.tree(entries...)}
	}
	_, _, err := r.export(r.treeCommit(entry.id), source.Limits{Files: 50_000})
	wantCode(t, err, "source-too-many-files")

	// Links that take long to follow.
	long := r.blob(strings.Repeat("a/", 2047))
	var entries []treeEntry
	for i := range 17_000 {
		entries = append(entries, treeEntry{"120000", fmt.Sprintf("%05d", i), long})
	}
	_, _, err = r.export(r.treeCommit(r.tree(entries...)), source.Limits{})
	wantCode(t, err, "source-too-large")

	entry = treeEntry{"100644", "f", r.blob("x")}
	for range 200 {
		entry = treeEntry{"40000", "d", r.tree(entry)}
	}
	_, _, err = r.export(r.treeCommit(entry.id), source.Limits{})
	wantCode(t, err, "source-too-deep")
}

func TestExportDestination(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("file", "x")
	commit := r.commit("one")
	dest := t.TempDir()
	if _, err := r.open().Export(t.Context(), commit, dest, source.Limits{}); err != nil {
		t.Fatalf("into an empty folder: %v", err)
	}
	before := snapshot(t, dest)
	_, err := r.open().Export(t.Context(), commit, dest, source.Limits{})
	wantCode(t, err, "source-destination-in-use")
	if diff := cmp.Diff(before, snapshot(t, dest)); diff != "" {
		t.Errorf("what was there changed: %s", diff)
	}
	// A folder that was there stays there, empty.
	empty := t.TempDir()
	_, err = r.open().Export(t.Context(), commit, empty, source.Limits{Bytes: -1})
	wantCode(t, err, "source-too-large")
	if left, err := os.ReadDir(empty); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
