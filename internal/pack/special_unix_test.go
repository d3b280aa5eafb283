//go:build unix

package pack_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/pack"
)

func TestFromTreeRefusesPipes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	if _, err := pack.FromTree(openRoot(t, dir)); gate.Code(err) != pack.CodeBadFile {
		t.Error(err)
	}
}
