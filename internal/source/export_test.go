package source_test

import (
	"fmt"
	"os"
	"path/filepath"
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
			if err := os.Symlink("../run.sh", r.path("cmd/run")); err != nil {
				t.Skip("no symbolic links here")
			}
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
			_ = filepath.Join
		})
	}
}
