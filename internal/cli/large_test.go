package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	vt "github.com/sello-release/sello/verify/verifytest"
)

// Evidence of 1 GB is refused by name, and never in memory: what is allocated in all, with every growth of a buffer, stays far below it
// (80 MB at most; the race detector doubles that).
func TestVerifyHugeEvidence(t *testing.T) {
	const most = 256 << 20
	w := vt.NewWorld(t)
	public, err := w.Keys["build-service"].PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ huge, code, line string }{
		"a bundle":                     {"release/" + vt.Archive + ".sigstore.json", "bad-json", "verify-bundle release/" + vt.Archive + " --key key.pub --bundle release/" + vt.Archive + ".sigstore.json"},
		"provenance":                   {"huge.json", "bad-json", "verify release/" + vt.Archive + " --policy policy.yaml --provenance huge.json"},
		"a summary":                    {"huge.json", "bad-json", "verify release/" + vt.Archive + " --policy policy.yaml --vsa huge.json"},
		"the bundle beside a file":     {"release/" + vt.Archive + ".sigstore.json", "bad-json", "verify release/" + vt.Archive + " --trust trust.yaml"},
		"a release's sign-off":         {"release/sign-offs/first.sigstore.json", "sign-off-missing", "verify release --trust trust.yaml"},
		"a release's list":             {"release/stage.json", "stage-too-large", "verify release --trust trust.yaml"},
		"a release's statement":        {"release/release.sigstore.json", "bad-json", "verify release --trust trust.yaml"},
		"the trust file":               {"trust.yaml", "yaml-size", "verify release --trust trust.yaml"},
		"the policy":                   {"policy.yaml", "yaml-size", "verify release/" + vt.Archive + " --policy policy.yaml --vsa key.pub"},
		"the trusted root of a bundle": {"huge.json", "trusted-root-invalid", "verify-bundle release/" + vt.Archive + " --key key.pub --bundle release/" + vt.Archive + ".sigstore.json --trusted-root huge.json"},
	} {
		dir := t.TempDir()
		w.ReleaseAt(t, filepath.Join(dir, "release"))
		indented := "      " + strings.ReplaceAll(strings.TrimSpace(string(public)), "\n", "\n      ")
		for file, text := range map[string]string{"key.pub": string(public), "trust.yaml": string(w.TrustFile), "huge.json": "{", "policy.yaml": "signers:\n  ci:\n    key: |\n" + indented + `
builders: [{id: b, signer: ci, level: 1}]
expect: {level: 1, source: https://x.example, ref: r, entry-point: e, build-types: [t]}
summaries: [{verifier: v, signer: ci, resource: r, levels: [L]}]
`} {
			vt.Write(t, dir, file, []byte(text))
		}
		if err := os.Truncate(filepath.Join(dir, c.huge), 1<<30); err != nil { // sparse: nobody has to write it
			t.Fatal(err)
		}
		t.Chdir(dir)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		exit, out, errs := typed(strings.Fields(c.line)...)
		runtime.ReadMemStats(&after)
		if exit == exitDone || !strings.Contains(out+errs, c.code) {
			t.Errorf("%s: exit %d, want %s: %s%s", name, exit, c.code, out, errs)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > most {
			t.Errorf("%s: %d MB were allocated", name, used>>20)
		}
	}
}
