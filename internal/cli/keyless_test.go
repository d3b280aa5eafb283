package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/stage"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// The trusted root is read from beside the trust file or from where the user says, and is the one that the trust file names.
func TestVerifyFindsTheTrustedRoot(t *testing.T) {
	now := time.Now()
	w := vt.NewKeylessWorld(t, now)
	released, dir := w.Release(t), t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write(vt.Archive, vt.Read(t, released, vt.Archive))
	write(vt.Archive+stage.BundleSuffix, vt.Read(t, released, vt.Archive+stage.BundleSuffix))
	trustFile := write("trust.yaml", w.TrustFile)
	elsewhere, other := write("elsewhere/root.json", w.Sigstore.Root), write("other/root.json", signtest.New(t, now).Root)
	beside := filepath.Join(dir, "trusted_root.json")
	for _, c := range []struct {
		name, code string
		exit       int
		prepare    func()
		args       []string
	}{
		{"nowhere", "trusted-root-missing", exitUsage, func() {}, nil},
		{"named", "", exitDone, func() {}, []string{"--trusted-root", elsewhere}},
		{"another one named", "trusted-root-mismatch", exitRefused, func() {}, []string{"--trusted-root", other}},
		{"none named", "usage", exitUsage, func() {}, []string{"--trusted-root", filepath.Join(dir, "none")}},
		{"beside", "", exitDone, func() { write("trusted_root.json", w.Sigstore.Root) }, nil},
		{"another one beside", "trusted-root-mismatch", exitRefused, func() { write("trusted_root.json", []byte("{}")) }, nil},
		{"a link out of the folder", "usage", exitUsage, func() {
			os.Remove(beside)
			if err := os.Symlink(filepath.Join("..", filepath.Base(dir), "elsewhere", "root.json"), beside); err != nil {
				t.Skip(err)
			}
		}, nil},
	} {
		c.prepare()
		exit, out, errs := typed(append([]string{"verify", file, "--trust", trustFile}, c.args...)...)
		if exit != c.exit || c.code != "" && !strings.Contains(out+errs, "["+c.code+"]") {
			t.Errorf("%s: exit %d: %s%s", c.name, exit, out, errs)
		}
	}
}

// check looks at the trusted root of a checkout's trust file.
func TestCheckTrustedRoot(t *testing.T) {
	h := newHome(t)
	root := signtest.New(t, time.Now()).Root
	text, err := os.ReadFile(filepath.Join(h.work, "trust.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	pin := func(data []byte) {
		h.write(t, "trust.yaml", strings.Replace(string(text), "roles:", "  ann:\n    issuer: https://accounts.example\n    subject: ann@hello.example\nroles:", 1)+
			"trusted-root:\n  file: keys/trusted_root.json\n  digest: sha256:"+digest.Bytes(data)+"\n")
	}
	pin(root)
	if got := h.sello("check"); got.exit == exitDone || !strings.Contains(got.err, "keys/trusted_root.json") {
		t.Errorf("no root: exit %d: %s", got.exit, got.err)
	}
	h.write(t, "keys/trusted_root.json", string(root))
	if got := h.sello("check"); got.exit != exitDone {
		t.Errorf("its root: exit %d: %s", got.exit, got.err)
	}
	h.write(t, "keys/trusted_root.json", "{}")
	if got := h.sello("check"); !strings.Contains(got.err, "[trusted-root-mismatch]") {
		t.Errorf("another root: exit %d: %s", got.exit, got.err)
	}
	pin([]byte("{}"))
	if got := h.sello("check"); !strings.Contains(got.err, "[trusted-root-invalid]") {
		t.Errorf("a root that is none: exit %d: %s", got.exit, got.err)
	}
}
