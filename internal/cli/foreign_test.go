package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerifyForeignUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const entry = "signers:\n  ci: {issuer: \"https://x.example\", subject: a@b.example}\nsummaries: [{verifier: v, signer: ci, resource: r, levels: [L]}]\n"
	file, evidence := write("file", "x"), write("evidence", "{}")
	rootless := write("rootless.yaml", "trusted-root: {file: none.json, digest: \"sha256:"+strings.Repeat("0", 64)+"\"}\n"+entry)
	other := write("other.yaml", "trusted-root: {file: evidence, digest: \"sha256:"+strings.Repeat("0", 64)+"\"}\n"+entry)
	policy := write("policy.yaml", "signers: {}\nsummaries: []\n")
	for name, c := range map[string]struct {
		exit int
		code string
		args []string
	}{
		"no policy":             {exitUsage, "usage", []string{file, "--provenance", evidence}},
		"no evidence":           {exitUsage, "usage", []string{file, "--policy", policy}},
		"both":                  {exitUsage, "usage", []string{file, "--policy", policy, "--provenance", evidence, "--vsa", evidence}},
		"a trust file, too":     {exitUsage, "usage", []string{file, "--policy", policy, "--provenance", evidence, "--trust", policy}},
		"a policy of nothing":   {exitUsage, "policy-incomplete", []string{file, "--policy", policy, "--provenance", evidence}},
		"no root":               {exitUsage, "trusted-root-missing", []string{file, "--policy", rootless, "--vsa", evidence}},
		"another root":          {exitRefused, "trusted-root-mismatch", []string{file, "--policy", other, "--vsa", evidence}},
		"an empty path":         {exitUsage, "usage", []string{file, "--policy", policy, "--provenance", ""}},
		"level nought":          {exitUsage, "usage", []string{file, "--trust", policy, "--min-level", "0"}},
		"no such file":          {exitUsage, "usage", []string{filepath.Join(dir, "none"), "--policy", rootless, "--vsa", evidence}},
		"an image to be judged": {exitUsage, "usage", []string{"gce_image_id:1", "--policy", rootless, "--provenance", evidence}},
	} {
		if exit, out, errs := typed(append([]string{"verify"}, c.args...)...); exit != c.exit || !strings.Contains(out+errs, "["+c.code+"]") {
			t.Errorf("%s: exit %d: %s%s", name, exit, out, errs)
		}
	}
}
