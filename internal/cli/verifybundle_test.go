package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sign"
)

// vectors is the folder of Sigstore's conformance cases; without it, the test is skipped.
func vectors(t *testing.T) string {
	t.Helper()
	root := os.Getenv("SELLO_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	dir := filepath.Join(root, "sigstore-bundles")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no published cases at %s: set SELLO_VECTORS to their folder", dir)
	}
	return dir
}

func typed(args ...string) (exit int, out, errs string) {
	var o, e bytes.Buffer
	exit = Main(args, Streams{In: strings.NewReader(""), Out: &o, Err: &e}, Build{})
	return exit, o.String(), e.String()
}

// The command line is that of Sigstore's conformance suite: each case by the file's path and by its digest.
func TestVerifyBundleConformance(t *testing.T) {
	dir := vectors(t)
	cases, err := filepath.Glob(filepath.Join(dir, "*", "bundle.sigstore.json"))
	if err != nil {
		t.Fatal(err)
	}
	is := func(path string) bool { _, err := os.Stat(path); return err == nil }
	said := func(path, otherwise string) string {
		if data, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(data))
		}
		return otherwise
	}
	for _, bundle := range cases {
		at := filepath.Dir(bundle)
		args := []string{"verify-bundle", "--bundle", bundle}
		if key := filepath.Join(at, "key.pub"); is(key) {
			args = append(args, "--key", key)
		} else {
			args = append(args, "--certificate-identity", said(filepath.Join(at, "identity"), "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"),
				"--certificate-oidc-issuer", said(filepath.Join(at, "issuer"), "https://token.actions.githubusercontent.com"))
		}
		root := filepath.Join(at, "trusted_root.json")
		if !is(root) {
			root = filepath.Join(dir, "public-good.trusted_root.json")
		}
		args = append(args, "--trusted-root", root)
		file := filepath.Join(at, "artifact")
		if !is(file) {
			file = filepath.Join(dir, "a.txt")
		}
		sums, err := digest.File(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, arg := range []string{file, "sha256:" + sums.SHA256} {
			exit, out, errs := typed(append(args, arg)...)
			if bad := strings.HasSuffix(at, "_fail"); bad == (exit == exitDone) || bad && exit != exitRefused && !strings.Contains(at, "managed-key-wrong-key") {
				t.Errorf("%s %s: exit %d\n%s%s", filepath.Base(at), arg, exit, out, errs)
			}
		}
	}
	t.Logf("%d published cases, each by path and by digest", len(cases))
	if len(cases) < 36 {
		t.Error("there are fewer cases than there have to be")
	}
}

// On a mismatch the one who did sign is named, for people and for programs.
func TestVerifyBundleNamesTheSigner(t *testing.T) {
	dir := vectors(t)
	args := []string{"verify-bundle", filepath.Join(dir, "a.txt"), "--bundle", filepath.Join(dir, "happy-path-intoto-in-dsse-v3", "bundle.sigstore.json"),
		"--trusted-root", filepath.Join(dir, "public-good.trusted_root.json"), "--certificate-oidc-issuer", "https://token.actions.githubusercontent.com"}
	exit, _, errs := typed(append(args, "--certificate-identity", "ann@age.example")...)
	if exit != exitRefused || !strings.Contains(errs, "extremely-dangerous-oidc-beacon.yml@refs/heads/main") || !strings.Contains(errs, "no-trusted-signer") {
		t.Errorf("exit %d: %s", exit, errs)
	}
	exit, out, errs := typed(append(args, "--certificate-identity-regexp", `https://github\.com/sigstore-conformance/.*`, "--output", "json")...)
	var report struct{ Verdict, Scope, Signer string }
	if err := json.Unmarshal([]byte(out), &report); err != nil || exit != exitDone || report.Verdict != "accepted" || report.Scope != "bundle" || !strings.Contains(report.Signer, "oidc-beacon") {
		t.Errorf("exit %d: %s%s", exit, out, errs)
	}
	if exit, out, _ := typed(append(args, "--certificate-identity-regexp", ".*", "--type", "https://spdx.dev/Document/v2.3", "--output", "json")...); exit != exitRefused || !strings.Contains(out, "wrong-predicate") {
		t.Errorf("another predicate: exit %d: %s", exit, out)
	}
}

// A pipe that nobody writes to keeps nobody from interrupting.
func TestReadingIsInterrupted(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = awaited(ctx, func() ([]byte, error) { return io.ReadAll(r) })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestVerifyBundleUsage(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int64) string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err == nil {
			_, err = io.WriteString(f, "{}")
		}
		if err == nil && size > 0 {
			err = f.Truncate(size) // sparse: nobody has to read it all
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		return path
	}
	small, key := file("small.json", 0), file("key.pub", 0)
	generated, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	public, err := generated.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, public, 0o600); err != nil {
		t.Fatal(err)
	}
	digestOfNothing := "sha256:" + digest.Bytes(nil)
	for name, c := range map[string]struct {
		exit int
		code string
		args []string
	}{
		"no bundle":           {exitUsage, "usage", []string{digestOfNothing, "--key", key}},
		"no root":             {exitUsage, "usage", []string{digestOfNothing, "--bundle", small, "--certificate-identity", "a@b", "--certificate-oidc-issuer", "https://x"}},
		"staging":             {exitUsage, "usage", []string{digestOfNothing, "--bundle", small, "--certificate-identity", "a@b", "--certificate-oidc-issuer", "https://x", "--staging"}},
		"a root that is none": {exitUsage, "trusted-root-invalid", []string{digestOfNothing, "--bundle", small, "--certificate-identity", "a@b", "--trusted-root", small}},
		"no such file":        {exitUsage, "usage", []string{filepath.Join(dir, "none"), "--bundle", small, "--key", key}},
		"a digest too short":  {exitUsage, "usage", []string{"sha256:00", "--bundle", small, "--key", key}},
		"a folder":            {exitUsage, "usage", []string{digestOfNothing, "--bundle", dir, "--key", key}},
		"no key":              {exitUsage, "key-malformed", []string{digestOfNothing, "--bundle", small, "--key", small}},
		"an empty root":       {exitUsage, "usage", []string{digestOfNothing, "--bundle", small, "--key", key, "--trusted-root", ""}},
		"an empty type":       {exitUsage, "usage", []string{digestOfNothing, "--bundle", small, "--key", key, "--type="}},
		"an empty identity":   {exitUsage, "usage", []string{digestOfNothing, "--bundle", small, "--key", key, "--certificate-identity-regexp", ""}},
		"an empty bundle":     {exitRefused, "bundle-unknown-version", []string{digestOfNothing, "--bundle", small, "--key", key}},
		"a bundle of 1 GB":    {exitRefused, "bad-json", []string{digestOfNothing, "--bundle", file("large.json", 1<<30), "--key", key}},
		"a root of 1 GB":      {exitUsage, "trusted-root-invalid", []string{digestOfNothing, "--bundle", small, "--key", key, "--trusted-root", file("root.json", 1<<30)}},
	} {
		if exit, out, errs := typed(append([]string{"verify-bundle"}, c.args...)...); exit != c.exit || !strings.Contains(out+errs, "["+c.code+"]") {
			t.Errorf("%s: exit %d: %s%s", name, exit, out, errs)
		}
	}
}
