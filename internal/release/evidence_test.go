package release

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust"
)

func bucketOf(t *testing.T, files map[string]string) store.Bucket {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		writeTo(t, dir, name, content)
	}
	b, err := store.Open("file://"+dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeTo(t *testing.T, dir, name, content string) {
	t.Helper()
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// More sign-offs than managers could give are not read; as many as are allowed are.
func TestSignOffFlood(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range maxSignOffs {
		files[fmt.Sprintf("so/m%d%s", i, stage.BundleSuffix)] = "{}"
	}
	if got, err := readSignOffs(context.Background(), bucketOf(t, files), "so/"); err != nil || len(got) != maxSignOffs {
		t.Errorf("%d: %v", len(got), err)
	}
	files["so/one-more"] = ""
	if _, err := readSignOffs(context.Background(), bucketOf(t, files), "so/"); gate.Code(err) != "sign-off-flood" {
		t.Error(err)
	}
}

// The document that tells the dependencies has to be in the stage, with the bytes that the stage says.
func TestDependencyEvidence(t *testing.T) {
	t.Parallel()
	ref := store.StageRef{StageLayout: store.StageLayout{Project: "hello", Version: "v1.0.0", Digest: strings.Repeat("0", 64)}}
	text := `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"x","documentNamespace":"https://example.com/x","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]},"packages":[]}`
	ref.Bucket = bucketOf(t, map[string]string{ref.File("hello.spdx.json"): text})
	for name, tt := range map[string]struct {
		artifacts []stage.Artifact
		code      string
	}{
		"none":       {nil, "deps-evidence-missing"},
		"another":    {[]stage.Artifact{{Name: "other.spdx.json", Sums: digest.Sums{SHA256: digest.Bytes([]byte(text))}}}, "deps-evidence-missing"},
		"other data": {[]stage.Artifact{{Name: "hello.spdx.json", Sums: digest.Sums{SHA256: digest.Bytes(nil)}}}, "stage-artifact-mismatch"},
		"good":       {[]stage.Artifact{{Name: "hello.spdx.json", Sums: digest.Sums{SHA256: digest.Bytes([]byte(text))}}}, ""},
	} {
		s := &staged{StageRef: ref, list: &stage.Stage{Artifacts: tt.artifacts}}
		if _, err := s.document(context.Background(), "hello.spdx.json"); gate.Code(err) != tt.code || tt.code == "" && err != nil {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
}

// An entry of another project in the log is found, and one that production has is not taken for missing.
func TestForeignLogEntries(t *testing.T) {
	t.Parallel()
	own, foreign := tlog.Entry{Project: "hello", Version: "v1.0.0", File: "a", SHA256: "1"}, tlog.Entry{Project: "other", Version: "v1.0.0", File: "a", SHA256: "1"}
	for name, tt := range map[string]struct {
		logged map[tlog.Entry]bool // what production does not have is true
		codes  []string
	}{
		"there":              {map[tlog.Entry]bool{own: false}, nil},
		"taken away":         {map[tlog.Entry]bool{own: true}, []string{"log-release-missing"}},
		"of another project": {map[tlog.Entry]bool{own: false, foreign: true}, []string{"log-entry-foreign", "log-release-missing"}},
	} {
		a := &LogAudit{}
		a.withdrawn("hello", tt.logged)
		var codes []string
		for _, err := range a.bad {
			codes = append(codes, gate.Code(err))
		}
		if !slices.Equal(codes, tt.codes) {
			t.Errorf("%s: %v, want %v", name, a.bad, tt.codes)
		}
	}
}

// Two stages of one version are not chosen between: the release file has to say which.
func TestTwoStages(t *testing.T) {
	t.Parallel()
	at := func(text string) string {
		return store.StageLayout{Project: "hello", Version: "v1.0.0", Digest: digest.Bytes([]byte(text))}.StageFile()
	}
	staging := bucketOf(t, map[string]string{at("{}"): "{}", at("[]"): "[]"})
	for chosen, code := range map[string]string{"": "stage-ambiguous", "sha256:" + strings.Repeat("3", 64): "stage-missing"} {
		c := &Candidate{Definition: &definition.Definition{Project: "hello"}, Release: &definition.Release{Version: "v1.0.0", Stage: chosen}}
		if _, err := (&Project{}).findStage(context.Background(), c, staging); gate.Code(err) != code {
			t.Errorf("%q: %v, want %s", chosen, err, code)
		}
	}
}

// What the release branch has to have is looked for before anything is done: a trust file, of this project.
func TestTrustOfTheBranch(t *testing.T) {
	p := project(t)
	ctx, root := context.Background(), p.Repo.Root()
	commit := func(change func(string) string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(root, TrustFile))
		if err != nil {
			t.Fatal(err)
		}
		if text := change(string(data)); text != "" {
			writeTo(t, root, TrustFile, text)
		} else if err := os.Remove(filepath.Join(root, TrustFile)); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("git", "-C", root, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qam", "Change trust").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if _, err := p.Candidate(ctx, "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	commit(func(s string) string { return strings.Replace(s, "project: hello", "project: hullo", 1) })
	if _, err := p.Candidate(ctx, "v1.0.0"); gate.Code(err) != "trust-project-mismatch" {
		t.Error(err)
	}
	commit(func(s string) string {
		return strings.NewReplacer("project: hullo", "project: hello", "example.com/hello", "example.com/hullo").Replace(s)
	})
	if _, err := p.Candidate(ctx, "v1.0.0"); gate.Code(err) != "trust-source-mismatch" {
		t.Error(err)
	}
	commit(func(string) string { return "" })
	if _, err := p.Candidate(ctx, "v1.0.0"); gate.Code(err) != "trust-missing" {
		t.Error(err)
	}
}

// A flood of approvals is not read.
func TestApprovalFlood(t *testing.T) {
	p := project(t)
	ctx, root := context.Background(), p.Repo.Root()
	tip := func() string {
		t.Helper()
		for _, args := range [][]string{{"add", "-A"}, {"-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "More", "--allow-empty"}} {
			if out, err := exec.Command("git", append([]string{"-C", root}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		out, err := exec.Command("git", "-C", root, "rev-parse", "HEAD").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	if _, err := p.approvals(ctx, tip(), &trust.Trust{}, "hello"); err != nil {
		t.Error(err)
	}
	for i := range 2*maxApprovals + 1 {
		writeTo(t, root, path.Join(deps.Folder, fmt.Sprintf("a%d.yaml", i)), "{}")
	}
	if _, err := p.approvals(ctx, tip(), &trust.Trust{}, "hello"); gate.Code(err) != "approval-flood" {
		t.Error(err)
	}
}

// A key is not encrypted with nothing.
func TestEmptyPassphrase(t *testing.T) {
	p := project(t)
	for passphrase, code := range map[string]string{"": "passphrase-empty", "long enough": ""} {
		p.Passphrase = func() ([]byte, error) { return []byte(passphrase), nil }
		if _, err := p.NewKey(context.Background(), TrustKeyOptions{Identity: "somebody"}, true); gate.Code(err) != code || code == "" && err != nil {
			t.Errorf("%q: %v, want %q", passphrase, err, code)
		}
	}
}
